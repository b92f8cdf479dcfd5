// Package transfer moves all rows of a database into another one, or into a file
// and back, of whichever kind the databases are.
//
// The tables are those of the catalog, so none can be forgotten. A row has one
// form in bytes, in which rows are hashed and kept in files: what two databases
// hold can be compared.
package transfer

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
)

// The types of columns.
const (
	Text    = "text"
	Integer = "integer"
	Bytes   = "bytes"
)

// A Column of a table. None is ever null.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// A Table as the database's catalog has it.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"` // in the order of their names
	Key     []string `json:"key"`     // the primary key

	parents []string // tables that its rows belong to
}

func (t *Table) same(u *Table) bool {
	return t.Name == u.Name && slices.Equal(t.Columns, u.Columns) && slices.Equal(t.Key, u.Key)
}

// A Catalog is how a database tells of its tables.
type Catalog struct {
	// Columns is the query for the columns of table $1: name, type, and the place
	// in the primary key, counted from 1; 0 for none.
	Columns string
	// Parents is the query for the tables that $1 refers to.
	Parents string
	// Types are the names of types in the catalog, in lower case.
	Types map[string]string
}

// tables reads those of the names that are there, parents before children.
func (c *Catalog) tables(ctx context.Context, conn *sql.Conn, names []string) ([]Table, error) {
	var all []Table
	for _, name := range names {
		t, err := c.table(ctx, conn, name)
		if err != nil {
			return nil, fmt.Errorf("catalog of %s: %w", name, err)
		}
		if len(t.Columns) > 0 {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
	var sorted []Table
	for len(all) > 0 {
		i := slices.IndexFunc(all, func(t Table) bool {
			return !slices.ContainsFunc(all, func(u Table) bool { return u.Name != t.Name && slices.Contains(t.parents, u.Name) })
		})
		if i < 0 {
			return nil, fmt.Errorf("tables refer to each other in a circle: %s", all[0].Name)
		}
		sorted = append(sorted, all[i])
		all = slices.Delete(all, i, i+1)
	}
	return sorted, nil
}

func (c *Catalog) table(ctx context.Context, conn *sql.Conn, name string) (t Table, err error) {
	t.Name = name
	key := map[int64]string{}
	err = each(ctx, conn, c.Columns, func(rows *sql.Rows) error {
		var column, kind string
		var place int64
		if err := rows.Scan(&column, &kind, &place); err != nil {
			return err
		}
		known, ok := c.Types[strings.ToLower(kind)]
		if !ok {
			return fmt.Errorf("column %s is of a type that is not known: %s", column, kind)
		}
		key[place] = column
		t.Columns = append(t.Columns, Column{column, known})
		return nil
	}, name)
	if err != nil {
		return t, err
	}
	delete(key, 0)
	slices.SortFunc(t.Columns, func(a, b Column) int { return strings.Compare(a.Name, b.Name) })
	for place := int64(1); key[place] != ""; place++ {
		t.Key = append(t.Key, key[place])
	}
	if len(t.Columns) > 0 && len(t.Key) == 0 {
		return t, errors.New("there is no primary key")
	}
	err = each(ctx, conn, c.Parents, func(rows *sql.Rows) error {
		var parent string
		err := rows.Scan(&parent)
		t.parents = append(t.parents, parent)
		return err
	}, name)
	return t, err
}

func each(ctx context.Context, conn *sql.Conn, query string, visit func(*sql.Rows) error, args ...any) error {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// A Sum says what a table holds: how many rows, and the SHA-256 of all of them in
// the order of their keys.
type Sum struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Hash  string `json:"sha256"`
}

// A summing is a Sum in the making.
type summing struct {
	table string
	rows  int64
	hash  hash.Hash
}

func newSum(table string) *summing { return &summing{table: table, hash: sha256.New()} }

func (s *summing) add(row []byte) {
	s.rows++
	s.hash.Write(row)
}

func (s *summing) sum() Sum { return Sum{s.table, s.rows, hex.EncodeToString(s.hash.Sum(nil))} }

// quoted are names for a statement.
func quoted(names []string) string { return `"` + strings.Join(names, `", "`) + `"` }

// ColumnNames are the names of its columns, in the order of a row's values.
func (t *Table) ColumnNames() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// rows hands the rows of a table to visit, in the order of the key, as values and
// as bytes, which are visit's only until it returns. It asks the driver itself.
func (t *Table) rows(ctx context.Context, conn *sql.Conn, visit func(row []any, bytes []byte) error) (Sum, error) {
	sum := newSum(t.Name)
	query := "SELECT " + quoted(t.ColumnNames()) + " FROM " + quoted([]string{t.Name}) + " ORDER BY " + quoted(t.Key)
	err := conn.Raw(func(c any) error {
		rows, err := c.(driver.QueryerContext).QueryContext(ctx, query, nil)
		if err != nil {
			return err
		}
		return errors.Join(t.read(ctx, rows, func(row []any, bytes []byte) error {
			sum.add(bytes)
			return visit(row, bytes)
		}), rows.Close())
	})
	if err != nil {
		return Sum{}, fmt.Errorf("%s: %w", t.Name, err)
	}
	return sum.sum(), nil
}

func (t *Table) read(ctx context.Context, rows driver.Rows, visit func(row []any, bytes []byte) error) error {
	var buf []byte
	values := make([]driver.Value, len(t.Columns))
	for {
		err := ctx.Err() // of which drivers know nothing once rows come
		if err == nil {
			err = rows.Next(values)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		row := make([]any, len(values))
		for i, v := range values {
			ok := false
			if row[i], ok = t.Columns[i].value(v); !ok {
				return fmt.Errorf("a row has %T in %s", v, t.Columns[i].Name)
			}
		}
		buf = t.encode(buf[:0], row)
		if err := visit(row, buf); err != nil {
			return err
		}
	}
}

// value is what a driver says of a column, kept: bytes are the driver's until the next row.
func (c Column) value(v driver.Value) (any, bool) {
	switch v := v.(type) {
	case int64:
		return v, c.Type == Integer
	case string:
		return v, c.Type == Text
	case []byte:
		if c.Type == Text {
			return string(v), true
		}
		return append([]byte{}, v...), c.Type == Bytes
	}
	return []byte{}, v == nil && c.Type == Bytes // how SQLite reads none; null would be nil too, and is in no column
}
