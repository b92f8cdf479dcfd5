package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Prepared is a Conn that prepares each query once and keeps it. It is for one
// goroutine at a time. A query that has begun is not interrupted when its
// context ends: this is for databases in the process, where watching a context
// costs more than most queries.
type Prepared struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// Prepare returns a Conn that runs on c.
func Prepare(c *sql.Conn) *Prepared {
	return &Prepared{conn: c, stmts: make(map[string]*sql.Stmt)}
}

func (p *Prepared) stmt(text string) (*sql.Stmt, error) {
	if s, ok := p.stmts[text]; ok {
		return s, nil
	}
	s, err := p.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	p.stmts[text] = s
	return s, nil
}

// ExecContext implements [Conn].
func (p *Prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := p.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.WithoutCancel(ctx), args...)
}

// QueryContext implements [Conn].
func (p *Prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := p.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(context.WithoutCancel(ctx), args...)
}

// Close ends the statements and gives the connection back.
func (p *Prepared) Close() error {
	var errs []error
	for _, s := range p.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, p.conn.Close())...)
}
