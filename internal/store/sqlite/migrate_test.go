package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/schema"
)

var t1 = time.UnixMicro(1795264215123456).UTC() // of testdata/schema1.sql

// schema1 makes a database as schema 1 left it, with a row of every kind.
func schema1(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "stile.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join("testdata", "schema1.sql"))
	if err != nil {
		t.Fatal(err)
	}
	migrated(t, path, 1, string(data))
	return path
}

// migrated takes a database to a version, and runs a statement on it.
func migrated(t *testing.T, path string, to int64, statement string) {
	t.Helper()
	s, err := OpenSchema(bg, path, false)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Apply(bg, to, func(schema.Step) {})
	if err == nil {
		_, err = s.DB.ExecContext(bg, statement)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

// newest is schema1 brought up to date.
func newest(t *testing.T) (path string) {
	t.Helper()
	path = schema1(t)
	migrated(t, path, 0, "")
	return path
}

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(bg, Options{Path: path, QuickCheck: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// expect fails the test if a read does not give what is wanted.
func expect[T any](t *testing.T, want T) func(T, error) {
	return func(got T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
}

func TestMigrationKeepsEverything(t *testing.T) {
	s := open(t, newest(t))
	end := t1.Add(10 * time.Minute)
	ada := directory.User{
		ID: "00u1", Version: 2, Status: directory.Active, Email: "Ada@example.com", Canonical: "ada@example.com",
		FirstName: "Ada", LastName: "Żak", Locale: "en", Attributes: map[string]string{"nickName": "A"},
		EmailVerifiedAt: t1, CreatedAt: t1, UpdatedAt: t1,
	}
	bob := directory.User{
		ID: "00u2", Version: 1, Status: directory.Disabled, Email: "bob@example.com", Canonical: "bob@example.com",
		CreatedAt: t1, UpdatedAt: t1,
	}
	family := oauth.RefreshFamily{
		ID: "f1", Grant: "grant", ClientID: "web", UserID: "00u1", Server: "default", Scopes: []string{"openid"}, AMR: []string{"otp"},
		AuthTime: t1, Generation: 4, RotatedAt: t1, CreatedAt: t1, IdleUntil: end, ExpiresAt: end,
	}
	expect(t, flow.Row{ID: "tx", ClientID: "web", Version: 3, ExpiresAt: t1, Data: []byte{0, 0xff}})(s.Transaction(bg, "tx"))
	expect(t, directory.Account{User: ada, Enrollments: []directory.Enrollment{{
		ID: "e1", UserID: "00u1", Version: 1, Authenticator: "okta_email", Credential: []byte{1}, CreatedAt: t1,
	}}})(s.AccountByAddress(bg, "ada@example.com"))
	expect(t, []directory.User{ada, bob})(s.Users(bg, directory.Query{Limit: 10}))
	expect(t, outbox.Message{
		ID: "m1", Kind: "mail", Payload: []byte{2}, Status: outbox.Queued, CreatedAt: t1, NotBefore: t1, ExpiresAt: end,
	})(s.OutboxMessage(bg, "m1"))
	created := t1.Truncate(time.Second)
	expect(t, []oauth.Client{{
		ID: "web", Name: "Web", Version: 1, RedirectURIs: []string{"https://app.example/cb"}, GrantTypes: []string{"interaction_code"},
		CreatedAt: created, UpdatedAt: created,
	}})(s.Clients(bg))
	expect(t, []oauth.Key{{ID: "kid", Server: "default", Alg: "RS256", Private: []byte{3}, CreatedAt: t1, ActiveFrom: t1}})(s.Keys(bg))
	expect(t, []oauth.RefreshFamily{family})(s.RefreshFamilies(bg, "00u1"))
	expect(t, []oauth.Revocation{{ID: "jti", RevokedAt: t1, ExpiresAt: end}})(s.RevocationsSince(bg, time.Time{}))
	expect(t, []audit.Record{{Position: 1, ID: "a1", At: t1, Events: []byte("[]")}})(s.SealedAudit(bg, 0, 10))
	expect(t, []audit.Record{{ID: "a2", At: t1, Events: []byte("[]")}})(s.UnsealedAudit(bg, 10))
	expect(t, audit.Seal{Number: 1, First: 1, Last: 1, At: t1, Hash: []byte{4}, MAC: []byte{5}})(s.LastSeal(bg))
	expect(t, []byte{6})(s.Setting(bg, "name"))

	// Names from before are found as those from after.
	for _, begins := range []string{"ada", "ADA@", "żA"} {
		expect(t, []directory.User{ada})(s.Users(bg, directory.Query{Search: begins, Limit: 10}))
	}
}

// The rows from before take part in what is new.
func TestMigratedRowsLive(t *testing.T) {
	path := newest(t)
	s := open(t, path)
	account, err := s.Account(bg, "00u1")
	if err != nil {
		t.Fatal(err)
	}
	u := account.User
	u.Version, u.Groups, u.SignedOutAt = 3, []string{"00g1"}, t1
	seen := session.Session{ID: "ses1", UserID: "00u1", Version: 1, CreatedAt: t1}
	err = s.InTx(bg, store.Durable, func(tx store.Tx) error {
		for _, step := range []func() error{
			func() error { return tx.UpdateUser(u) },
			func() error { return tx.InsertSession(seen) },
			func() error { return tx.RevokeFamilies("00u1", "", t1) },
			func() error { return tx.DeleteUser("00u2", t1) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	expect(t, []directory.User{u})(s.Users(bg, directory.Query{Group: "00g1", Limit: 10}))
	expect(t, []directory.User{u})(s.Users(bg, directory.Query{Limit: 10}))
	expect(t, []session.Session{seen})(s.Sessions(bg, "00u1"))
	expect(t, []oauth.RefreshFamily(nil))(s.RefreshFamilies(bg, "00u1"))
}

// A migrated database has the schema of a new one, and a reader of this program
// does not read the one before.
func TestMigrationEndsAtTheSchema(t *testing.T) {
	path := schema1(t)
	if _, err := OpenReadOnly(bg, path); err == nil || !strings.Contains(err.Error(), "version 1") {
		t.Errorf("OpenReadOnly before the migration: %v", err)
	}
	migrated(t, path, 0, "")
	const schema = `SELECT type, name, sql FROM sqlite_schema ORDER BY type, name`
	want, got := rows(t, openTest(t).writer.conn, schema), rows(t, open(t, path).writer.conn, schema)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
