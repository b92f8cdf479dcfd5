package app

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/store/transfer"
)

// Restore makes a database of a backup, where none is. If it fails there is
// nothing at the place. What was under way when the backup was made does not go
// on, and what was ended since is not in force again (SEC S-152, REL ).
func Restore(ctx context.Context, c config.Restore, out io.Writer) (err error) {
	CollectSeldom()
	if err := c.Load(); err != nil {
		return err
	}
	erased, err := readErased(c.Erased)
	if err != nil {
		return fmt.Errorf("--erased: %w", err)
	}
	// The whole file is looked through before anything is made.
	whole, end, err := openBackup(c)
	if err != nil {
		return err
	}
	_, err = whole.Check()
	if err = errors.Join(err, end()); err != nil {
		return fmt.Errorf("--from %s: %w", c.From, err)
	}
	hasKey, err := backupKey(c, whole.Key)
	if err != nil {
		return err
	}
	to, err := targetOf(ctx, c.To)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if whole.Schema != to.Schema() {
		return fmt.Errorf("--from %s: the backup has schema version %d, this program has %d: restore it with the program that made it (%s), then upgrade",
			c.From, whole.Schema, to.Schema(), whole.Program)
	}
	file, end, err := openBackup(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	sums, err := file.Restore(ctx, to)
	var gone []string
	if err == nil {
		at := time.Now()
		if at.Before(file.At) { // what was issued before must not be later
			at = file.At
		}
		gone, err = void(ctx, to, at, erased, !c.KeepSignIns)
	}
	if err == nil {
		err = to.Commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	rows := table(out, sums)
	fmt.Fprintf(out, "Restored %s as of %s; they are what the backup holds.\n", count(rows, "row"), file.At.Format(time.RFC3339))
	fmt.Fprintln(out, "Open sign-ins, codes, links and tokens of operators are void, and mail that waited is not sent.")
	if !c.KeepSignIns {
		fmt.Fprintln(out, "Everybody is signed out.")
	}
	fmt.Fprintln(out, "Whoever was disabled and whatever was changed since then is as it was; look at the audit log of the old database.")
	if len(erased) > 0 {
		fmt.Fprintf(out, "Of %s to leave out, %d were in the backup.\n", count(int64(len(erased)), "user"), len(gone))
	}
	if !hasKey {
		fmt.Fprintln(out, "The master key is not there yet: bring it before the engine starts. No other one will do.")
	}
	return nil
}

// openBackup opens the file of a backup, which may be encrypted.
func openBackup(c config.Restore) (_ *transfer.File, end func() error, err error) {
	f, err := os.Open(c.From)
	if err != nil {
		return nil, nil, fmt.Errorf("--from: %w", err)
	}
	in, err := decrypted(f, c.Identity)
	var file *transfer.File
	if err == nil {
		file, err = transfer.Open(in)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("--from %s: %w", c.From, errors.Join(err, f.Close()))
	}
	return file, f.Close, nil
}

// sealedBy begins a file of age.
const sealedBy = "age-encryption.org/"

func decrypted(f io.Reader, identity string) (io.Reader, error) {
	in := bufio.NewReader(f)
	begin, _ := in.Peek(len(sealedBy)) // of too short a file the reader will tell
	if !bytes.Equal(begin, []byte(sealedBy)) {
		return in, nil
	}
	if identity == "" {
		return nil, errors.New("it is encrypted; say --identity FILE")
	}
	text, err := os.Open(identity)
	if err != nil {
		return nil, fmt.Errorf("--identity: %w", err)
	}
	defer text.Close()
	ids, err := age.ParseIdentities(text)
	if err != nil {
		return nil, fmt.Errorf("--identity: %w", err)
	}
	return age.Decrypt(in, ids...)
}

// backupKey reports whether the master key is there, and refuses another than
// that which the backup was made under.
func backupKey(c config.Restore, known []byte) (bool, error) {
	file := c.MasterKeyFile
	if file == "" {
		folder := c.KeyFolder()
		if folder == "" {
			return false, nil
		}
		file = keyFile(folder, "")
	}
	master, err := readMasterKey(file)
	if errors.Is(err, fs.ErrNotExist) && c.MasterKeyFile == "" {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	keys, err := keyring.New(master)
	if err != nil {
		return false, err
	}
	if want := keys.MAC("master key", keySetting); len(known) > 0 && !hmac.Equal(known, want[:]) {
		return false, fmt.Errorf("master key: the backup was made under another one than that of %s", file)
	}
	return true, nil
}

func void(ctx context.Context, to *transfer.Target, at time.Time, erased []string, signIns bool) (gone []string, err error) {
	if err := to.VoidUnderWay(ctx, at); err != nil {
		return nil, err
	}
	if err := to.PutOffDeletions(ctx, at.Add(account.DeletionWait)); err != nil {
		return nil, err
	}
	if signIns {
		if err := to.VoidSignIns(ctx, at); err != nil {
			return nil, err
		}
	}
	if gone, err = to.Erase(ctx, erased, at); err != nil {
		return nil, err
	}
	row := audit.Row{ID: directory.NewIDAt("ae", at), At: at, Events: []audit.Event{{
		Type: "system.backup.restore", Outcome: audit.Success, Actor: audit.System, At: at.UTC(),
	}}}
	for _, id := range gone {
		row.Events = append(row.Events, audit.Event{
			Type: deleted, Outcome: audit.Success, Actor: audit.System, Target: id, At: at.UTC(),
		})
	}
	return gone, to.Append(ctx, row)
}

// deleted is the type of the event that tells of a deletion.
const deleted = "user.lifecycle.delete.completed"

var userID = regexp.MustCompile(`^00u[0-9A-Za-z]{16,40}$`)

// readErased reads ids of users, one a line, or events as stile audit tail
// prints them with --json, of which the deletions count.
func readErased(name string) (ids []string, err error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "{") {
			var e audit.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			if line = ""; e.Type == deleted {
				line = e.Target
			}
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !userID.MatchString(line) {
			return nil, fmt.Errorf("line %d is not the id of a user, as 00uVXsz19zEvGWblzX85iKi47", i+1)
		}
		ids = append(ids, line)
	}
	return ids, nil
}
