package app_test

import (
	"bytes"
	"database/sql"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
)

// lived makes a data folder of an engine at which something has happened, on SQLite:
// what is done to it afterwards is done to the file.
func lived(t *testing.T) (dir string) {
	t.Helper()
	ctx := t.Context()
	e := startOn(t, "", limits())
	for _, name := range []string{"ada", "bob", "eve"} {
		if _, err := e.signUp(ctx, name+"@example.com"); err != nil {
			t.Fatal(err)
		}
	}
	ada, err := e.Store.AccountByAddress(ctx, "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Hour)
	err = e.Store.InTx(ctx, store.Durable, func(tx store.Tx) error {
		for _, id := range []string{"one", "two"} {
			if err := tx.InsertRefreshFamily(oauth.RefreshFamily{ID: id, Grant: "grant-" + id, UserID: ada.ID, CreatedAt: end, IdleUntil: end, ExpiresAt: end}); err != nil {
				return err
			}
			if err := tx.InsertSession(session.Session{ID: "ses-" + id, UserID: ada.ID, Version: 1, CreatedAt: end, IdleUntil: end, ExpiresAt: end}); err != nil {
				return err
			}
		}
		if err := tx.RevokeGrant("grant-two", time.Now()); err != nil {
			return err
		}
		if err := tx.EndSession("ses-two", time.Now()); err != nil {
			return err
		}
		return tx.Append(audit.Row{ID: "ended", At: time.Now(), Events: []audit.Event{
			{Type: "app.oauth2.token.revoke", Outcome: audit.Success, Target: "grant-two"},
			{Type: "user.session.end", Outcome: audit.Success, Target: "ses-two"},
		}})
	})
	if err != nil {
		t.Fatal(err)
	}
	e.must(t, "POST", "/users/bob@example.com/lifecycle/suspend", "")
	e.must(t, "POST", "/users/eve@example.com/lifecycle/deactivate", "")
	e.must(t, "DELETE", "/users/eve@example.com", "")
	e.stop()
	return e.dir
}

// altered is a copy of a data folder on which somebody ran a statement.
func altered(t *testing.T, dir, statement string) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{"stile.db", "master.key"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(to, "stile.db"))
	if err == nil {
		_, err = db.Exec(statement)
	}
	if err != nil {
		t.Fatal(statement, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestREL_R31_Verify(t *testing.T) {
	dir := lived(t)
	verified(t, config.Data{Data: dir})
	const ada = `(SELECT id FROM users WHERE canonical = 'ada@example.com')`
	for _, tt := range []struct{ name, statement, want string }{
		{"another address", `UPDATE users SET email = 'mallory@example.com' WHERE canonical = 'ada@example.com'`, `I2: user 00u\w+ is not found by the address that they have`},
		{"nothing proven", `UPDATE users SET email_verified_at = 0`, `I3: user 00u\w+ is active, and has never proven an address`},
		{"two families", `UPDATE refresh_families SET grant_id = 'grant'`, `I4: grant grant has two refresh families, one and two: .*`},
		{"code exchanged twice", `UPDATE audit SET events = replace(events, json_extract(events, '$[0].transaction'), 'same') WHERE events LIKE '%token.grant%'`, `I4: the code of transaction same was exchanged twice`},
		{"revoked in the log", `UPDATE refresh_families SET revoked_at = 0`, `I5: refresh family two is live, and its grant grant-two was revoked at .*`},
		{"revoked grant", `INSERT INTO revocations (id, revoked_at, expires_at) VALUES ('grant-one', 1, 1)`, `I5: refresh family one is live, and its grant grant-one was revoked`},
		{"ended session", `UPDATE sessions SET ended_at = 0`, `I5: session ses-two goes on, and was ended at .*`},
		{"disabled with a family", `UPDATE users SET status = 'SUSPENDED'`, `I5: refresh family one is live, and user 00u\w+ is SUSPENDED`},
		{"disabled with a session", `UPDATE users SET status = 'SUSPENDED'`, `I5: session ses-one goes on, and user 00u\w+ is SUSPENDED`},
		{"enabled behind the log", `UPDATE users SET status = 'ACTIVE'`, `I5: user 00u\w+ is ACTIVE, and the last that the audit log tells of them is user.lifecycle.suspend`},
		{"another key", `UPDATE signing_keys SET private = x'00'`, `I8: oauth: signing key \S+ was sealed under another master key: .*`},
		{"user out of nowhere", `UPDATE enrollments SET user_id = user_id || 'x'; UPDATE users SET id = id || 'x'; UPDATE refresh_families SET user_id = user_id || 'x'; UPDATE sessions SET user_id = user_id || 'x'`, `I9: user 00u\w+ is there, and the audit log does not tell how they came`},
		{"audit row removed", `DELETE FROM audit WHERE position = 2`, `I9: the audit log was tampered with: row 2 is missing: .*`},
		{"audit row broken", `UPDATE audit SET events = '[{' WHERE position = 2`, `I9: row ae\w+ of the audit log cannot be read`},
		{"deleted and there", `INSERT INTO deleted_users SELECT id, 1 FROM users`, `R-26: user 00u\w+ was deleted, and is there`},
		{"deleted without a tombstone", `DELETE FROM deleted_users`, `R-26: user 00u\w+ was deleted, and their id is not kept from being used again`},
		{"family of nobody", `UPDATE refresh_families SET user_id = 'nobody'`, `R-26: a row of refresh_families is of user nobody, who is not there`},
		{"name not folded", `UPDATE users SET first_name = 'Eva'`, `R-05: user 00u\w+ is not found by their first_name`},
		{"group not indexed", `INSERT INTO memberships (user_id, group_id) VALUES (` + ada + `, 'g')`, `R-05: user 00u\w+ is not found by their groups`},
		{"groups broken", `UPDATE users SET groups = '['`, `R-05: the groups of user 00u\w+ cannot be read`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := app.Verify(t.Context(), config.Verify{Data: config.Data{Data: altered(t, dir, tt.statement)}}, &out)
			if err == nil || !strings.Contains(err.Error(), "of what must never be so") {
				t.Errorf("%v", err)
			}
			if !regexp.MustCompile("(?m)^" + tt.want + "$").MatchString(out.String()) {
				t.Errorf("want %q in\n%s", tt.want, out.String())
			}
		})
	}
}

// A byte that has changed in the file is found, or changes nothing, or is within
// a value that nothing else in the file tells of: SQLite has no checksums (most of
// these are sealed, and do not open any more). No row comes or goes unseen.
func TestREL_R05_FlippedByte(t *testing.T) {
	dir := lived(t)
	good, err := os.ReadFile(filepath.Join(dir, "stile.db"))
	if err != nil {
		t.Fatal(err)
	}
	rows, hashes := held(t, dir)
	random := rand.New(rand.NewPCG(5, 5))
	var found, harmless int
	var unseen []string
	for range 100 {
		at := random.IntN(len(good))
		for good[at] == 0 { // most of a small file
			at = random.IntN(len(good))
		}
		to := altered(t, dir, "SELECT 1")
		data := bytes.Clone(good)
		data[at] ^= 1 << random.IntN(8)
		if err := os.WriteFile(filepath.Join(to, "stile.db"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := app.Verify(t.Context(), config.Verify{Data: config.Data{Data: to}}, io.Discard); err != nil {
			found++
			continue
		}
		r, h := held(t, to)
		if r != rows {
			t.Errorf("byte %d: other rows, unseen\n%s", at, r)
		}
		switch {
		case h == hashes:
			harmless++
		default:
			for _, line := range strings.Split(h, "\n") {
				if !strings.Contains(hashes, line) {
					table, _, _ := strings.Cut(line, " ")
					unseen = append(unseen, table)
				}
			}
		}
	}
	slices.Sort(unseen)
	t.Logf("found %d, harmless %d, within a value of %v", found, harmless, unseen)
	if found == 0 || harmless == 0 {
		t.Error("nothing was flipped")
	}
}

// held is how many rows each table of a data folder has, and with what hashes.
func held(t *testing.T, dir string) (rows, hashes string) {
	t.Helper()
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "backup")
	if err := app.Backup(t.Context(), config.Backup{Data: config.Data{Data: dir}, To: file}, &out); err != nil {
		t.Fatal(err)
	}
	tables, _, _ := strings.Cut(out.String(), "Wrote")
	return regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(tables, ""), tables
}
