package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
)

// look makes the commits of a connection durable, whatever the server's own setting
// is, and asks what there is to tell of. A setting of the connection stays when the
// server reads its own anew.
const look = `
	SELECT set_config('synchronous_commit', CASE commit WHEN 'remote_apply' THEN commit ELSE 'on' END, false),
		commit, pg_postmaster_start_time()::text, current_setting('server_version_num')::int, current_setting('server_encoding'),
		current_setting('fsync'), current_setting('synchronous_standby_names'), (SELECT count(*) FROM pg_stat_replication)
	FROM (SELECT current_setting('synchronous_commit') AS commit OFFSET 0) AS server` // read before it is set

// A server is what is asked of one.
type server struct {
	commit, began, encoding, fsync, synchronous string
	version, standbys                           int
}

func (v *server) scan(row interface{ Scan(...any) error }) error {
	durable := ""
	return row.Scan(&durable, &v.commit, &v.began, &v.version, &v.encoding, &v.fsync, &v.synchronous, &v.standbys)
}

// inspect refuses what cannot work, and tells of what can lose data.
func (s *Store) inspect(ctx context.Context, db *sql.DB) error {
	var v server
	if err := v.scan(db.QueryRowContext(ctx, look)); err != nil {
		return err
	}
	if v.version < oldest*10000 {
		return fmt.Errorf("the server is PostgreSQL %d, the oldest that serves is %d", v.version/10000, oldest)
	}
	if v.encoding != "UTF8" {
		return fmt.Errorf("the database's encoding is %s; it must be UTF8", v.encoding)
	}
	s.tell(v)
	return nil
}

// greet makes a new connection one whose commits are durable: it may lead to
// another server than those before, as after a failover (REL R-01).
func (s *Store) greet(ctx context.Context, c *pgx.Conn) error {
	var v server
	if err := v.scan(c.QueryRow(ctx, look, pgx.QueryExecModeSimpleProtocol)); err != nil { // one round trip
		_ = c.Close(ctx) // the driver forgets it
		return err
	}
	s.tell(v)
	return nil
}

// told is what was said of the server of the last connection.
type told struct {
	mu    sync.Mutex
	began string
	said  map[string]bool
}

// once reports whether something is to be said: not again of the same server, until
// it has restarted.
func (t *told) once(v server, what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.began != v.began || t.said == nil {
		t.began, t.said = v.began, map[string]bool{}
	}
	said := t.said[what]
	t.said[what] = true
	return !said
}

// tell says what can lose data, once it is so: a standby may come later.
func (s *Store) tell(v server) {
	if v.commit != "on" && v.commit != "remote_apply" && s.told.once(v, v.commit) {
		s.log.Warn("the database has synchronous_commit = "+v.commit, "instead", "on, where a commit must be durable")
	}
	if v.fsync != "on" && s.told.once(v, "fsync") {
		s.log.Warn("the database has fsync = off: no commit survives the loss of power")
	}
	if v.standbys > 0 && v.synchronous == "" && s.told.once(v, "standbys") { // REL R-11
		s.log.Warn("no standby of the database is synchronous: a failover may lose the last moments", "standbys", v.standbys)
	}
}
