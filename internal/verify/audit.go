package verify

import (
	"encoding/json"
	"slices"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/store/transfer"
)

// Events by which a user begins to be.
var births = []string{"user.lifecycle.create", "user.lifecycle.invite", "user.account.vouch_primary_email"}

// Statuses that an event leads to, until another one comes.
var leads = map[string]directory.Status{
	"user.lifecycle.suspend":    directory.Disabled,
	"user.lifecycle.deactivate": directory.Deactivated,
	"user.lifecycle.unsuspend":  directory.Active,
	"user.lifecycle.activate":   "",
	"user.lifecycle.invite":     "",
	"user.lifecycle.create":     "",
}

const (
	exchanged = "app.oauth2.token.grant.access_token"
	revoked   = "app.oauth2.token.revoke"
	reused    = "app.oauth2.token.detect_reuse"
	signedOut = "user.session.end"
	deleted   = "user.lifecycle.delete.completed"
)

// audit holds what a row of the log tells against what is there.
func (v *verifier) audit(r transfer.Row) {
	var events []audit.Event
	if err := json.Unmarshal([]byte(r.Text("events")), &events); err != nil {
		v.wrong("I9", "row %s of the audit log cannot be read", r.Text("id"))
		return
	}
	for _, e := range events {
		if e.Outcome == audit.Success || e.Type == reused {
			v.event(e)
		}
	}
}

func (v *verifier) event(e audit.Event) {
	if u := v.users[e.Target]; u != nil {
		if slices.Contains(births, e.Type) {
			u.born = true
		}
		if _, ok := leads[e.Type]; ok {
			u.last = e.Type
		}
	}
	switch e.Type {
	case exchanged: // of a code; a refresh has no transaction
		if e.Transaction != "" && v.redeemed[e.Transaction] {
			v.wrong("I4", "the code of transaction %s was exchanged twice", e.Transaction)
		}
		v.redeemed[e.Transaction] = true
	case revoked, reused:
		if f := v.families[e.Target]; f != nil && f.live {
			v.wrong("I5", "refresh family %s is live, and its grant %s was revoked at %s", f.id, e.Target, e.At.UTC().Format("2006-01-02T15:04:05Z"))
		}
	case signedOut:
		if ended, there := v.ended[e.Target]; there && !ended {
			v.wrong("I5", "session %s goes on, and was ended at %s", e.Target, e.At.UTC().Format("2006-01-02T15:04:05Z"))
		}
	case deleted:
		if !v.deleted[e.Target] {
			v.wrong("R-26", "user %s was deleted, and their id is not kept from being used again", e.Target)
		}
	}
}

// lives holds users against what the whole log tells of them.
func (v *verifier) lives() {
	for id, u := range v.users {
		if !u.born {
			v.wrong("I9", "user %s is there, and the audit log does not tell how they came", id)
		}
		if want := leads[u.last]; want != "" && u.status != want {
			v.wrong("I5", "user %s is %s, and the last that the audit log tells of them is %s", id, u.status, u.last)
		}
	}
}
