package account_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/authenticator/webauthn/webauthntest"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/problem"
)

// keyed signs up with a key that knows its owner.
func (w *world) keyed(address string) directory.Account {
	w.t.Helper()
	v := w.visit()
	v.answer("select-enroll-profile", nil)
	v.answer("enroll-profile", flow.Input{"userProfile.firstName": "Vera", "userProfile.lastName": "Victim", "userProfile.email": address})
	v.answer("enroll-authenticator", flow.Input{"credentials.passcode": w.mail(address).Code})
	asked := v.answer("select-authenticator-enroll", flow.Input{"authenticator.id": "aut1webauthn00000000"})
	d := &webauthntest.Device{Origin: "http://localhost:8080", Verifies: true, Transports: []string{"internal"}}
	in := flow.Input{}
	for name, value := range d.Create(asked.Current.Context) {
		in["credentials."+name] = value
	}
	v.answer("enroll-authenticator", in)
	v.answer("skip", nil)
	return w.account(address)
}

// SEC S-56: whoever has a key that knows its owner shows it before a way to sign in
// is renamed or removed; the mailed code alone, though newer, is not enough.
func TestSEC_S56_KeysAreRenamedAndRemoved(t *testing.T) {
	w := start(t, func(c *app.Config) { c.Policy.Offer("webauthn") })
	a := w.keyed(old)
	code, both := w.fresh(a), w.fresh(a)
	both.AMR = []string{"otp", "pop"}
	key := method(t, must[[]account.Method](t)(w.Account.Methods(t.Context(), both)), "webauthn")
	if key.Label != "This device" || key.Kept != "" {
		t.Errorf("%+v", key)
	}
	stepUp(t, w.Account.RenameMethod(t.Context(), code, key.ID, "Laptop"), account.Fresh)
	stepUp(t, w.Account.RemoveMethod(t.Context(), code, key.ID), account.Fresh)
	for _, label := range []string{"", "  ", "a\u202eb", string(make([]rune, 51))} {
		refused(t, w.Account.RenameMethod(t.Context(), both, key.ID, label), problem.Invalid)
	}
	email := method(t, must[[]account.Method](t)(w.Account.Methods(t.Context(), both)), "okta_email")
	refused(t, w.Account.RenameMethod(t.Context(), both, email.ID, "Mailbox"), problem.NotFound)
	other := w.person("eve@example.com")
	refused(t, w.Account.RenameMethod(t.Context(), w.fresh(other), key.ID, "Mine"), problem.NotFound)

	if err := w.Account.RenameMethod(t.Context(), both, key.ID, " Laptop "); err != nil {
		t.Fatal(err)
	}
	all := must[[]account.Method](t)(w.Account.Methods(t.Context(), both))
	var labels []string
	for _, m := range all {
		labels = append(labels, m.Info.Key+" "+m.Label)
	}
	if want := []string{"okta_email ", "webauthn Laptop", "okta_verify ", "okta_password ", "webauthn "}; !slices.Equal(labels, want) {
		t.Errorf("the methods are %q", labels)
	}
	if !slices.Contains(w.events(), "user.mfa.factor.update") {
		t.Error("the audit log does not have it")
	}
	w.advance(6 * time.Minute)
	stepUp(t, w.Account.RenameMethod(t.Context(), both, key.ID, "Desk"), account.Fresh)
	both.AuthTime = w.now()
	if err := w.Account.RemoveMethod(t.Context(), both, key.ID); err != nil {
		t.Fatal(err)
	}
	if n := len(w.account(old).Enrollments); n != 1 {
		t.Errorf("%d enrollments are left", n)
	}
}
