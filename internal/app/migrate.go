package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/schema"
	"github.com/stile-id/stile/internal/store/sqlite"
)

// A migrating database is open for its migrations alone.
type migrating interface {
	Plan(ctx context.Context, to int64) (have int64, steps []schema.Step, err error)
	Apply(ctx context.Context, to int64, done func(schema.Step)) error
	Close() error
}

func openSchema(ctx context.Context, c config.Migrate) (migrating, error) {
	d, look := c.Data, c.DryRun
	if err := d.Load(); err != nil {
		return nil, err
	}
	if d.Database != "" {
		s, err := postgres.OpenSchema(ctx, d.Database, look)
		if err != nil {
			return nil, err
		}
		if c.DespiteNodes {
			s.Connected = nil
		}
		return s, nil
	}
	s, err := sqlite.OpenSchema(ctx, databaseFile(d.Data), look)
	if err != nil {
		return nil, unopened(d, err)
	}
	return s, nil
}

// unopened says of a folder's database, which could not be opened, what to do.
func unopened(d config.Data, err error) error {
	switch {
	case errors.Is(err, sqlite.ErrInUse):
		return fmt.Errorf("%w; stop the engine first", err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no database: %w", d.Folder(), err)
	}
	return err
}

// Migrate takes the schema of a database to another version, and writes each
// step to out. A step is made as a whole or not at all.
func Migrate(ctx context.Context, c config.Migrate, out io.Writer) (err error) {
	if c.To < 0 {
		return fmt.Errorf("--to: there is no schema version %d", c.To)
	}
	db, err := openSchema(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	have, steps, err := db.Plan(ctx, c.To)
	switch {
	case err != nil:
		return err
	case len(steps) == 0:
		fmt.Fprintf(out, "Nothing to do: the schema has version %d.\n", have)
		return nil
	case c.DryRun:
		for _, step := range steps {
			fmt.Fprintln(out, step)
		}
		fmt.Fprintf(out, "%s to make; nothing was changed.\n", count(int64(len(steps)), "step"))
		return nil
	}
	err = db.Apply(ctx, c.To, func(step schema.Step) { fmt.Fprintln(out, step) })
	if err != nil {
		return fmt.Errorf("%w; the steps above are made, this one is not, and stile migrate can be run again", err)
	}
	fmt.Fprintln(out, "Done.")
	return nil
}
