package account_test

import (
	"testing"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/store"
)

// A token that says "otp" and of which nothing more is known is one of who reads the
// mail, whatever else the person has that says the same.
func TestSEC_S56_AReferenceOfSeveralIsTheMailbox(t *testing.T) {
	for name, has := range map[string][]string{
		"an app":                              {"google_otp"},
		"an access code that ended, a number": {"tac", "phone_number"},
		"an app, a number":                    {"google_otp", "phone_number"},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, func(c *app.Config) { c.Policy.Offer("google_otp", "phone_number", "tac") })
			a := w.person(old)
			for _, key := range has {
				en := directory.Enrollment{ID: directory.NewID("en"), UserID: a.ID, Version: 1, Authenticator: key, CreatedAt: w.now()}
				if key == "tac" {
					var err error
					if en, _, err = w.Engine.Assign(a.ID, key, nil); err != nil {
						t.Fatal(err)
					}
				} else {
					en.Credential = w.Engine.SealCredential(en.ID, authenticator.Credential{Data: []byte("{}")})
				}
				w.tx(func(tx store.Tx) error { return tx.InsertEnrollment(en) })
			}
			w.advance(2 * time.Hour)
			stepUp(t, w.Account.Proven(t.Context(), w.fresh(a), account.Fresh), account.Fresh)
		})
	}
	w := start(t, func(c *app.Config) { c.Policy.Offer("tac") })
	a := w.person(old)
	en, _, err := w.Engine.Assign(a.ID, "tac", nil)
	if err != nil {
		t.Fatal(err)
	}
	w.tx(func(tx store.Tx) error { return tx.InsertEnrollment(en) })
	w.advance(2 * time.Hour)
	if err := w.Account.Proven(t.Context(), w.fresh(a), account.Fresh); err != nil {
		t.Errorf("who has a code that ended beside the mailbox has the mailbox alone: %v", err)
	}
}
