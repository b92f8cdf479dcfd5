package idx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/idx"
)

func keys(messages []idx.Message) (all []string) {
	for _, m := range messages {
		all = append(all, m.Field+"|"+m.I18n.Key)
	}
	return all
}

func TestRefusedAnswers(t *testing.T) {
	tests := []struct {
		name  string
		from  string // document in hand
		path  string
		reply reply
		in    idx.Input
		step  string
		want  []string
		wait  time.Duration
		ended bool
	}{
		{"IDX_C46 E01", "enroll-profile", "/idp/idx/enroll/new", refused(400, "error-email-exists"), idx.Input{Profile: &john},
			"enroll-profile", []string{"email|registration.error.notUniqueWithinOrg"}, 0, false},
		{"IDX_C47 E02", "enroll-profile", "/idp/idx/enroll/new", refused(400, "error-email-malformed"), idx.Input{Profile: &john},
			"enroll-profile", []string{"email|registration.error.invalidLoginEmail", "email|registration.error.doesNotMatchPattern"}, 0, false},
		{"IDX_C45 E03, an empty form", "enroll-profile", "/idp/idx/enroll/new", refused(400, "error-name-blank"), idx.Input{Profile: &idx.Profile{}},
			"enroll-profile", []string{"firstName|model.validation.field.blank", "lastName|model.validation.field.blank"}, 0, false},
		{"E05 keeps the step", "enroll-profile", "/idp/idx/enroll/new", refused(400, "error-registration-failed"), idx.Input{Profile: &john},
			"enroll-profile", []string{"|registration.error.generic"}, 0, false},
		{"IDX_C80 E07", "enroll-email", "/idp/idx/challenge/answer", refused(401, "error-code-invalid"), idx.Input{VerificationCode: "1"},
			"enroll-authenticator", []string{"verificationCode|api.authn.error.PASSCODE_INVALID"}, 0, false},
		{"IDX_C66 E10", "enroll-email", "/idp/idx/challenge/answer",
			reply{status: 429, file: "error-too-many-requests", header: http.Header{"Retry-After": {"240"}}}, idx.Input{VerificationCode: "1"},
			"enroll-authenticator", []string{"|tooManyRequests"}, 4 * time.Minute, false},
		{"E13", "challenge-password", "/idp/idx/challenge/answer", refused(401, "error-password-incorrect"), idx.Input{Password: "x"},
			"challenge-authenticator", []string{"|incorrectPassword"}, 0, false},
		{"E17", "introspect", "/idp/idx/identify", refused(400, "error-not-assigned"), idx.Input{Username: "john"},
			"identify", []string{"|idx.error.user.not.assigned.to.app"}, 0, false},
		{"E19", "introspect", "/idp/idx/enroll", refused(403, "error-registration-closed"), idx.Input{Profile: &john},
			"", []string{"|oie.registration.is.not.enabled"}, 0, true},
		{"IDX_C50 weak password", "enroll-password", "/idp/idx/challenge/answer", refused(400, "error-password-weak"), idx.Input{Password: "x"},
			"enroll-authenticator", []string{"password|password.passwordRequirementsNotMet"}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := serve(t, script{"/idp/idx/introspect": {ok(tt.from)}, tt.path: {tt.reply}})
			c := e.client(t)
			tx, err := c.Start(t.Context(), idx.StartOptions{})
			if err != nil {
				t.Fatal(err)
			}
			tx, err = c.Proceed(t.Context(), tx, tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, keys(tx.Messages)); d != "" {
				t.Errorf("messages: %s", d)
			}
			if tx.RetryAfter != tt.wait {
				t.Errorf("RetryAfter = %v", tx.RetryAfter)
			}
			if tt.ended {
				if tx.Status != idx.StatusTerminal || tx.NextStep != nil {
					t.Errorf("got %v", tx)
				}
				return
			}
			if tx.Status != idx.StatusPending || tx.NextStep.Name != tt.step {
				t.Fatalf("got %v", tx)
			}
			// A field's messages stand at the field too.
			for _, m := range tx.Messages {
				found := m.Field == ""
				for _, in := range tx.NextStep.Inputs {
					for _, im := range in.Messages {
						found = found || in.Name == m.Field && cmp.Equal(im, m)
					}
				}
				if !found {
					t.Errorf("no input has the message %v", m)
				}
			}
		})
	}
}

func TestRefusedAnswerCanBeRepeated(t *testing.T) {
	e := serve(t, script{
		"/idp/idx/introspect":       {ok("enroll-email")},
		"/idp/idx/challenge/answer": {refused(401, "error-code-invalid"), refused(429, "error-too-many-requests"), ok("select-enroll")},
	})
	c := e.client(t)
	tx, err := c.Start(t.Context(), idx.StartOptions{})
	for i := 0; i < 3 && err == nil; i++ {
		tx, err = c.Proceed(t.Context(), tx, idx.Input{VerificationCode: "1"})
		if i == 1 && err == nil && (tx.NextStep.Inputs[0].Messages != nil || !tx.NextStep.CanResend || tx.NextStep.Poll == nil) {
			t.Errorf("after 429: %+v", tx.NextStep.Inputs)
		}
	}
	if err != nil || tx.NextStep.Name != "select-authenticator-enroll" {
		t.Fatalf("%v, %v", tx, err)
	}
}

func TestErrors(t *testing.T) {
	answer := func(status int, contentType, body string) reply {
		return reply{handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			io.WriteString(w, body)
		}}
	}
	const interact = "/oauth2/default/v1/interact"
	const introspect = "/idp/idx/introspect"
	tests := []struct {
		name   string
		script script
		is     error
		code   string
		status int
	}{
		{"IDX_C79 expired handle", script{introspect: {refused(401, "error-session-expired")}}, idx.ErrExpired, "idx.session.expired", 401},
		{"IDX_C07 OAuth error at interact", script{interact: {answer(400, "application/json", `{"error":"invalid_scope","error_description":"no"}`)}}, nil, "invalid_scope", 400},
		{"IDX_C82 fault", script{introspect: {refused(500, "error-internal")}}, nil, "E0000009", 500},
		{"E11 API rate limit", script{introspect: {refused(429, "error-rate-limit")}}, nil, "E0000047", 429},
		{"IDX_C66 E10 where no step is known", script{introspect: {refused(429, "error-too-many-requests")}}, nil, "tooManyRequests", 429},
		{"not JSON", script{introspect: {answer(502, "text/html", "<h1>Bad gateway</h1>")}}, nil, "", 502},
		{"not JSON, 200", script{introspect: {answer(200, "text/html", "<h1>Welcome to our Wi-Fi</h1>")}}, nil, "", 200},
		{"empty", script{introspect: {answer(200, "application/json", "")}}, nil, "", 200},
		{"another version", script{introspect: {answer(200, "application/json", `{"version":"2.0.0"}`)}}, nil, "", 200},
		{"redirect is not followed", script{interact: {reply{handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://evil.example/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}}}}, nil, "", 307},
		{"no handle", script{interact: {answer(200, "application/json", `{}`)}}, nil, "", 200},
		{"too long", script{introspect: {answer(200, "application/json", `{"version":"1.0.0","x":"`+strings.Repeat("x", 1<<20)+`"}`)}}, nil, "", 200},
		{"neither step nor message", script{introspect: {answer(400, "application/json", `{"version":"1.0.0"}`)}}, nil, "", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := serve(t, tt.script)
			tx, err := e.client(t).Start(t.Context(), idx.StartOptions{})
			var re *idx.ResponseError
			if !errors.As(err, &re) || tx != nil {
				t.Fatalf("got %v, %v", tx, err)
			}
			if re.Code != tt.code || re.Status != tt.status || !strings.HasPrefix(re.RequestID, "req") {
				t.Errorf("got %d %q, request %q", re.Status, re.Code, re.RequestID)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if !strings.Contains(err.Error(), re.RequestID) {
				t.Errorf("no request id in %q", err)
			}
		})
	}
}

func TestNotOffered(t *testing.T) {
	tests := []struct {
		name string
		from string
		run  func(context.Context, *idx.Client, *idx.Transaction) (*idx.Transaction, error)
	}{
		{"nothing given", "introspect", proceed(idx.Input{})},
		{"code where a name is asked", "introspect", proceed(idx.Input{VerificationCode: "1"})},
		{"another step", "introspect", proceed(idx.Input{Step: "skip"})},
		{"another authenticator", "select-enroll", proceed(idx.Input{Authenticator: "webauthn"})},
		{"another authenticator at a named step", "select-enroll", proceed(idx.Input{Step: "select-authenticator-enroll", Authenticator: "webauthn"})},
		{"the authenticator in hand", "enroll-email", proceed(idx.Input{Authenticator: "okta_email"})},
		{"resend", "introspect", func(ctx context.Context, c *idx.Client, tx *idx.Transaction) (*idx.Transaction, error) {
			return c.Resend(ctx, tx)
		}},
		{"poll", "introspect", func(ctx context.Context, c *idx.Client, tx *idx.Transaction) (*idx.Transaction, error) {
			return c.Poll(ctx, tx)
		}},
		{"cancel", "terminal-transferred", func(ctx context.Context, c *idx.Client, tx *idx.Transaction) (*idx.Transaction, error) {
			return c.Cancel(ctx, tx)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := serve(t, script{"/idp/idx/introspect": {ok(tt.from)}})
			c := e.client(t)
			tx, err := c.Start(t.Context(), idx.StartOptions{})
			if err != nil {
				t.Fatal(err)
			}
			before := len(e.calls)
			if _, err := tt.run(t.Context(), c, tx); !errors.Is(err, idx.ErrNotOffered) {
				t.Errorf("err = %v", err)
			}
			if len(e.calls) != before {
				t.Errorf("requests were made: %v", e.calls[before:])
			}
		})
	}
	for name, run := range map[string]func(*idx.Client) (*idx.Transaction, error){
		"unlock": func(c *idx.Client) (*idx.Transaction, error) {
			return c.UnlockAccount(t.Context(), idx.Credentials{Username: "john"})
		},
		"recovery": func(c *idx.Client) (*idx.Transaction, error) {
			return c.RecoverPassword(t.Context(), idx.Credentials{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, script{"/idp/idx/introspect": {ok("introspect")}})
			if _, err := run(e.client(t)); !errors.Is(err, idx.ErrNotOffered) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func proceed(in idx.Input) func(context.Context, *idx.Client, *idx.Transaction) (*idx.Transaction, error) {
	return func(ctx context.Context, c *idx.Client, tx *idx.Transaction) (*idx.Transaction, error) {
		return c.Proceed(ctx, tx, in)
	}
}

func TestIDX_C48_RegistrationClosed(t *testing.T) {
	t.Run("not offered", func(t *testing.T) {
		e := serve(t, script{"/idp/idx/introspect": {ok("introspect-closed")}})
		if _, err := e.client(t).Register(t.Context(), john); !errors.Is(err, idx.ErrRegistrationClosed) {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("closed meanwhile", func(t *testing.T) {
		e := serve(t, script{"/idp/idx/introspect": {ok("introspect")}, "/idp/idx/enroll": {refused(403, "error-registration-closed")}})
		if _, err := e.client(t).Register(t.Context(), john); !errors.Is(err, idx.ErrRegistrationClosed) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestNew(t *testing.T) {
	good := idx.Config{Issuer: "https://id.example.com/oauth2/default", ClientID: "a", RedirectURI: redirect}
	if _, err := idx.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*idx.Config){
		"no issuer":       func(c *idx.Config) { c.Issuer = "" },
		"relative issuer": func(c *idx.Config) { c.Issuer = "/oauth2/default" },
		"odd scheme":      func(c *idx.Config) { c.Issuer = "ftp://id.example.com" },
		"trailing slash":  func(c *idx.Config) { c.Issuer += "/" },
		"query":           func(c *idx.Config) { c.Issuer += "?a=b" },
		"no client id":    func(c *idx.Config) { c.ClientID = "" },
		"no redirect URI": func(c *idx.Config) { c.RedirectURI = "" },
	} {
		cfg := good
		change(&cfg)
		if _, err := idx.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestResponseErrorHidesItsBody(t *testing.T) {
	e := &idx.ResponseError{Status: 500, Code: "E0000009", Body: []byte("02.id.k3Jq7Zr1uVd0")}
	for _, s := range []string{fmt.Sprintf("%v", e), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e), e.LogValue().String()} {
		if bytes.Contains([]byte(s), []byte("k3Jq7")) || strings.Contains(s, "0x30") {
			t.Errorf("the body is in %q", s)
		}
	}
}
