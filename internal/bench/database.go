package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

// newDatabase makes an empty database beside that of the URL, for one measurement.
func newDatabase(ctx context.Context, server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		return "", err
	}
	defer db.Close()
	u.Path = fmt.Sprintf("/bench_%d", time.Now().UnixNano())
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+u.Path[1:]); err != nil {
		return "", fmt.Errorf("a database of its own: %w", err)
	}
	return u.String(), nil
}
