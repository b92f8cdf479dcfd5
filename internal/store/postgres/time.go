package postgres

import (
	"context"
	"time"

	"github.com/stile-id/stile/internal/store/sqlstore"
)

// Time is what the server's clock says, to the microsecond. What is written takes its
// times from whoever writes; this is for that one to set a clock by (decision D31).
func (s *Store) Time(ctx context.Context) (time.Time, error) {
	c, err := s.pool.Get(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer s.pool.Put(c)
	var micro int64
	err = c.Query(ctx, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
		func(row sqlstore.Row) error { return row.Scan(&micro) })
	if err != nil {
		return time.Time{}, refused("time", err)
	}
	return time.UnixMicro(micro), nil
}
