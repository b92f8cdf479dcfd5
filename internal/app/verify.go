package app

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/verify"
)

// Verify looks through a database, which engines may have open, for what must
// never be so, and writes a line for each such thing to out. Any is an error.
func Verify(ctx context.Context, c config.Verify, out io.Writer) (err error) {
	CollectSeldom()
	if err := c.Load(); err != nil {
		return err
	}
	keys, err := keysOf(c.Data)
	if err != nil {
		return err
	}
	rows, err := snapshotOf(ctx, c.Place(), false)
	if err != nil {
		return unopened(c.Data, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	findings := int64(0)
	found := func(f verify.Finding) {
		findings++
		fmt.Fprintln(out, f)
	}
	if err := rows.Check(ctx); err != nil {
		return err
	}
	known, err := rows.Setting(ctx, keySetting)
	if err != nil {
		return err
	}
	if want := keys.MAC("master key", keySetting); !hmac.Equal(known, want[:]) {
		return errors.New("master key: the database was begun under another one")
	}
	r, err := verify.Run(ctx, rows, keys, found)
	if err != nil {
		return err
	}
	sealed, err := verifyLog(ctx, c.Data, keys, found)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Looked through %s and %s.\n", count(r.Rows, "row"), count(sealed.Seals, "seal"))
	if findings > 0 {
		return fmt.Errorf("%s of what must never be so", count(findings, "finding"))
	}
	fmt.Fprintln(out, "Nothing is as it must not be.")
	return nil
}

// verifyLog looks at the seals of the audit log, which goes on meanwhile.
func verifyLog(ctx context.Context, d config.Data, keys *keyring.Keyring, found func(verify.Finding)) (r audit.Report, err error) {
	log, err := openLog(ctx, d)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	r, err = audit.Verify(ctx, log, keys, audit.Checkpoint{})
	var t *audit.Tampered
	if errors.As(err, &t) {
		found(verify.Finding{Invariant: "I9", What: "the audit log was tampered with: " + t.What})
		err = nil
	}
	return r, err
}
