package flow

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// ticket puts one into the store and returns its secret.
func (r *rig) ticket(kind directory.TicketKind, userID string) string {
	k := directory.Ticket{
		ID: directory.NewID("tk"), Kind: kind, UserID: userID, Version: 1, CreatedAt: r.clock(), ExpiresAt: r.clock().Add(time.Hour),
	}
	r.store.tickets[k.ID] = k
	return r.MintTicket(k)
}

func TestIDX_3_8_RecoveryToken(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.withPassword(ada)
	token := r.ticket(directory.Recovery, r.account(ada).ID)
	if _, err := r.Begin(context.Background(), Start{Request: Request{ClientID: "0oa1"}, RecoveryToken: token + "x"}); !errors.Is(err, ErrRecoveryToken) {
		t.Fatalf("a changed token: %v", err)
	}
	if _, err := r.Begin(context.Background(), Start{Request: Request{ClientID: "0oa1"}, ActivationToken: token}); !errors.Is(err, ErrActivationToken) {
		t.Fatalf("SEC_S07: a token of another kind: %v", err)
	}
	start := Start{Request: Request{ClientID: "0oa1"}, RecoveryToken: token}
	other := r.beginWith(start) // a page that was reloaded spends nothing
	v := r.beginWith(start)
	if v.last.Stage != Reset {
		t.Fatalf("begins at %s", v.last.Stage)
	}
	if got := v.answer("reset-authenticator", "credentials.passcode", fresh); got.Stage != Success {
		t.Fatalf("leads to %s", got.Stage)
	}
	if _, err := r.Begin(context.Background(), start); !errors.Is(err, ErrRecoveryToken) {
		t.Fatalf("a spent token: %v", err)
	}
	if _, err := other.try("reset-authenticator", "credentials.passcode", "again and again"); problem.KindOf(err) != problem.Expired {
		t.Fatalf("the second of two that began by one token: %v", err)
	}
}

func TestIDX_C72_ActivationToken(t *testing.T) {
	for _, last := range []string{"skip", "password"} {
		r := newRig(t, emailAndPassword())
		u := directory.User{ID: directory.NewID("00u"), Version: 1, Status: directory.Provisioned, Email: ada, Canonical: ada, FirstName: "Ada"}
		r.store.users[u.ID] = directory.Account{User: u}
		unknown := r.begin()
		unknown.answer("identify", "identifier", ada)
		if got := unknown.prove("000000"); got.Stage != Challenge {
			t.Fatalf("an invited person signs in: %s", got.Stage)
		}
		v := r.beginWith(Start{Request: Request{ClientID: "0oa1"}, ActivationToken: r.ticket(directory.Activation, u.ID)})
		if names(v.last) != "select-authenticator-enroll skip cancel" {
			t.Fatalf("begins with %s", names(v.last))
		}
		if r.account(ada).Status != directory.Provisioned {
			t.Fatal("looking has activated the account")
		}
		if last == "skip" {
			v.answer("skip")
		} else {
			v.answer("select-authenticator-enroll", "authenticator.id", "aut"+passwordKey)
			v.answer("enroll-authenticator", "credentials.passcode", right)
		}
		a := r.account(ada)
		if _, has := a.Enrolled(emailKey); v.last.Stage != Success || a.Status != directory.Active || !has {
			t.Fatalf("%s: %s, %s, %d ways", last, v.last.Stage, a.Status, len(a.Enrollments))
		}
	}
}

func TestInvitedPersonWhoSignsUp(t *testing.T) {
	r := newRig(t, emailAndPassword())
	u := directory.User{ID: directory.NewID("00u"), Version: 1, Status: directory.Provisioned, Email: ada, Canonical: ada, FirstName: "Countess"}
	r.store.users[u.ID] = directory.Account{User: u}
	r.signUpOnly(ada)
	if a := r.account(ada); a.ID != u.ID || a.Status != directory.Active || a.FirstName != "Countess" {
		t.Fatalf("%+v", a.User)
	}
}

// Who opened an invitation and left it there does not come back to an account that
// was activated in another way since.
func TestInvitationThatWasOvertaken(t *testing.T) {
	r := newRig(t, emailAndPassword())
	u := directory.User{ID: directory.NewID("00u"), Version: 1, Status: directory.Provisioned, Email: ada, Canonical: ada, FirstName: "Ada"}
	r.store.users[u.ID] = directory.Account{User: u}
	v := r.beginWith(Start{Request: Request{ClientID: "0oa1"}, ActivationToken: r.ticket(directory.Activation, u.ID)})
	r.signUpOnly(ada)
	if _, err := v.try("skip"); problem.KindOf(err) != problem.Expired {
		t.Fatalf("the invitation signs in: %v", err)
	}
}

// What an app had begun when it was switched off, or its secret was known to
// others, does not go on once it may sign people in again.
func TestSEC_S104_ClientEnded(t *testing.T) {
	r := newRig(t, emailAndPassword())
	before := r.begin()
	r.client.EndedAt = r.clock()
	if _, err := r.Introspect(t.Context(), before.handle, Browser{}); problem.KindOf(err) != problem.Expired {
		t.Errorf("what was begun before: %v", err)
	}
	if _, err := before.try("identify", "identifier", ada); problem.KindOf(err) != problem.Expired {
		t.Errorf("an answer to it: %v", err)
	}
	r.pass(time.Microsecond)
	if after := r.begin(); after.last.Stage != Identify {
		t.Errorf("what is begun after: %s", after.last.Stage)
	}
}

// Who was given a token before they first come in, or had it before they were shut out,
// shows it before anything else is set up, whichever way they come: whoever reads their
// mail, or has got their invitation, adds nothing to the account.
func TestSEC_S56_AnInvitedPersonShowsWhatTheyHad(t *testing.T) {
	for _, by := range []string{"invitation", "sign-up form"} {
		for _, need := range []policy.Need{policy.Required, policy.Optional} {
			org := emailAndPassword()
			org.Offer(totpKey)
			if need == policy.Required {
				org.Require(passwordKey)
			}
			r := newRig(t, org)
			u := directory.User{ID: directory.NewID("00u"), Version: 1, Status: directory.Provisioned, Email: ada, Canonical: ada, FirstName: "Ada"}
			en := directory.Enrollment{ID: "entoken", UserID: u.ID, Version: 1, Authenticator: totpKey}
			en.Credential = r.SealCredential(en.ID, authenticator.Credential{})
			r.store.users[u.ID] = directory.Account{User: u, Enrollments: []directory.Enrollment{en}}
			var v *visit
			if by == "invitation" {
				v = r.beginWith(Start{Request: Request{ClientID: "0oa1"}, ActivationToken: r.ticket(directory.Activation, u.ID)})
			} else {
				v = r.begin()
				v.signUp(ada)
				v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
			}
			if need == policy.Optional {
				if v.last.Stage != Success {
					t.Errorf("%s: the mailbox is offered %s of %s", by, v.last.Stage, list(v.last))
				}
				continue
			}
			if v.last.Stage != ChooseFactor || list(v.last) != totpKey {
				t.Fatalf("%s: the mailbox leads to %s of %s", by, v.last.Stage, list(v.last))
			}
			if got := v.add(passwordKey); got.Kind != problem.Invalid || got.Stage != ChooseFactor {
				t.Fatalf("%s: enrolling all the same: %v at %s", by, got.Kind, got.Stage)
			}
			v.choose(totpKey)
			if got := v.prove(r.code(ada)); got.Stage != ChooseEnroll || list(got) != passwordKey {
				t.Fatalf("%s: both lead to %s of %s", by, got.Stage, list(got))
			}
			v.add(passwordKey)
			if got := v.answer("enroll-authenticator", "credentials.passcode", right); got.Stage != Success {
				t.Errorf("%s: the password leads to %s of %s", by, got.Stage, list(got))
			}
			if got := r.added(ada); got != 1 {
				t.Errorf("%s: what is added to what they had is told %d times", by, got)
			}
		}
	}
}

// added counts the notices of a way to sign in that was added.
func (r *rig) added(address string) (n int) {
	for _, m := range r.post.sent(address) {
		if m.Template == "method-added" {
			n++
		}
	}
	return n
}

// worn is used up.
type worn struct{ authenticator.Authenticator }

func (worn) Spent(authenticator.Credential) bool { return true }

// Who is invited and has nothing that they could show is as who signs up: a code that was
// used, or what the policy lists no more, takes the list of what they may have from nobody.
func TestSEC_S56_WhatCannotBeShownIsNothingHad(t *testing.T) {
	for _, of := range []string{"used up", "listed no more"} {
		org := emailAndPassword()
		if of == "used up" {
			org.Offer(totpKey)
		}
		r := newRig(t, org)
		if of == "used up" {
			r.authenticators[totpKey] = worn{r.authenticators[totpKey]}
		}
		u := directory.User{ID: directory.NewID("00u"), Version: 1, Status: directory.Provisioned, Email: ada, Canonical: ada, FirstName: "Ada"}
		en := directory.Enrollment{ID: "entoken", UserID: u.ID, Version: 1, Authenticator: totpKey}
		en.Credential = r.SealCredential(en.ID, authenticator.Credential{})
		r.store.users[u.ID] = directory.Account{User: u, Enrollments: []directory.Enrollment{en}}
		v := r.beginWith(Start{Request: Request{ClientID: "0oa1"}, ActivationToken: r.ticket(directory.Activation, u.ID)})
		if v.last.Stage != ChooseEnroll {
			t.Errorf("%s: the invitation leads to %s of %s", of, v.last.Stage, list(v.last))
			continue
		}
		v.add(passwordKey)
		v.answer("enroll-authenticator", "credentials.passcode", right)
		if got := r.added(ada); got != 0 {
			t.Errorf("%s: who has just come in is told %d times", of, got)
		}
	}
}
