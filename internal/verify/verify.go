// Package verify looks through all that a database holds for what must never be
// so, whatever has happened to it: the invariants of reliability, as far as rows
// tell them. It reads one snapshot, beside engines, and changes nothing (REL R-31).
//
// The audit log has a verifier of its own, which the seals of its rows need; here
// it is what the other tables are held against.
package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/store/transfer"
)

// Rows are those of a database at one moment; a [transfer.Snapshot].
type Rows interface {
	Each(ctx context.Context, table string, visit func(transfer.Row) error) (int64, error)
}

// A Finding is something that must not be so.
type Finding struct {
	Invariant string // "I2", or "R-26" for a row of the requirements
	What      string
}

func (f Finding) String() string { return f.Invariant + ": " + f.What }

// A Report is what Run went through.
type Report struct{ Rows int64 }

// A verifier knows what it has read so far: users first, then what is theirs,
// then what the audit log says of both.
type verifier struct {
	rows   Rows
	keys   *keyring.Keyring
	found  func(Finding)
	report Report

	users    map[string]*user
	deleted  map[string]bool
	families map[string]*family // by grant
	ended    map[string]bool    // by session: whether it has ended
	voided   map[string]bool    // grants with a revocation
	redeemed map[string]bool    // transactions whose code was exchanged
}

type user struct {
	status    directory.Status
	signedOut int64 // what began until then is void, whatever its row says
	groups    []string
	members   []string
	born      bool   // the audit log tells of it
	last      string // event of its life cycle
}

// out reports whether nothing that began at a time may be in force.
func (u *user) out(began int64) bool {
	return u != nil && u.status != directory.Active && began > u.signedOut
}

type family struct {
	id, user string
	live     bool
}

// Run tells found of everything that is wrong.
func Run(ctx context.Context, rows Rows, keys *keyring.Keyring, found func(Finding)) (Report, error) {
	v := &verifier{
		rows: rows, keys: keys, found: found,
		users: map[string]*user{}, deleted: map[string]bool{}, families: map[string]*family{},
		ended: map[string]bool{}, voided: map[string]bool{}, redeemed: map[string]bool{},
	}
	for _, look := range []struct {
		table string
		at    func(transfer.Row)
		end   func()
	}{
		{"deleted_users", v.tombstone, nil},
		{"users", v.user, nil},
		{"memberships", v.membership, v.memberships},
		{"enrollments", v.belongs("enrollments"), nil},
		{"tickets", v.belongs("tickets"), nil},
		{"devices", v.belongs("devices"), nil},
		{"sessions", v.session, nil},
		{"revocations", func(r transfer.Row) { v.voided[r.Text("id")] = true }, nil},
		{"refresh_families", v.family, nil},
		{"signing_keys", v.key, nil},
		{"audit", v.audit, v.lives},
	} {
		n, err := rows.Each(ctx, look.table, func(r transfer.Row) error { look.at(r); return ctx.Err() })
		if err != nil {
			return v.report, err
		}
		v.report.Rows += n
		if look.end != nil {
			look.end()
		}
	}
	return v.report, nil
}

func (v *verifier) wrong(invariant, format string, args ...any) {
	v.found(Finding{invariant, fmt.Sprintf(format, args...)})
}

func (v *verifier) tombstone(r transfer.Row) { v.deleted[r.Text("id")] = true }

func (v *verifier) user(r transfer.Row) {
	id := r.Text("id")
	u := &user{status: directory.Status(r.Text("status")), signedOut: r.Int("signed_out_at")}
	v.users[id] = u
	if v.deleted[id] {
		v.wrong("R-26", "user %s was deleted, and is there", id)
	}
	// One address for one user is the database's own index: what is looked at is
	// that the index is over the right text.
	if a, err := directory.ParseAddress(r.Text("email")); err != nil || a.Canonical != r.Text("canonical") {
		v.wrong("I2", "user %s is not found by the address that they have", id)
	}
	if u.status == directory.Active && r.Int("email_verified_at") == 0 {
		v.wrong("I3", "user %s is active, and has never proven an address", id)
	}
	for name, folded := range map[string]string{"first_name": "first_folded", "last_name": "last_folded"} {
		if directory.Fold(r.Text(name)) != r.Text(folded) {
			v.wrong("R-05", "user %s is not found by their %s", id, name)
		}
	}
	if text := r.Text("groups"); text != "" && json.Unmarshal([]byte(text), &u.groups) != nil {
		v.wrong("R-05", "the groups of user %s cannot be read", id)
	}
}

func (v *verifier) membership(r transfer.Row) {
	if v.belongs("memberships")(r); v.users[r.Text("user_id")] != nil {
		u := v.users[r.Text("user_id")]
		u.members = append(u.members, r.Text("group_id"))
	}
}

// memberships holds the index of groups against the lists that count.
func (v *verifier) memberships() {
	for id, u := range v.users {
		slices.Sort(u.groups)
		slices.Sort(u.members)
		if !slices.Equal(u.groups, u.members) {
			v.wrong("R-05", "user %s is not found by their groups", id)
		}
	}
}

// belongs looks at rows of a table that are a user's.
func (v *verifier) belongs(table string) func(transfer.Row) {
	return func(r transfer.Row) {
		if id := r.Text("user_id"); v.users[id] == nil {
			v.wrong("R-26", "a row of %s is of user %s, who is not there", table, id)
		}
	}
}

func (v *verifier) session(r transfer.Row) {
	v.belongs("sessions")(r)
	id, ended := r.Text("id"), r.Int("ended_at") != 0
	v.ended[id] = ended
	if u := v.users[r.Text("user_id")]; !ended && u.out(r.Int("created_at")) {
		v.wrong("I5", "session %s goes on, and user %s is %s", id, r.Text("user_id"), u.status)
	}
}

func (v *verifier) family(r transfer.Row) {
	v.belongs("refresh_families")(r)
	f := &family{id: r.Text("id"), user: r.Text("user_id"), live: r.Int("revoked_at") == 0}
	grant := r.Text("grant_id")
	if other := v.families[grant]; other != nil {
		v.wrong("I4", "grant %s has two refresh families, %s and %s: its code was exchanged twice", grant, other.id, f.id)
	}
	v.families[grant] = f
	if u := v.users[f.user]; f.live && u.out(r.Int("created_at")) {
		v.wrong("I5", "refresh family %s is live, and user %s is %s", f.id, f.user, u.status)
	}
	if f.live && v.voided[grant] {
		v.wrong("I5", "refresh family %s is live, and its grant %s was revoked", f.id, grant)
	}
}

func (v *verifier) key(r transfer.Row) {
	k := oauth.Key{ID: r.Text("id"), Server: r.Text("server"), Alg: r.Text("alg"), Private: r.Bytes("private")}
	if err := k.Check(v.keys); err != nil {
		v.wrong("I8", "%v", err)
	}
}
