package idx_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/idx"
)

func TestSteps(t *testing.T) {
	tests := []struct {
		name   string
		script script
		run    func(*testing.T, *idx.Client) (*idx.Transaction, error)
		want   string // JSON that the transaction must have
		body   string // JSON of the last IDX request, stateHandle left out
	}{
		{
			name:   "step 1: the link shows where sign-up is on",
			script: script{"/idp/idx/introspect": {ok("introspect")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err == nil && !tx.HasFeature(idx.FeatureRegistration) {
					t.Error("HasFeature(FeatureRegistration) is false")
				}
				return tx, err
			},
			want: `{"status":"PENDING","enabledFeatures":["enroll-profile"],
				"availableSteps":["identify","select-enroll-profile","cancel"],
				"nextStep":{"name":"identify","inputs":[{"name":"username","label":"Username","required":true},
				{"name":"rememberMe","label":"Keep me signed in","type":"boolean"}]},
				"app":{"id":"0oa1acmeweb0000000","name":"oidc_client","label":"Acme Web"},"expiresAt":"2026-11-22T21:00:00Z"}`,
			body: `{"interactionHandle":"ih.1"}`,
		},
		{
			name:   "IDX_C38 step 2: Register without a profile stops at its inputs",
			script: script{"/idp/idx/introspect": {ok("introspect")}, "/idp/idx/enroll": {ok("enroll-profile")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				return c.Register(t.Context(), idx.Profile{})
			},
			want: `{"status":"PENDING","nextStep":{"name":"enroll-profile","inputs":[
				{"name":"firstName","label":"First name","required":true,"minLength":1,"maxLength":50},
				{"name":"lastName","label":"Last name","required":true,"minLength":1,"maxLength":50},
				{"name":"email","label":"Email","required":true,"maxLength":100}]}}`,
		},
		{
			name: "step 3: Register on a transaction in hand",
			script: script{
				"/idp/idx/introspect": {ok("introspect")}, "/idp/idx/enroll": {ok("enroll-profile")}, "/idp/idx/enroll/new": {ok("enroll-email")},
			},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err != nil {
					return nil, err
				}
				return c.Proceed(t.Context(), tx, idx.Input{Profile: &john})
			},
			want: `{"status":"PENDING","nextStep":{"name":"enroll-authenticator"},"user":{"identifier":"john.doe@example.org","firstName":"John"}}`,
			body: `{"userProfile":{"firstName":"John","lastName":"Doe","email":"john.doe@example.org"}}`,
		},
		{
			name: "password on the sign-up form",
			script: script{
				"/idp/idx/introspect": {ok("introspect")}, "/idp/idx/enroll": {ok("enroll-profile-with-password")}, "/idp/idx/enroll/new": {ok("enroll-email")},
			},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				return c.Register(t.Context(), idx.Profile{FirstName: "J", LastName: "D", Email: "j@example.org", Password: "Abcd1234",
					Attributes: map[string]string{"shoeSize": "43"}})
			},
			want: `{"status":"PENDING"}`,
			body: `{"userProfile":{"firstName":"J","lastName":"D","email":"j@example.org"},"credentials":{"passcode":"Abcd1234"}}`,
		},
		{
			name: "step 5 with a required authenticator: canSkip is false",
			script: script{
				"/idp/idx/introspect": {ok("enroll-email")}, "/idp/idx/challenge/answer": {ok("select-enroll-required")},
			},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{ActivationToken: "a"})
				if err != nil {
					return nil, err
				}
				if tx, err = c.Proceed(t.Context(), tx, idx.Input{VerificationCode: "1"}); err != nil {
					return nil, err
				}
				if _, err := c.Proceed(t.Context(), tx, idx.Input{Skip: true}); !errors.Is(err, idx.ErrNotOffered) {
					t.Errorf("skip: %v", err)
				}
				return tx, nil
			},
			want: `{"nextStep":{"name":"select-authenticator-enroll","canSkip":false,"options":[{"label":"Password","value":"okta_password"}]}}`,
		},
		{
			name: "instead of step 6: an authenticator and its password in one call",
			script: script{
				"/idp/idx/introspect": {ok("select-enroll")}, "/idp/idx/credential/enroll": {ok("enroll-password")}, "/idp/idx/challenge/answer": {ok("success")},
			},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err != nil {
					return nil, err
				}
				return c.Proceed(t.Context(), tx, idx.Input{Authenticator: "okta_password", Password: "Abcd1234"})
			},
			want: `{"status":"SUCCESS"}`,
			body: `{"credentials":{"passcode":"Abcd1234"}}`,
		},
		{
			name:   "the chosen authenticator stops at its inputs",
			script: script{"/idp/idx/introspect": {ok("select-enroll")}, "/idp/idx/credential/enroll": {ok("enroll-password")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err != nil {
					return nil, err
				}
				return c.Proceed(t.Context(), tx, idx.Input{Step: "select-authenticator-enroll", Authenticator: "okta_password"})
			},
			want: `{"nextStep":{"name":"enroll-authenticator","type":"password",
				"authenticator":{"key":"okta_password","methods":["password"],"settings":{"complexity":{"minLength":8}}},
				"inputs":[{"name":"password","label":"Enter password","type":"string","required":true,"secret":true}]}}`,
			body: `{"authenticator":{"id":"aut1password000000","methodType":"password"}}`,
		},
		{
			name:   "Authenticate without a name stops at identify",
			script: script{"/idp/idx/introspect": {ok("identify-password")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				return c.Authenticate(t.Context(), idx.Credentials{})
			},
			want: `{"enabledFeatures":["recover-password","enroll-profile"],"nextStep":{"name":"identify","inputs":[
				{"name":"username","label":"Username","required":true},
				{"name":"password","label":"Password","type":"string","required":true,"secret":true},
				{"name":"rememberMe","label":"Keep me signed in","type":"boolean"}]}}`,
		},
		{
			name:   "password on the same form",
			script: script{"/idp/idx/introspect": {ok("identify-password")}, "/idp/idx/identify": {ok("success")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				return c.Authenticate(t.Context(), idx.Credentials{Username: "john", Password: "Abcd1234", RememberMe: true})
			},
			want: `{"status":"SUCCESS"}`,
			body: `{"identifier":"john","credentials":{"passcode":"Abcd1234"},"rememberMe":true}`,
		},
		{
			name:   "IDX_C51 identifier first, email alone",
			script: script{"/idp/idx/introspect": {ok("introspect")}, "/idp/idx/identify": {ok("challenge-email")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				return c.Authenticate(t.Context(), idx.Credentials{Username: "john"})
			},
			want: `{"nextStep":{"name":"challenge-authenticator","type":"email","canResend":true,"poll":{"required":true,"refresh":4000},
				"authenticator":{"key":"okta_email","id":"eae1email0000000000","profile":{"email":"j***e@example.org"}}}}`,
			body: `{"identifier":"john"}`,
		},
		{
			name: "identifier first, the password picks its authenticator",
			script: script{
				"/idp/idx/introspect": {ok("introspect")}, "/idp/idx/identify": {ok("select-authenticate")},
				"/idp/idx/challenge": {ok("challenge-password")}, "/idp/idx/challenge/answer": {ok("success")},
			},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				return c.Authenticate(t.Context(), idx.Credentials{Username: "john", Password: "Abcd1234"})
			},
			want: `{"status":"SUCCESS"}`,
		},
		{
			name:   "IDX_C52 several factors: the list first",
			script: script{"/idp/idx/introspect": {ok("introspect")}, "/idp/idx/identify": {ok("select-authenticate")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				return c.Authenticate(t.Context(), idx.Credentials{Username: "john"})
			},
			want: `{"nextStep":{"name":"select-authenticator-authenticate",
				"options":[{"label":"Email","value":"okta_email"},{"label":"Password","value":"okta_password"}]}}`,
		},
		{
			name:   "an expiring password is a success with a notice",
			script: script{"/idp/idx/introspect": {ok("identify-password")}, "/idp/idx/identify": {ok("password-expiring")}, "/idp/idx/skip": {ok("success")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Authenticate(t.Context(), idx.Credentials{Username: "john", Password: "Abcd1234"})
				if err != nil {
					return nil, err
				}
				if d := lacks(asJSON(t, tx), parse(t, `{"nextStep":{"name":"reenroll-authenticator-warning","canSkip":true,
					"inputs":[{"name":"newPassword","label":"New password","type":"string","required":true,"secret":true}]},
					"messages":[{"class":"INFO","message":"When your password expires, you will have to change your password before you can login to your Acme Web account.",
					"i18n":{"key":"idx.password.expiring.message","params":["Acme Web"]}}]}`)); d != "" {
					t.Error(d)
				}
				return c.Proceed(t.Context(), tx, idx.Input{Skip: true})
			},
			want: `{"status":"SUCCESS"}`,
		},
		{
			name: "IDX_C67 recovery from the sign-in form",
			script: script{
				"/idp/idx/introspect": {ok("identify-password")}, "/idp/idx/recover": {ok("identify-recovery")},
				"/idp/idx/identify": {ok("recovery-list")}, "/idp/idx/challenge": {ok("challenge-email")},
				"/idp/idx/challenge/answer": {ok("reset-password"), ok("success")},
			},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.RecoverPassword(t.Context(), idx.Credentials{Username: "john"})
				if err != nil {
					return nil, err
				}
				if tx, err = c.Proceed(t.Context(), tx, idx.Input{Authenticator: "okta_email"}); err != nil {
					return nil, err
				}
				if tx, err = c.Proceed(t.Context(), tx, idx.Input{VerificationCode: "726009"}); err != nil {
					return nil, err
				}
				return c.Proceed(t.Context(), tx, idx.Input{Password: "Abcd1234", Values: map[string]any{"revokeSessions": "on"}})
			},
			want: `{"status":"SUCCESS"}`,
			body: `{"credentials":{"passcode":"Abcd1234","revokeSessions":true}}`,
		},
		{
			name:   "recovery without a name stops at identify-recovery",
			script: script{"/idp/idx/introspect": {ok("identify-password")}, "/idp/idx/recover": {ok("identify-recovery")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				return c.RecoverPassword(t.Context(), idx.Credentials{})
			},
			want: `{"nextStep":{"name":"identify-recovery","inputs":[{"name":"username","label":"Email or Username","required":true}]}}`,
		},
		{
			name: "IDX_C67 recovery where the identifier comes first",
			script: script{
				"/idp/idx/introspect": {ok("introspect")}, "/idp/idx/identify": {ok("select-authenticate")},
				"/idp/idx/challenge": {ok("challenge-password")}, "/idp/idx/recover": {ok("recovery-list")},
			},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				return c.RecoverPassword(t.Context(), idx.Credentials{Username: "john"})
			},
			want: `{"nextStep":{"name":"select-authenticator-authenticate","options":[{"label":"Email","value":"okta_email"}]}}`,
		},
		{
			name:   "recovery token",
			script: script{"/idp/idx/introspect": {ok("reset-password")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				return c.RecoverPassword(t.Context(), idx.Credentials{RecoveryToken: "r"})
			},
			want: `{"nextStep":{"name":"reset-authenticator","inputs":[
				{"name":"password","label":"New password","type":"string","required":true,"secret":true},
				{"name":"revokeSessions","label":"Sign me out of all other devices","type":"boolean"}]}}`,
		},
		{
			name: "unlock",
			script: script{
				"/idp/idx/introspect": {ok("introspect-unlock")}, "/idp/idx/unlock-account": {ok("unlock-account")}, "/idp/idx/challenge": {ok("challenge-email")},
			},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.UnlockAccount(t.Context(), idx.Credentials{})
				if err != nil {
					return nil, err
				}
				return c.Proceed(t.Context(), tx, idx.Input{Username: "john", Authenticator: "okta_email"})
			},
			want: `{"nextStep":{"name":"challenge-authenticator"}}`,
			body: `{"identifier":"john","authenticator":{"id":"aut1email0000000000","methodType":"email"}}`,
		},
		{
			name:   "phone: data first",
			script: script{"/idp/idx/introspect": {ok("enroll-phone-data")}, "/idp/idx/credential/enroll": {ok("enroll-email")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err != nil {
					return nil, err
				}
				return c.Proceed(t.Context(), tx, idx.Input{Values: map[string]any{"methodType": "sms", "phoneNumber": "+15555550100"}})
			},
			want: `{"status":"PENDING"}`,
			body: `{"authenticator":{"id":"aut1phone000000000","methodType":"sms","phoneNumber":"+15555550100"}}`,
		},
		{
			name:   "security question: a question of one's own",
			script: script{"/idp/idx/introspect": {ok("enroll-question")}, "/idp/idx/challenge/answer": {ok("success")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err != nil {
					return nil, err
				}
				return c.Proceed(t.Context(), tx, idx.Input{Values: map[string]any{"questionKey": "disliked_food", "question": "Atko", "answer": "Okta"}})
			},
			want: `{"status":"SUCCESS"}`,
			body: `{"credentials":{"questionKey":"custom","question":"Atko","answer":"Okta"}}`,
		},
		{
			name:   "security question: one of the list",
			script: script{"/idp/idx/introspect": {ok("enroll-question")}, "/idp/idx/challenge/answer": {ok("success")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err != nil {
					return nil, err
				}
				return c.Proceed(t.Context(), tx, idx.Input{Values: map[string]any{"questionKey": "disliked_food", "answer": "Okta"}})
			},
			want: `{"status":"SUCCESS"}`,
			body: `{"credentials":{"questionKey":"disliked_food","answer":"Okta"}}`,
		},
		{
			name:   "a step that nobody has heard of works by its fields",
			script: script{"/idp/idx/introspect": {ok("unknown-step")}, "/idp/idx/device/activate": {ok("success")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err != nil {
					return nil, err
				}
				return c.Proceed(t.Context(), tx, idx.Input{Values: map[string]any{"userCode": "ABCD", "details.device": "TV"}})
			},
			want: `{"status":"SUCCESS"}`,
			body: `{"userCode":"ABCD","details":{"device":"TV"}}`,
		},
		{
			name:   "push: a remediation to poll",
			script: script{"/idp/idx/introspect": {ok("challenge-push")}, "/idp/idx/challenge/poll": {ok("challenge-push"), ok("success")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err != nil {
					return nil, err
				}
				if tx, err = c.Poll(t.Context(), tx); err != nil {
					return nil, err
				}
				if d := lacks(asJSON(t, tx), parse(t, `{"nextStep":{"name":"challenge-poll","type":"app","poll":{"required":true,"refresh":2000}}}`)); d != "" {
					t.Error(d)
				}
				return c.Poll(t.Context(), tx)
			},
			want: `{"status":"SUCCESS"}`,
		},
		{
			name:   "IDX_C62 the flow went on in another tab",
			script: script{"/idp/idx/introspect": {ok("enroll-email")}, "/idp/idx/challenge/poll": {ok("terminal-transferred")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err != nil {
					return nil, err
				}
				return c.Poll(t.Context(), tx)
			},
			want: `{"status":"TERMINAL","messages":[{"class":"INFO","message":"Flow continued in a new tab.","i18n":{"key":"idx.transferred.to.new.tab"}}]}`,
		},
		{
			name:   "IDX_C63 resend gives the same step",
			script: script{"/idp/idx/introspect": {ok("enroll-email")}, "/idp/idx/challenge/resend": {ok("enroll-email")}},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err != nil {
					return nil, err
				}
				return c.Resend(t.Context(), tx)
			},
			want: `{"status":"PENDING","nextStep":{"name":"enroll-authenticator","canResend":true}}`,
			body: `{}`,
		},
		{
			name: "IDX_C71 cancel, and begin again on the same interaction",
			script: script{
				"/idp/idx/introspect": {ok("enroll-email")}, "/idp/idx/cancel": {ok("introspect")},
				"/idp/idx/enroll": {ok("enroll-profile")}, "/idp/idx/enroll/new": {ok("enroll-email")},
			},
			run: func(t *testing.T, c *idx.Client) (*idx.Transaction, error) {
				tx, err := c.Start(t.Context(), idx.StartOptions{})
				if err != nil {
					return nil, err
				}
				if tx, err = c.Cancel(t.Context(), tx); err != nil {
					return nil, err
				}
				if tx.Status != idx.StatusCanceled || tx.NextStep != nil {
					t.Errorf("after cancel: %v", tx)
				}
				return c.Proceed(t.Context(), tx, idx.Input{Profile: &john})
			},
			want: `{"status":"PENDING","nextStep":{"name":"enroll-authenticator"}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := serve(t, tt.script)
			tx, err := tt.run(t, e.client(t))
			if err != nil {
				t.Fatal(err)
			}
			if d := lacks(asJSON(t, tx), parse(t, tt.want)); d != "" {
				t.Error(d)
			}
			if tt.body != "" {
				got := e.lastBody()
				delete(got, "stateHandle")
				if d := cmp.Diff(parse(t, tt.body), got); d != "" {
					t.Errorf("last request: %s", d)
				}
			}
		})
	}
}

func TestStepByName(t *testing.T) {
	e := serve(t, script{"/idp/idx/introspect": {ok("select-enroll")}})
	tx, err := e.client(t).Start(t.Context(), idx.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s := tx.Step("skip"); s == nil || s.Name != "skip" {
		t.Errorf("Step(skip) = %v", s)
	}
	if s := tx.Step("identify"); s != nil {
		t.Errorf("Step(identify) = %v", s)
	}
	if !slices.Contains(tx.AvailableSteps, "cancel") {
		t.Errorf("AvailableSteps = %v", tx.AvailableSteps)
	}
	var none *idx.Transaction
	if none.Step("skip") != nil || none.HasFeature(idx.FeatureRegistration) || none.State() != "" {
		t.Error("a nil transaction offers something")
	}
}

func TestDelivery(t *testing.T) {
	e := serve(t, script{"/idp/idx/introspect": {ok("enroll-email")}})
	tx, err := e.client(t).Start(t.Context(), idx.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := &idx.Delivery{CodeExpiresAt: start.Add(600e9), ResendAt: start.Add(30e9), TriesLeft: 5, Status: "queued"}
	if d := cmp.Diff(want, tx.NextStep.Authenticator.Delivery); d != "" {
		t.Error(d)
	}
}
