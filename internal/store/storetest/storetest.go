// Package storetest is the conformance suite of the storage port: what every
// adapter must do, races included.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/store"
)

// A Reopener opens the database of a name, making it if it is not there.
type Reopener func(t *testing.T, name string) store.Store

type test struct {
	name string
	run  func(*testing.T, store.Store)
}

// Run tests stores, each of which open returns empty and Run closes.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	groups := [][]test{
		transactionTests, userTests, accountTests, ticketTests, sessionTests, counterTests,
		outboxTests, purgeTests, oauthTests, auditTests, commitTests, raceTests, overlapTests,
	}
	for _, group := range groups {
		for _, tt := range group {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				s := open(t)
				defer func() {
					if err := s.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				}()
				tt.run(t, s)
			})
		}
	}
}

var (
	ctx = context.Background()

	// t0 has microseconds, which every adapter keeps.
	t0 = time.Date(2026, 11, 22, 12, 30, 15, 123456000, time.UTC)
)

func later(d time.Duration) time.Time { return t0.Add(d) }

// write runs fn in a durable transaction that must succeed.
func write(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.InTx(ctx, store.Durable, fn); err != nil {
		t.Fatalf("InTx: %v", err)
	}
}

// refuse runs fn in a transaction that must fail with want.
func refuse(t *testing.T, s store.Store, want error, fn func(store.Tx) error) {
	t.Helper()
	if err := s.InTx(ctx, store.Relaxed, fn); !errors.Is(err, want) {
		t.Errorf("InTx: %v, want %v", err, want)
	}
}

// read fails the test if err is not nil.
func read[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		return v
	}
}

func missing[T any](t *testing.T, v T, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%+v, %v; want ErrNotFound", v, err)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func aTransaction(id string) flow.Row {
	return flow.Row{
		ID: id, ClientID: "client", Version: 1, ExpiresAt: later(time.Hour), Data: []byte{0, 1, 0xff, 'x'},
	}
}

func aUser(id, canonical string) directory.User {
	return directory.User{
		ID: id, Version: 1, Status: directory.Active, Email: canonical, Canonical: canonical,
		FirstName: "Ada", LastName: "King \U0001F451", Locale: "en-GB",
		Attributes:      map[string]string{"nickName": `"A"`, "empty": ""},
		EmailVerifiedAt: later(-time.Second), CreatedAt: t0, UpdatedAt: later(time.Microsecond),
	}
}

func anEnrollment(id, user string) directory.Enrollment {
	return directory.Enrollment{
		ID: id, UserID: user, Version: 1, Authenticator: "okta_email", Credential: []byte("sealed"), CreatedAt: t0,
	}
}

func aMessage(id string) outbox.Message {
	return outbox.Message{
		ID: id, Kind: "mail", Payload: []byte("sealed"), Status: outbox.Queued,
		CreatedAt: t0, NotBefore: t0, ExpiresAt: later(10 * time.Minute),
	}
}

func aFamily(id, grant string) oauth.RefreshFamily {
	return oauth.RefreshFamily{
		ID: id, Grant: grant, ClientID: "client", UserID: "user", Server: "default",
		Scopes: []string{"openid", "offline_access"}, AMR: []string{"otp"}, AuthTime: later(-time.Minute),
		Generation: 1, RotatedAt: t0, CreatedAt: t0, IdleUntil: later(time.Hour), ExpiresAt: later(24 * time.Hour),
	}
}

func anAuditRow(id string) audit.Row {
	return audit.Row{ID: id, At: t0, Events: []audit.Event{
		{Type: "user.lifecycle.create", Outcome: "SUCCESS", Target: "user", IP: "2001:db8::1", At: t0},
		{Type: "user.authentication.verify", Outcome: "FAILURE", Reason: "wrong <code>", At: later(time.Second)},
	}}
}

func numbered(prefix string, i int) string { return fmt.Sprintf("%s%03d", prefix, i) }
