package postgres

import (
	"context"
	"errors"
	"time"
)

// Time is what the server's clock says, to the microsecond. What is written takes its
// times from whoever writes; this is for that one to set a clock by (decision D31).
func (s *Store) Time(ctx context.Context) (_ time.Time, err error) {
	c, err := s.pool.Get(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer s.pool.Put(c)
	rows, err := c.QueryContext(ctx, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
	if err != nil {
		return time.Time{}, refused("time", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var micro int64
	for rows.Next() {
		if err := rows.Scan(&micro); err != nil {
			return time.Time{}, err
		}
	}
	return time.UnixMicro(micro), rows.Err()
}
