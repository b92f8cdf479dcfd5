package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/stile-id/stile/internal/store/schema"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

// newest is the schema version of this program.
func newest() (int64, error) {
	dir, err := files()
	if err != nil {
		return 0, err
	}
	return (&schema.Schema{Migrations: dir}).Newest()
}

// named tells others the schema version of the engine that connects. Commands that only
// look, or migrate, have a name without a number.
func named(config *pgx.ConnConfig, version int64) {
	name := config.RuntimeParams["application_name"]
	config.RuntimeParams["application_name"] = fmt.Sprintf("stile/%d%s", version, strings.TrimPrefix(name, "stile"))
}

// connected are the engines that have the database open. A role may read the names of
// all sessions, and the addresses of its own.
func connected(ctx context.Context, db *sql.DB) ([]schema.Program, error) {
	rows, err := db.QueryContext(ctx, `
		SELECT substring(application_name FROM '[0-9]+')::bigint, application_name || COALESCE(' at ' || host(client_addr), ''), count(*)
		FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^stile/[0-9]{1,9}( |$)'
		GROUP BY 1, 2 ORDER BY 1, 2`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []schema.Program
	for rows.Next() {
		var p schema.Program
		sessions := 0
		if err := rows.Scan(&p.Schema, &p.Name, &sessions); err != nil {
			return nil, err
		}
		p.Name += fmt.Sprintf(" (connections: %d)", sessions)
		all = append(all, p)
	}
	return all, rows.Err()
}

// A standing is whether the schema is one that this program works on.
type standing struct {
	unfit atomic.Pointer[error] // why not

	mu   sync.Mutex
	have int64 // the version at the last look; 0: there was none
}

// refusal is why nothing may be written.
func (s *standing) refusal() error {
	if err := s.unfit.Load(); err != nil {
		return *err
	}
	return nil
}

// Fit looks at the schema's version, which others may have moved since the database
// was opened, and returns why this program cannot go on with it (REL R-24). Until the
// next look finds another one, nothing is written.
func (s *Store) Fit(ctx context.Context) error {
	have, err := s.version(ctx)
	if err != nil {
		return err
	}
	t := &s.standing
	t.mu.Lock() // not before: nobody is to wait for an answer that another waits for
	defer t.mu.Unlock()
	err = schema.Works(s.program, have)
	switch {
	case err != nil && have != t.have:
		s.log.Error("this node is not ready and writes nothing: the schema was moved", "error", err)
		t.unfit.Store(&err)
	case err == nil && t.unfit.Swap(nil) != nil:
		s.log.Info("the schema is one that this program works on again", "schema", have, "program", s.program)
	case have == s.program+1 && t.have == s.program:
		s.log.Info("the database schema is one version newer than this program", "schema", have, "program", s.program)
	}
	t.have = have
	return err
}

func (s *Store) version(ctx context.Context) (have int64, err error) {
	c, err := s.pool.Get(ctx)
	if err != nil {
		return 0, err
	}
	defer s.pool.Put(c)
	err = c.Query(ctx, "SELECT COALESCE(max(version_id), 0) FROM schema_version WHERE is_applied",
		func(row sqlstore.Row) error { return row.Scan(&have) })
	if err != nil {
		return 0, refused("schema version", err)
	}
	return have, nil
}
