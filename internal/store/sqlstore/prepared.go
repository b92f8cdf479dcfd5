package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// Prepared is a Conn that prepares each query once and keeps it. It is for one
// goroutine at a time. A query that has begun is not interrupted when its
// context ends: this is for databases in the process, where watching a context
// costs more than most queries, and where what [database/sql] puts around a
// statement costs as much as a row. So it asks the driver itself.
type Prepared struct {
	conn  *sql.Conn
	stmts map[string]statement
	args  []driver.NamedValue // of one statement after the other
}

// A statement is what drivers have that know contexts.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// Prepare returns a Conn that runs on c.
func Prepare(c *sql.Conn) *Prepared {
	return &Prepared{conn: c, stmts: make(map[string]statement)}
}

// with runs a statement, for which the connection is the driver's.
func (p *Prepared) with(text string, args []any, run func(statement) error) error {
	return p.conn.Raw(func(c any) error {
		s, err := p.stmt(c, text)
		if err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		p.args = p.args[:0]
		for i, a := range args {
			v, err := value(a)
			if err != nil {
				return fmt.Errorf("argument %d: %w", i+1, err)
			}
			p.args = append(p.args, driver.NamedValue{Ordinal: i + 1, Value: v})
		}
		defer clear(p.args)
		return run(s)
	})
}

func (p *Prepared) stmt(conn any, text string) (statement, error) {
	if s, ok := p.stmts[text]; ok {
		return s, nil
	}
	made, err := conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), text)
	if err != nil {
		return nil, err
	}
	s, ok := made.(statement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a %T knows no contexts", made), made.Close())
	}
	p.stmts[text] = s
	return s, nil
}

// Exec implements [Conn].
func (p *Prepared) Exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = p.with(query, args, func(s statement) error {
		r, err := s.ExecContext(context.WithoutCancel(ctx), p.args)
		if err != nil {
			return err
		}
		n, err = r.RowsAffected()
		return err
	})
	return n, err
}

// Query implements [Conn].
func (p *Prepared) Query(ctx context.Context, query string, one func(Row) error, args ...any) error {
	return p.with(query, args, func(s statement) error {
		rows, err := s.QueryContext(context.WithoutCancel(ctx), p.args)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		r := make(row, len(rows.Columns()))
		for {
			if err := rows.Next(r); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := one(r); err != nil {
				return err
			}
		}
	})
}

// Close ends the statements and gives the connection back.
func (p *Prepared) Close() error {
	var errs []error
	err := p.conn.Raw(func(any) error {
		for _, s := range p.stmts {
			errs = append(errs, s.Close())
		}
		return nil
	})
	return errors.Join(append(errs, err, p.conn.Close())...)
}

// value is an argument as drivers take it.
func value(arg any) (driver.Value, error) {
	switch v := arg.(type) {
	case string, int64, []byte:
		return v, nil
	case int:
		return int64(v), nil
	}
	return driver.DefaultParameterConverter.ConvertValue(arg)
}

// A row is scanned before the next one takes its place. Bytes are the receiver's.
type row []driver.Value

// Scan implements [Row].
func (r row) Scan(dest ...any) error {
	if len(dest) != len(r) {
		return fmt.Errorf("%d columns into %d variables", len(r), len(dest))
	}
	for i, d := range dest {
		if err := assign(d, r[i]); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

// assign is strict: what a query selects has the type of what it is scanned into.
func assign(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case sql.Scanner:
		return d.Scan(v)
	case *[]byte:
		switch v := v.(type) {
		case []byte:
			*d = v
			return nil
		case string:
			*d = []byte(v)
			return nil
		case nil:
			*d = nil
			return nil
		}
	case *string:
		if s, ok := v.(string); ok {
			*d = s
			return nil
		}
	case *int64:
		if n, ok := v.(int64); ok {
			*d = n
			return nil
		}
	default:
		to := reflect.ValueOf(dest).Elem()
		switch v := v.(type) {
		case string:
			if to.Kind() == reflect.String {
				to.SetString(v)
				return nil
			}
		case int64:
			switch {
			case to.CanInt() && !to.OverflowInt(v):
				to.SetInt(v)
				return nil
			case to.Kind() == reflect.Bool:
				to.SetBool(v != 0)
				return nil
			}
		}
	}
	return fmt.Errorf("a %T into a %T", v, dest)
}
