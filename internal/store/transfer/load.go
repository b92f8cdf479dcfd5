package transfer

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
)

// handful is how many values are handed over at once.
const handful = 4096

// A loader writes the rows of a table, in batches, while whoever has them makes the
// next ones. It asks the driver itself: database/sql costs a quarter of an insertion.
type loader struct {
	table *Table
	rows  chan []driver.NamedValue // values of whole rows
	next  []driver.NamedValue
	ended chan error
	err   error
}

func (t *Target) load(ctx context.Context, table *Table) *loader {
	l := &loader{table: table, rows: make(chan []driver.NamedValue, 4), ended: make(chan error, 1)}
	go func() {
		err := t.f.Conn.Raw(func(c any) error { return l.write(ctx, c.(driver.Conn), t.f.Batch) })
		l.ended <- err
		for range l.rows { // nobody waits for one who has given up
		}
	}()
	return l
}

// write writes what comes, in statements of so many rows each.
func (l *loader) write(ctx context.Context, conn driver.Conn, batch int) (err error) {
	columns := len(l.table.Columns)
	full, err := conn.(driver.ConnPrepareContext).PrepareContext(ctx, l.statement(batch))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, full.Close()) }()
	each := ctx
	if batch == 1 { // whose driver would start a goroutine for each row, to end what takes no time
		each = context.WithoutCancel(ctx)
	}
	var pending []driver.NamedValue
	exec := func(s driver.Stmt, values []driver.NamedValue) error {
		for i := range values {
			values[i].Ordinal = i + 1
		}
		_, err := s.(driver.StmtExecContext).ExecContext(each, values)
		return err
	}
	for rows := range l.rows {
		pending = append(pending, rows...)
		left := pending
		if err := ctx.Err(); err != nil {
			return err
		}
		for ; len(left) >= batch*columns; left = left[batch*columns:] {
			if err := exec(full, left[:batch*columns]); err != nil {
				return err
			}
		}
		pending = append(pending[:0], left...)
	}
	if len(pending) == 0 {
		return nil
	}
	rest, err := conn.(driver.ConnPrepareContext).PrepareContext(ctx, l.statement(len(pending)/columns))
	if err != nil {
		return err
	}
	return errors.Join(exec(rest, pending), rest.Close())
}

func (l *loader) statement(rows int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES ", quoted([]string{l.table.Name}), quoted(l.table.columnNames()))
	for i := range rows * len(l.table.Columns) {
		switch {
		case i == 0:
			b.WriteString("($1")
		case i%len(l.table.Columns) == 0:
			fmt.Fprintf(&b, "), ($%d", i+1)
		default:
			fmt.Fprintf(&b, ", $%d", i+1)
		}
	}
	b.WriteString(")")
	return b.String()
}

// add hands a row over. Its values are the loader's from then on.
func (l *loader) add(row []any) error {
	if l.next == nil {
		l.next = make([]driver.NamedValue, 0, handful+len(row))
	}
	for _, v := range row {
		l.next = append(l.next, driver.NamedValue{Value: v})
	}
	if len(l.next) < handful {
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
