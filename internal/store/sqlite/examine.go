package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
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

// ErrDamaged is what a look through the file has found.
var ErrDamaged = errors.New("the file is damaged")

// marked is a file beside the database while damage is known: a supervisor starts the
// engine again, and it must not serve each time until the damage is found once more.
func marked(path string) string { return path + "-damaged" }

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
			if e.err = err; errors.Is(err, ErrDamaged) {
				if err := os.WriteFile(marked(path), []byte(e.err.Error()+"\n"), 0o600); err != nil {
					o.Logger.Error("that the database file is damaged cannot be written down for the next start", "err", err)
				}
			}
		default:
			_ = os.Remove(marked(path))
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
		var answer *sqlite.Error
		if errors.As(err, &answer) && (answer.Code()&0xff == sqlitelib.SQLITE_CORRUPT || answer.Code()&0xff == sqlitelib.SQLITE_NOTADB) {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return fmt.Errorf("quick check: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, verdict)
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
// is over, with the damage that it found, an [ErrDamaged], or with why it could not
// look. Without one, or if Close broke it off, that
// is none.
func (s *Store) Examined(ctx context.Context) error {
	if s.examination == nil {
		return nil
	}
	_, err := s.examination.wait(ctx, nil)
	return err
}
