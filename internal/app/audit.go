package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/store"
)

// auditStore gives the sealer its part of the storage port.
type auditStore struct{ store.Store }

func (s auditStore) WriteSeal(ctx context.Context, durable bool, seal audit.Seal, ids []string) error {
	d := store.Relaxed
	if durable {
		d = store.Durable
	}
	return s.InTx(ctx, d, func(tx store.Tx) error { return tx.Seal(seal, ids) })
}

// sourced tells those who record events which request it is.
func sourced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := audit.Source{RequestID: edge.RequestID(r.Context()), IP: edge.RemoteIP(r), UserAgent: printable(r.UserAgent(), 512)}
		next.ServeHTTP(w, r.WithContext(audit.WithSource(r.Context(), s)))
	})
}

// printable is the printable ASCII of s, at most n bytes of it.
func printable(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), n)]
}

// AuditVerify checks the audit log of a data folder, which a running engine may
// have open, and writes what it found to out. What is wrong is the error.
func AuditVerify(ctx context.Context, c config.AuditVerify, out io.Writer) (err error) {
	known, err := audit.ParseCheckpoint(c.Checkpoint)
	if err != nil {
		return fmt.Errorf("--checkpoint: %w", err)
	}
	if err := c.Load(); err != nil {
		return err
	}
	db, err := openLog(ctx, c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	keys, err := keysOf(c.Data)
	if err != nil {
		return err
	}
	r, err := audit.Verify(ctx, db, keys, known)
	var t *audit.Tampered
	if err != nil && !errors.As(err, &t) {
		return err
	}
	good := "sealed"
	if t != nil {
		good = "in order"
	}
	fmt.Fprintf(out, "%s with %s under %s %s.\n", count(r.Rows, "row"), count(r.Events, "event"), count(r.Seals, "seal"), good)
	if r.Seals > 0 {
		fmt.Fprintf(out, "The last of these seals was made at %s.\n", r.SealedAt.Format(time.RFC3339))
	}
	if t != nil {
		return fmt.Errorf("the audit log was tampered with: %w", t)
	}
	fmt.Fprintf(out, "%s not sealed yet.\n", count(int64(r.Unsealed), "row"))
	fmt.Fprintln(out, "Nothing was removed, changed, inserted or moved.")
	if r.Seals > 0 {
		fmt.Fprintln(out, "Checkpoint:", r.Checkpoint)
	}
	return nil
}

// keysOf is the keyring of a data folder's master key.
func keysOf(d config.Data) (*keyring.Keyring, error) {
	master, err := readMasterKey(keyFile(d.Data, d.MasterKeyFile))
	if err != nil {
		return nil, err
	}
	return keyring.New(master)
}

func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}

// followEvery is how often a tail that follows looks for more.
const followEvery = 500 * time.Millisecond

// AuditTail prints events of a data folder's audit log to out; with Follow it
// goes on until ctx ends.
func AuditTail(ctx context.Context, c config.AuditTail, out io.Writer) (err error) {
	since, err := c.SinceTime(time.Now())
	if err != nil {
		return err
	}
	if c.Lines < 0 {
		return errors.New("--lines: must not be negative")
	}
	db, err := openLog(ctx, c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	t := &audit.Tail{
		Log: db, Filter: audit.Filter{Since: since, User: c.User, Type: c.Type}, Lines: c.Lines,
		Print: func(e audit.Event) error {
			_, err := io.WriteString(out, line(e))
			return err
		},
	}
	if c.JSON {
		encoder := json.NewEncoder(out)
		t.Print = func(e audit.Event) error { return encoder.Encode(e) }
	}
	if !since.IsZero() {
		t.Lines = -1
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		if err := t.Next(ctx); err != nil || !c.Follow {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// line is an event for people: time, outcome and type, then what is set of the rest.
func line(e audit.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", e.At.UTC().Format("2006-01-02T15:04:05.000Z"), word(e.Outcome), word(e.Type))
	for _, f := range []struct{ name, value string }{
		{"reason", e.Reason}, {"actor", e.Actor}, {"target", e.Target}, {"authenticator", e.Authenticator}, {"client", e.Client},
		{"transaction", e.Transaction}, {"ip", e.IP}, {"request", e.RequestID}, {"agent", e.UserAgent},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, " %s=%s", f.name, word(f.value))
		}
	}
	return b.String() + "\n"
}

// word quotes whatever could be taken for something else, or would move the
// terminal's cursor (SEC S-143).
func word(s string) string {
	if q := strconv.QuoteToASCII(s); len(q) != len(s)+2 || strings.ContainsAny(s, " =") || s == "" {
		return q
	}
	return s
}
