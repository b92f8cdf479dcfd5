package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/store/transfer"
)

// Backup writes all that a database holds at this moment into a file, beside
// engines that write to it. The file has its name once it is whole and on disk.
func Backup(ctx context.Context, c config.Backup, out io.Writer) (err error) {
	CollectSeldom()
	if err := c.Load(); err != nil {
		return err
	}
	var to []age.Recipient
	for _, key := range c.Recipients {
		r, err := age.ParseRecipients(strings.NewReader(key))
		if err != nil {
			return fmt.Errorf("--recipient: %w", err)
		}
		to = append(to, r...)
	}
	if _, err := os.Stat(c.To); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--to: there is a file %s already", c.To)
	}
	from, err := snapshotOf(ctx, c.Place(), false)
	if err != nil {
		return unopened(c.Data, err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := from.Check(ctx); err != nil {
		return err
	}
	key, err := from.Setting(ctx, keySetting)
	if err != nil {
		return err
	}
	var sums []transfer.Sum
	err = writeFile(c.To, func(w io.Writer) error {
		w, end, err := encrypted(w, to)
		if err != nil {
			return err
		}
		sums, err = transfer.Write(ctx, w, from, transfer.Header{Program: Version(), At: time.Now().UTC(), Key: key})
		return errors.Join(err, end())
	})
	if err != nil {
		return fmt.Errorf("no backup was made: %w", err)
	}
	rows := table(out, sums)
	fmt.Fprintf(out, "Wrote %s to %s.\n", count(rows, "row"), c.To)
	if len(to) == 0 {
		fmt.Fprintln(out, "It is not encrypted: names and addresses of people stand in it. Keys and passwords are sealed by the master key.")
	}
	fmt.Fprintln(out, "The master key is not in it: keep that too, in another place.")
	return nil
}

// encrypted encrypts for recipients, if there are any; end writes what is left.
func encrypted(w io.Writer, to []age.Recipient) (_ io.Writer, end func() error, err error) {
	if len(to) == 0 {
		return w, func() error { return nil }, nil
	}
	sealed, err := age.Encrypt(w, to...)
	if err != nil {
		return nil, nil, fmt.Errorf("--recipient: %w", err)
	}
	return sealed, sealed.Close, nil
}

// writeFile writes a file for the owner alone, that appears as a whole.
func writeFile(name string, write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".incomplete-*") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if err := errors.Join(write(tmp), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
