// Package schema takes a database's schema from one version to another: forward,
// and one version back (REL R-24).
//
// A program of schema n works on n+1 too: a migration only adds, and what nobody
// uses any more goes with a later one. So nodes of two versions run side by side.
package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// A Schema is that of one database, which its adapter describes.
type Schema struct {
	DB         *sql.DB
	Dialect    goose.Dialect
	Migrations fs.FS // NNNNN_name.sql
	// Exists is the query for whether there is a table schema_version.
	Exists string
	// Locker keeps out other processes that migrate; nil where there are none.
	Locker lock.SessionLocker
	// Held reports whether a step failed because somebody else holds a table; nil
	// where nobody does.
	Held func(error) bool
	// Back returns why the step back from a version would hold others up for longer
	// than they may wait, and when it will not; nil where it never does. The migration
	// looks itself as well: what Back counts may grow until it has the tables.
	Back func(ctx context.Context, version int64) error
	// Connected returns the programs that have the database open; nil where none can
	// beside a migration, or where they are not to be asked about.
	Connected func(ctx context.Context) ([]Program, error)
	Logger    *slog.Logger
}

// A Program has a database open.
type Program struct {
	Schema int64  // its version
	Name   string // for who operates it
}

func (p Program) worksOn(version int64) bool { return version == p.Schema || version == p.Schema+1 }

// Works returns why a program cannot go on with a database that has a version.
func Works(program, have int64) error {
	switch {
	case (Program{Schema: program}).worksOn(have):
		return nil
	case have > program:
		return fmt.Errorf("the database has schema version %d, this program works on %d and %d: replace it by a newer one", have, program, program+1)
	}
	return fmt.Errorf("the database has schema version %d, this program works on %d and %d: replace it by an older one, or run stile migrate", have, program, program+1)
}

// ErrNone is returned for a database that has never been one of this program.
var ErrNone = errors.New("there is nothing of Stile in the database")

func (s *Schema) provider() (*goose.Provider, error) {
	options := []goose.ProviderOption{
		goose.WithTableName("schema_version"), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()),
	}
	if s.Locker != nil {
		options = append(options, goose.WithSessionLocker(s.Locker))
	}
	p, err := goose.NewProvider(s.Dialect, s.DB, s.Migrations, options...)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}

// Version returns the version that the database has, 0 if it has none. It changes
// nothing.
func (s *Schema) Version(ctx context.Context) (int64, error) { return s.VersionOn(ctx, s.DB) }

// VersionOn is Version as it is seen from within a transaction.
func (s *Schema) VersionOn(ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (have int64, err error) {
	there := false
	if err = q.QueryRowContext(ctx, s.Exists).Scan(&there); err == nil && there {
		err = q.QueryRowContext(ctx, "SELECT COALESCE(max(version_id), 0) FROM schema_version WHERE is_applied").Scan(&have)
	}
	if err != nil {
		return 0, fmt.Errorf("schema version: %w", err)
	}
	return have, nil
}

// versions returns the database's version and this program's.
func (s *Schema) versions(ctx context.Context) (have, want int64, p *goose.Provider, err error) {
	if p, err = s.provider(); err == nil {
		want, err = s.Newest()
	}
	if err == nil {
		have, err = s.Version(ctx)
	}
	return have, want, p, err
}

// Readable returns why this program cannot read the database. It changes nothing.
func (s *Schema) Readable(ctx context.Context) error {
	have, want, _, err := s.versions(ctx)
	switch {
	case err != nil:
		return err
	case have == 0:
		return ErrNone
	case have != want && have != want+1:
		return fmt.Errorf("the database has schema version %d, this program reads %d", have, want)
	}
	return nil
}

// Ready makes the schema fit for this program, as a node does at its start: it
// makes a new one, or brings that of the version before up to date. One of the
// next version is left as it is. What is further away is refused.
func (s *Schema) Ready(ctx context.Context) error {
	have, want, p, err := s.versions(ctx)
	switch {
	case err != nil:
		return err
	case have == want:
		return nil
	case have == want+1:
		s.Logger.Info("the database schema is one version newer than this program", "schema", have, "program", want)
		return nil
	case have > want:
		return fmt.Errorf("the database has schema version %d, this program knows %d: it was written by a newer one; "+
			"use that one, or take the schema back step by step with stile migrate --to of the newer ones", have, want)
	case have > 0 && have < want-1:
		if moving, err := s.moves(ctx, have); err != nil {
			return err
		} else if moving {
			return s.Ready(ctx)
		}
		return fmt.Errorf("the database has schema version %d, this program has %d, more than one step away: "+
			"nodes of both cannot run side by side; stop all nodes, make a backup, and run stile migrate", have, want)
	}
	if err := s.strands(ctx, have, want); err != nil {
		return err
	}
	if err := s.to(ctx, p, want); err != nil {
		return err
	}
	s.Logger.Info("database schema brought up to date", "from", have, "to", want)
	return nil
}

// moves reports whether another node is at work on the schema: one that makes a new
// one goes through all versions.
func (s *Schema) moves(ctx context.Context, have int64) (bool, error) {
	for end := time.Now().Add(2 * endsWithin); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(endsWithin / 20):
		}
		if now, err := s.Version(ctx); err != nil || now != have {
			return now != have, err
		}
	}
	return false, nil
}

// Newest is this program's version.
func (s *Schema) Newest() (int64, error) {
	files, err := fs.Glob(s.Migrations, "*.sql") // in ascending order
	if err == nil && len(files) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return 0, fmt.Errorf("migrations: %w", err)
	}
	return goose.NumericComponent(files[len(files)-1])
}

// Current returns why the rows of a database with a version cannot be moved: it
// must be this program's.
func (s *Schema) Current(version int64) error {
	want, err := s.Newest()
	switch {
	case err != nil:
		return err
	case version == 0:
		return ErrNone
	case version < want:
		return fmt.Errorf("the database has schema version %d, this program has %d: run stile migrate first", version, want)
	case version > want:
		return fmt.Errorf("the database has schema version %d, this program has %d: use a newer one", version, want)
	}
	return nil
}

// created finds tables, and not partitions of them.
var created = regexp.MustCompile(`(?m)^CREATE TABLE (\w+) \(`)

// Tables are the names of all tables that a migration has ever made.
func (s *Schema) Tables() ([]string, error) {
	files, err := fs.Glob(s.Migrations, "*.sql")
	var names []string
	for _, f := range files {
		var text []byte
		if text, err = fs.ReadFile(s.Migrations, f); err != nil {
			break
		}
		for _, m := range created.FindAllSubmatch(text, -1) {
			if name := string(m[1]); !slices.Contains(names, name) { // one may be made anew
				names = append(names, name)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return names, nil
}
