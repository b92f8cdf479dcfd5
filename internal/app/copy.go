package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/sqlite"
	"github.com/stile-id/stile/internal/store/transfer"
)

// snapshotOf opens a database as it is now; alone keeps engines away meanwhile.
func snapshotOf(ctx context.Context, p config.Place, alone bool) (*transfer.Snapshot, error) {
	if u := p.Postgres(); u != "" {
		return postgres.Snapshot(ctx, u, alone)
	}
	s, err := sqlite.Snapshot(ctx, p.SQLite(), alone)
	if errors.Is(err, sqlite.ErrInUse) {
		err = fmt.Errorf("%w; stop the engine first", err)
	}
	return s, err
}

func targetOf(ctx context.Context, p config.Place) (*transfer.Target, error) {
	if u := p.Postgres(); u != "" {
		return postgres.Fill(ctx, u)
	}
	return sqlite.Create(ctx, p.SQLite())
}

// Copy moves a database to another place, of either kind, and writes to out what
// both hold. If it fails there is nothing at the new place, but for the one failure
// that says so.
func Copy(ctx context.Context, c config.Copy, out io.Writer) (err error) {
	CollectSeldom()
	if err := c.Load(); err != nil {
		return err
	}
	from, err := snapshotOf(ctx, c.From, true)
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := from.Check(ctx); err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	to, err := targetOf(ctx, c.To)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	sums, err := transfer.Copy(ctx, from, to)
	if err == nil {
		err = to.Commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("nothing was copied: %w", err)
	}
	// What is on disk now is whole: nobody can write until from is closed. But who has
	// come meanwhile would go on there.
	if err := from.Alone(ctx); err != nil {
		return fmt.Errorf("all was copied, but --from is not left alone: stop what uses it, or use it on and remove the copy: %w", err)
	}
	rows := table(out, sums)
	fmt.Fprintf(out, "Copied %s; both sides hold the same.\n\n", count(rows, "row"))
	fmt.Fprintln(out, "Take along what is not in the database: the master key, without which nothing that is sealed there can be\n"+
		"opened, and the settings. Then start the engine on the new database, and not on the old one again.")
	return nil
}

// table prints what tables hold, and returns how many rows that is.
func table(out io.Writer, sums []transfer.Sum) (rows int64) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range sums {
		fmt.Fprintf(w, "%s\t%d\t%s\n", s.Table, s.Rows, s.Hash)
		rows += s.Rows
	}
	_ = w.Flush()
	return rows
}
