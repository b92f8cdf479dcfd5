package transfer

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// handful is how many rows are handed over at once.
const handful = 256

// A loader writes the rows of a table while whoever has them makes the next ones. It
// asks the driver itself: database/sql costs a quarter of an insertion.
type loader struct {
	table *Table
	rows  chan [][]any
	next  [][]any
	ended chan error
	err   error
}

func (t *Target) load(ctx context.Context, table *Table) *loader {
	l := &loader{table: table, rows: make(chan [][]any, 4), ended: make(chan error, 1)}
	write := t.f.Load
	if write == nil {
		write = insert
	}
	go func() {
		err := t.f.Conn.Raw(func(c any) error { return write(ctx, c.(driver.Conn), table, l.each()) })
		l.ended <- err
		for range l.rows { // nobody waits for one who has given up
		}
	}()
	return l
}

func (l *loader) each() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for rows := range l.rows {
			for _, row := range rows {
				if !yield(row) {
					return
				}
			}
		}
	}
}

// insert writes what comes by a statement for each row.
func insert(ctx context.Context, conn driver.Conn, t *Table, rows iter.Seq[[]any]) (err error) {
	names := t.ColumnNames()
	values := make([]driver.NamedValue, len(names))
	places := make([]string, len(names))
	for i := range names {
		values[i].Ordinal = i + 1
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	s, err := conn.(driver.ConnPrepareContext).PrepareContext(ctx,
		fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", quoted([]string{t.Name}), quoted(names), strings.Join(places, ", ")))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	each := context.WithoutCancel(ctx) // the driver would start a goroutine for each row, to end what takes no time
	for row := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i, v := range row {
			values[i].Value = v
		}
		if _, err := s.(driver.StmtExecContext).ExecContext(each, values); err != nil {
			return err
		}
	}
	return nil
}

// add hands a row over, which is the loader's from then on.
func (l *loader) add(row []any) error {
	if l.next = append(l.next, row); len(l.next) < handful {
		return nil
	}
	return l.hand()
}

func (l *loader) hand() error {
	select {
	case l.rows <- l.next:
		l.next = nil
		return nil
	case l.err = <-l.ended: // before the rows did
		if l.err == nil {
			l.err = errors.New("rows were left over")
		}
		l.ended <- l.err
		return l.named(l.err)
	}
}

// end returns when all is written, or what was wrong. It must be called once.
func (l *loader) end() error {
	if len(l.next) > 0 && l.err == nil {
		_ = l.hand() // its error is what comes below
	}
	close(l.rows)
	return l.named(<-l.ended)
}

func (l *loader) named(err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", l.table.Name, err)
	}
	return nil
}
