package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Try finds out whether the server lets this program in, without reading or
// writing anything.
func Try(ctx context.Context, url string) error {
	config, err := parse(url)
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err == nil {
		err = errors.Join(conn.Ping(ctx), conn.Close(ctx))
	}
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	return nil
}
