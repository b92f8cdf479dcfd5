package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// examineWait is how long Open waits for the look through the file: what is left of the
// two seconds that a start may take (REL R-21) is for the rest of it.
const examineWait = time.Second

// An examination looks through the file for damage (REL R-05), on a connection of its
// own that nobody waits for. It is one statement and so one snapshot: until it is over,
// what is written meanwhile stays in the log.
type examination struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // what was found, once done
}

func examine(path string, o Options) *examination {
	ctx, cancel := context.WithCancel(context.Background())
	e := &examination{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		began := time.Now()
		err := quickCheck(ctx, path)
		switch {
		case ctx.Err() != nil: // broken off by Close: nothing is known
		case err != nil:
			e.err = err
		default:
			o.Logger.Info("the database file was looked through, nothing is damaged", "took", time.Since(began).Round(time.Millisecond).String())
		}
	}()
	return e
}

func quickCheck(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", dsn(path, readerPragmas))
	if err != nil {
		panic(err) // the driver is linked in and opens nothing yet
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("quick check: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("the file is damaged: %s", verdict)
	}
	return nil
}

// wait returns what was found, or over: false if it is not over when patience is.
func (e *examination) wait(ctx context.Context, patience <-chan time.Time) (over bool, err error) {
	select {
	case <-e.done:
		return true, e.err
	case <-patience:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// end breaks it off.
func (e *examination) end() {
	e.cancel()
	<-e.done
}

// Examined returns once the look through the file, which Open may have left under way,
// is over, with the damage that it found. Without one, or if Close broke it off, that
// is none.
func (s *Store) Examined(ctx context.Context) error {
	if s.examination == nil {
		return nil
	}
	_, err := s.examination.wait(ctx, nil)
	return err
}
