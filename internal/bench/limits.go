package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// A limit is what this machine can do of one thing that journeys are made of.
type limit struct {
	name string
	// people ask for it at a time.
	people int
	// make returns what is done each time, the process whose processor time it is,
	// and what ends both.
	make func(ctx context.Context, f flags, box *mailbox) (act func(context.Context) error, pid int, stop func() error, err error)
}

const limitsHead = `| limit | at a time | per s | p50 ms | p99 ms | CPU ms |
|---|--:|--:|--:|--:|--:|
`

func allLimits(postgres bool) []limit {
	all := []limit{
		{"bare net/http on loopback, JSON", 1, bareHTTP},
		{"bare net/http on loopback, JSON", 32, bareHTTP},
		{"page of 4 KiB appended and forced to disk", 1, forced},
		{"SQLite commit of a row, forced to disk", 1, func(ctx context.Context, _ flags, _ *mailbox) (func(context.Context) error, int, func() error, error) {
			dir, err := os.MkdirTemp("", "stile-bench")
			if err != nil {
				return nil, 0, nil, err
			}
			act, stop, err := commits(ctx, "sqlite", filepath.Join(dir, "limit.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)", "INSERT INTO probe (data) VALUES (?)", "INTEGER PRIMARY KEY", "BLOB")
			return act, os.Getpid(), func() error { return errors.Join(stop(), os.RemoveAll(dir)) }, err
		}},
	}
	if postgres {
		all = append(all, limit{"PostgreSQL commit of a row, forced to disk", 1, func(ctx context.Context, f flags, _ *mailbox) (func(context.Context) error, int, func() error, error) {
			url, err := newDatabase(ctx, f.postgres)
			if err != nil {
				return nil, 0, nil, err
			}
			act, stop, err := commits(ctx, "pgx", url, "INSERT INTO probe (data) VALUES ($1)", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA")
			return act, os.Getpid(), stop, err
		}})
	}
	for _, alg := range []string{"RS256", "ES256"} {
		all = append(all, limit{alg + " signature", 1, func(context.Context, flags, *mailbox) (func(context.Context) error, int, func() error, error) {
			sign, hash := signer(alg), sha256.Sum256([]byte(alg))
			return func(context.Context) error { sign(hash[:]); return nil }, os.Getpid(), func() error { return nil }, nil
		}})
	}
	return all
}

// limits prints what the machine can do.
func (f flags) limits(ctx context.Context, box *mailbox) error {
	fmt.Printf("\nlimits of the machine, %v each\n\n%s", f.span, limitsHead)
	for _, l := range allLimits(f.postgres != "") {
		if err := f.limit(ctx, box, l); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return nil
}

func (f flags) limit(ctx context.Context, box *mailbox, l limit) (err error) {
	act, pid, stop, err := l.make(ctx, f, box)
	if stop != nil {
		defer func() { err = errors.Join(err, stop()) }()
	}
	if err != nil {
		return err
	}
	if _, err := repeat(ctx, f.span/10, l.people, act); err != nil { // caches fill
		return err
	}
	cpu, err := cpuOf(pid)
	if err != nil {
		return err
	}
	begin := time.Now()
	took, err := repeat(ctx, f.span, l.people, act)
	if err != nil {
		return err
	}
	span := time.Since(begin)
	used, err := cpuOf(pid)
	if err != nil {
		return err
	}
	slices.Sort(took)
	n := len(took)
	fmt.Printf("| %s | %d | %.0f | %.3f | %.3f | %.3f |\n", l.name, l.people, float64(n)/span.Seconds(),
		millis(took[n/2]), millis(took[n*99/100]), millis(used-cpu)/float64(n))
	return nil
}

// repeat has so many people do something again and again for a time, once at least.
func repeat(ctx context.Context, span time.Duration, people int, act func(context.Context) error) (took []time.Duration, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	end := time.Now().Add(span)
	for range people {
		all.Go(func() {
			var own []time.Duration
			var failed error
			for failed == nil && ctx.Err() == nil && (len(own) == 0 || time.Now().Before(end)) {
				begin := time.Now()
				failed = act(ctx)
				own = append(own, time.Since(begin))
			}
			mu.Lock()
			defer mu.Unlock()
			took, err = append(took, own...), errors.Join(err, failed)
		})
	}
	all.Wait()
	return took, errors.Join(err, ctx.Err())
}

// bareHTTP is a server that reads a step of a flow and answers, and does nothing else.
func bareHTTP(ctx context.Context, f flags, box *mailbox) (func(context.Context) error, int, func() error, error) {
	all, err := f.open(ctx, setting{server: "bare", alg: "RS256", nodes: 1}, box.url)
	if err != nil {
		return nil, 0, all.stop, err
	}
	p := newVisitor(all, box).someone()
	return func(ctx context.Context) error {
		_, err := p.post(ctx, "/", "application/json", `{"handle":"02c3n6sVyNVnC9mXzVDFGdZPwrJc9Oe8","email":"ada@example.com","code":"123456"}`)
		return err
	}, all[0].cmd.Process.Pid, all.stop, nil
}

func newBare() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in floorAsk
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply(w, map[string]any{"handle": in.Handle})
	})
}

// forced appends to a file where the databases are, and waits for the disk.
func forced(context.Context, flags, *mailbox) (func(context.Context) error, int, func() error, error) {
	file, err := os.CreateTemp("", "stile-bench")
	if err != nil {
		return nil, 0, nil, err
	}
	page := make([]byte, 4096)
	return func(context.Context) error {
		_, err := file.Write(page)
		return errors.Join(err, file.Sync())
	}, os.Getpid(), func() error { return errors.Join(file.Close(), os.Remove(file.Name())) }, nil
}

// commits are of one connection, a row each.
func commits(ctx context.Context, driver, url, insert, id, data string) (func(context.Context) error, func() error, error) {
	db, err := sql.Open(driver, url)
	if err != nil {
		return nil, func() error { return nil }, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "CREATE TABLE probe (id "+id+", data "+data+")"); err != nil {
		return nil, db.Close, err
	}
	stmt, err := db.PrepareContext(ctx, insert)
	if err != nil {
		return nil, db.Close, err
	}
	row := make([]byte, 200)
	return func(ctx context.Context) error {
		_, err := stmt.ExecContext(ctx, row)
		return err
	}, func() error { return errors.Join(stmt.Close(), db.Close()) }, nil
}
