package stiletest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// Invite makes an account as `stile users invite` does and returns its activation
// token, for idx.Profile.ActivationToken, or an app's page: with package signin that
// is /login/welcome?activationToken=…. No mail is sent. It fails the test if the
// address has an account.
func (e *Engine) Invite(tb testing.TB, firstName, lastName, email string) (token string) {
	tb.Helper()
	profile := map[string]string{"firstName": firstName, "lastName": lastName, "email": email, "login": email}
	var user struct {
		Embedded struct {
			Activation struct{ ActivationToken string }
		} `json:"_embedded"`
	}
	e.operate(tb, "/users?activate=true&sendEmail=false&returnToken=true", map[string]any{"profile": profile}, &user)
	return user.Embedded.Activation.ActivationToken
}

// Reset returns a recovery token, as `stile users reset` does, for
// idx.Credentials.RecoveryToken, or an app's page: with package signin that is
// /login/new-password?recoveryToken=…. No mail is sent. It fails the test if the
// address has no active account.
func (e *Engine) Reset(tb testing.TB, email string) (token string) {
	tb.Helper()
	var reset struct{ RecoveryToken string }
	e.operate(tb, "/users/"+url.PathEscape(email)+"/lifecycle/reset_password?sendEmail=false&returnToken=true", nil, &reset)
	return reset.RecoveryToken
}

// Token gives a person a token that computes one-time codes, as `stile users token`
// does; secret is in base32. It fails the test if the address has no account.
func (e *Engine) Token(tb testing.TB, email, secret string) {
	tb.Helper()
	var given struct{}
	e.operate(tb, "/users/"+url.PathEscape(email)+"/factors", map[string]any{
		"factorType": "token:hotp", "provider": "CUSTOM", "profile": map[string]any{"sharedSecret": secret},
	}, &given)
}

// AccessCode gives a user a temporary access code, as `stile users code` does. The
// organization's enrollment policy must list "tac".
func (e *Engine) AccessCode(tb testing.TB, email string) string {
	tb.Helper()
	var made struct {
		Profile struct {
			TAC string `json:"tac"`
		} `json:"profile"`
	}
	e.operate(tb, "/users/"+url.PathEscape(email)+"/authenticator-enrollments/tac", map[string]any{}, &made)
	return made.Profile.TAC
}

// Suspend suspends an active account, as `stile users suspend` does. It fails the test
// if the address has none.
func (e *Engine) Suspend(tb testing.TB, email string) {
	tb.Helper()
	var done struct{}
	e.operate(tb, "/users/"+url.PathEscape(email)+"/lifecycle/suspend", nil, &done)
}

// operate posts to the management API, which has no public address.
func (e *Engine) operate(tb testing.TB, path string, body, answer any) {
	tb.Helper()
	var text []byte
	var err error
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			tb.Fatalf("stiletest: %v", err)
		}
	}
	w := httptest.NewRecorder()
	e.app.AdminHandler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v1"+path, bytes.NewReader(text)))
	if w.Code >= 300 {
		tb.Fatalf("stiletest: POST %s: %d %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), answer); err != nil {
		tb.Fatalf("stiletest: POST %s: %v", path, err)
	}
}
