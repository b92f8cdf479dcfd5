package idx_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/stiletest"
)

var accountScopes = []string{
	"openid", "profile", "email", "offline_access",
	idx.ScopeProfileManage, idx.ScopeEmailManage, idx.ScopePasswordManage, idx.ScopeSessionsManage,
}

const vera = "vera@example.com"

// An owner is somebody who is signed in, with their account.
type owner struct {
	*idx.Account
	e *stiletest.Engine
	c *idx.Client
}

func owns(t *testing.T, options ...stiletest.Option) *owner {
	t.Helper()
	e := stiletest.Start(t, options...)
	cfg := e.Client.Config()
	cfg.Scopes = accountScopes
	c, err := idx.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := c.Register(t.Context(), idx.Profile{FirstName: "Vera", LastName: "Rubin", Email: vera})
	at(t, tx, err, "enroll-authenticator")
	tx, err = c.Proceed(t.Context(), tx, idx.Input{VerificationCode: e.Code(t, vera)})
	at(t, tx, err, "select-authenticator-enroll")
	tx, err = c.Proceed(t.Context(), tx, idx.Input{Skip: true})
	at(t, tx, err, "")
	return &owner{c.Account(tx.Tokens.AccessToken.Value), e, c}
}

// proves signs in anew as a refusal asks, with the password too where there is one.
func (o *owner) proves(t *testing.T, up idx.StartOptions, address, password string) *owner {
	t.Helper()
	tx, err := o.c.Start(t.Context(), up)
	at(t, tx, err, "identify")
	tx, err = o.c.Proceed(t.Context(), tx, idx.Input{Username: address})
	at(t, tx, err, "challenge-authenticator")
	tx, err = o.c.Proceed(t.Context(), tx, idx.Input{VerificationCode: o.e.Code(t, address)})
	if password != "" {
		at(t, tx, err, "select-authenticator-authenticate")
		tx, err = o.c.Proceed(t.Context(), tx, idx.Input{Authenticator: "okta_password", Password: password})
	}
	at(t, tx, err, "")
	return &owner{o.c.Account(tx.Tokens.AccessToken.Value), o.e, o.c}
}

func code(err error) string {
	var r *idx.ResponseError
	if errors.As(err, &r) {
		return fmt.Sprintf("%d %s", r.Status, r.Code)
	}
	return fmt.Sprint(err)
}

func TestAccount_Profile(t *testing.T) {
	o, ctx := owns(t, stiletest.Org("profile: [{name: default, attributes: [{name: age, label: Age, type: number}, {name: team, label: Team, enum: [red, blue]}]}]")), t.Context()
	p, err := o.Profile(ctx)
	if err != nil || p.Text("firstName") != "Vera" || p.Text("age") != "" || p.CreatedAt.IsZero() {
		t.Fatalf("%+v, %v", p, err)
	}
	schema, err := o.Schema(ctx)
	if err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, one := range schema {
		names += one.Name + " "
	}
	if names != "firstName lastName email login locale age team " {
		t.Errorf("the order is %s", names)
	}
	by := map[string]idx.ProfileProperty{}
	for _, one := range schema {
		by[one.Name] = one
	}
	if diff := cmp.Diff([]string{"red", "blue"}, by["team"].Enum); diff != "" || !by["email"].ReadOnly || by["firstName"].ReadOnly || !by["firstName"].Required || by["age"].Type != "number" {
		t.Errorf("%+v", by)
	}
	p.Values["lastName"], p.Values["age"], p.Values["team"] = "Cooper Rubin", json.Number("71.50"), "red"
	if p, err = o.UpdateProfile(ctx, p.Values); err != nil || p.Values["age"] != json.Number("71.50") {
		t.Errorf("a number does not come back as it went: %v, %v", p, err)
	}
	p.Values["firstName"], p.Values["age"] = " ", "old"
	_, err = o.UpdateProfile(ctx, p.Values)
	var r *idx.ResponseError
	if !errors.As(err, &r) || r.Code != "E0000001" {
		t.Fatalf("%v", err)
	}
	var fields []string
	for _, c := range r.Causes {
		fields = append(fields, c.Field)
		if c.Text == "" || strings.HasPrefix(c.Text, c.Field) {
			t.Errorf("cause %+v", c)
		}
	}
	if diff := cmp.Diff([]string{"firstName", "age"}, fields); diff != "" {
		t.Error(diff)
	}
}

func TestAccount_Email(t *testing.T) {
	const next = "vera.rubin@example.com"
	o, ctx := owns(t), t.Context()
	if e, err := o.ChangeEmail(ctx, vera); err != nil || !e.Verified {
		t.Errorf("the address in use: %+v, %v", e, err)
	}
	_, err := o.ChangeEmail(ctx, "vera")
	var r *idx.ResponseError
	if !errors.As(err, &r) || len(r.Causes) != 1 || r.Causes[0].Field != "email" {
		t.Errorf("no address: %v", err)
	}
	e, err := o.ChangeEmail(ctx, next)
	if err != nil || e.Verified || e.Challenge == "" || e.ExpiresAt.IsZero() {
		t.Fatalf("%+v, %v", e, err)
	}
	all, err := o.Emails(ctx)
	if err != nil || len(all) != 2 || !all[0].Verified || all[1].Address != next || all[1].Challenge != e.Challenge {
		t.Errorf("%+v, %v", all, err)
	}
	if got := code(o.VerifyEmail(ctx, e, "nothing")); got != "401 E0000004" {
		t.Errorf("a wrong code: %s", got)
	}
	if e, err = o.ResendEmail(ctx, e); err != nil || e.Challenge == "" {
		t.Fatalf("%+v, %v", e, err)
	}
	if err := o.CancelEmailChange(ctx, e.ID); err != nil {
		t.Fatal(err)
	}
	if got := code(o.CancelEmailChange(ctx, all[0].ID)); got != "403 E0000038" {
		t.Errorf("the address in use: %s", got)
	}
	if e, err = o.ChangeEmail(ctx, next); err != nil {
		t.Fatal(err)
	}
	if err := o.VerifyEmail(ctx, e, o.e.Code(t, next)); err != nil {
		t.Fatal(err)
	}
	if p, err := o.Profile(ctx); err != nil || p.Text("email") != next {
		t.Errorf("%v, %v", p, err)
	}
}

func TestAccount_PasswordAndStepUp(t *testing.T) {
	const right = "correct horse battery staple"
	o, ctx := owns(t), t.Context()
	if err := o.Proof(ctx, 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	var r *idx.ResponseError
	if err := o.SetPassword(ctx, "short"); !errors.As(err, &r) || len(r.Causes) == 0 || r.Causes[0].Field != "password" {
		t.Errorf("a short one: %v", err)
	}
	if err := o.SetPassword(ctx, right); err != nil {
		t.Fatal(err)
	}
	if got := code(o.SetPassword(ctx, right)); got != "409 E0000157" {
		t.Errorf("a second: %s", got)
	}
	methods, err := o.Methods(ctx)
	if err != nil || len(methods) != 3 || methods[2].ID != "" || methods[0].Kept != idx.KeptEmail || !methods[1].Removable || methods[1].CreatedAt.IsZero() {
		t.Fatalf("%+v, %v", methods, err)
	}
	if got := code(o.RemoveMethod(ctx, methods[0].ID)); got != "403 E0000038" {
		t.Errorf("the address: %s", got)
	}
	// There is a second class by now, which the token does not tell of.
	var up *idx.StepUpError
	if err := o.RemovalProof(ctx, methods[1].ID); !errors.As(err, &up) || up.MaxAge != 5*time.Minute {
		t.Errorf("RemovalProof: %v", err)
	}
	if got := code(o.RemovalProof(ctx, "lae 0&000")); got != "404 E0000007" {
		t.Errorf("RemovalProof of nothing: %s", got)
	}
	if err := o.RemoveMethod(ctx, methods[1].ID); !errors.As(err, &up) || up.MaxAge != 5*time.Minute || len(up.ACRValues) != 1 {
		t.Fatalf("%v", err)
	}
	if got := code(up); got != "403 E0000006" {
		t.Errorf("step-up is %s", got)
	}
	if err := o.Proof(ctx, 5*time.Minute); !errors.As(err, &up) {
		t.Errorf("Proof: %v", err)
	}
	o = o.proves(t, up.StartOptions(), vera, right)
	if got := code(o.ChangePassword(ctx, "not it", right+"!")); got != "403 E0000014" {
		t.Errorf("a wrong current one: %s", got)
	}
	if err := o.ChangePassword(ctx, "", right+"!"); err != nil {
		t.Error(err)
	}
	if err := o.RemovalProof(ctx, methods[1].ID); err != nil {
		t.Errorf("RemovalProof: %v", err)
	}
	if err := o.RemovePassword(ctx); err != nil {
		t.Error(err)
	}
}

func TestAccount_DevicesDataDeletion(t *testing.T) {
	o, ctx := owns(t), t.Context()
	other := o.proves(t, idx.StartOptions{}, vera, "")
	devices, err := o.Devices(ctx)
	if err != nil || len(devices) != 2 || !devices[0].Current || devices[1].Current || devices[1].LastSeenAt.IsZero() {
		t.Fatalf("%+v, %v", devices, err)
	}
	if err := o.EndDevice(ctx, devices[1].ID); err != nil {
		t.Fatal(err)
	}
	if got := code(o.EndDevice(ctx, "a/b")); got != "404 E0000007" {
		t.Errorf("no such device: %s", got)
	}
	if got := code(other.KeepAccount(ctx)); got != "401 E0000011" {
		t.Errorf("the token of the other device is good still: %s", got)
	}
	data, err := o.Data(ctx)
	if err != nil || !json.Valid(data) || !strings.Contains(string(data), vera) {
		t.Errorf("%.100s, %v", data, err)
	}
	if d, err := o.Deletion(ctx); err != nil || !d.At.IsZero() || d.Wait != 7*24*time.Hour {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := o.RequestDeletion(ctx); err != nil || d.At.IsZero() {
		t.Errorf("%+v, %v", d, err)
	}
	if err := o.KeepAccount(ctx); err != nil {
		t.Error(err)
	}
	if err := o.EndOtherDevices(ctx); err != nil {
		t.Error(err)
	}
	if err := o.EndAllSessions(ctx); err != nil {
		t.Error(err)
	}
	if got := code(o.EndOtherDevices(ctx)); got != "401 E0000011" {
		t.Errorf("after the end: %s", got)
	}
}

// What an engine of another make, or a gateway, may answer.
func TestAccount_Refusals(t *testing.T) {
	answer := func(w http.ResponseWriter, status int, challenge, body string) {
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
	var now func(http.ResponseWriter)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer a-token" {
			t.Errorf("Authorization %q", r.Header.Get("Authorization"))
		}
		now(w)
	}))
	defer srv.Close()
	c, err := idx.New(idx.Config{Issuer: srv.URL + "/oauth2/default", ClientID: "c", RedirectURI: "http://localhost/x/y"})
	if err != nil {
		t.Fatal(err)
	}
	a := c.Account("a-token")
	for challenge, want := range map[string]*idx.StepUpError{
		`Bearer error="insufficient_authentication_context", max_age=300, acr_values="a b"`:      {MaxAge: 5 * time.Minute, ACRValues: []string{"a", "b"}},
		`Bearer error="insufficient_user_authentication", acr_values="a", max_age="900"`:         {MaxAge: 15 * time.Minute, ACRValues: []string{"a"}},
		`Bearer error="insufficient_authentication_context"`:                                     {},
		`Bearer error="insufficient_scope", scope="okta.myAccount.profile.read"`:                 nil,
		`Bearer realm="max_age=1", error="invalid_token", error_description="an old acr_values"`: nil,
	} {
		now = func(w http.ResponseWriter) { answer(w, 403, challenge, "{}") }
		_, err := a.Emails(t.Context())
		var up *idx.StepUpError
		if errors.As(err, &up) != (want != nil) {
			t.Errorf("%s: %v", challenge, err)
		}
		if want != nil && up != nil && (up.MaxAge != want.MaxAge || !cmp.Equal(append([]string{}, up.ACRValues...), append([]string{}, want.ACRValues...))) {
			t.Errorf("%s: %v %q", challenge, up.MaxAge, up.ACRValues)
		}
	}
	for name, body := range map[string]string{"html": "<p>", "list": "[]", "none": "", "causes": `{"errorCode":"E1","errorCauses":[{"errorSummary":"no field"},{},"x"]}`} {
		now = func(w http.ResponseWriter) { answer(w, 502, "", body) }
		var r *idx.ResponseError
		if _, err := a.Devices(t.Context()); !errors.As(err, &r) || r.Status != 502 || name == "causes" && !cmp.Equal(r.Causes, []idx.Cause{{Text: "no field"}}) {
			t.Errorf("%s: %#v", name, err)
		}
		now = func(w http.ResponseWriter) { answer(w, 200, "", body) }
		if _, err := a.Schema(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v %s", a, a, a, a); strings.Contains(s, "a-token") {
		t.Errorf("printed: %s", s)
	}
	if _, err := c.Account("").Emails(t.Context()); err == nil {
		t.Error("a request without a token")
	}
}
