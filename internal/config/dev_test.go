package config

import (
	"slices"
	"testing"

	"github.com/stile-id/stile/internal/policy"
)

func TestDevValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		dev  Dev
		want string // error, or ""
		url  string
	}{
		{name: "defaults", dev: Dev{Listen: "localhost:9000", AppListen: "localhost:8080"}, url: "http://localhost:9000"},
		{name: "all interfaces", dev: Dev{Listen: ":9000", AppListen: "off"}, url: "http://localhost:9000"},
		{name: "loopback by number", dev: Dev{Listen: "127.0.0.1:9000", AppListen: "off"}, url: "http://127.0.0.1:9000"},
		{name: "public URL", dev: Dev{Listen: ":9000", AppListen: "off", PublicURL: "https://id.example.com/"}, url: "https://id.example.com"},
		{name: "listen", dev: Dev{Listen: "9000", AppListen: "off"}, want: `--listen: "9000" is not HOST:PORT`},
		{name: "public URL with a path", dev: Dev{Listen: ":1", AppListen: "off", PublicURL: "https://a/b"}, want: `--public-url: "https://a/b" is not of the form https://host`},
		{name: "PostgreSQL", dev: Dev{Listen: "localhost:9000", AppListen: "off", Database: "postgres:///stile?host=/run"}, url: "http://localhost:9000"},
		{name: "another database", dev: Dev{Listen: ":1", AppListen: "off", Database: "mysql://a:b@c/d"}, want: "--database: not of the form postgres://user:password@host/name"},
		{name: "id without secret", dev: Dev{Listen: ":1", AppListen: "off", ClientID: "a"}, want: "--client-id and --client-secret go together"},
		{name: "authenticators", dev: Dev{Listen: ":1", AppListen: "off", Offer: []string{"webauthn"}, Require: []string{"webauthn"}}, url: "http://localhost:1"},
		{name: "all authenticators", dev: Dev{Listen: ":1", AppListen: "off", Offer: []string{"all"}, Require: []string{"webauthn"}}, url: "http://localhost:1"},
		{name: "no such authenticator", dev: Dev{Listen: ":1", AppListen: "off", Offer: []string{"x"}},
			want: `--authenticators: there is no "x"; there are okta_email, okta_verify, okta_password, webauthn, google_otp, phone_number, security_question, recovery_code, custom_otp, tac, and all`},
		{name: "required and not offered", dev: Dev{Listen: ":1", AppListen: "off", Require: []string{"webauthn"}},
			want: `--require-authenticators: there is no "webauthn"; there are okta_email, okta_verify, okta_password`},
		{name: "unknown authenticator", dev: Dev{Listen: ":1", AppListen: "off", Require: []string{"x"}},
			want: `--require-authenticators: there is no "x"; there are okta_email, okta_verify, okta_password`},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.dev.Validate()
			switch {
			case c.want != "" && (err == nil || err.Error() != c.want):
				t.Errorf("error %v, want %s", err, c.want)
			case c.want == "" && err != nil:
				t.Error(err)
			case c.url != "" && c.dev.PublicURL != c.url:
				t.Errorf("public URL %s, want %s", c.dev.PublicURL, c.url)
			}
		})
	}
}

func TestDevAuthenticators(t *testing.T) {
	for _, c := range []struct{ offer, want []string }{
		{nil, []string{"okta_email", "okta_verify", "okta_password"}},
		{[]string{"webauthn", "okta_password"}, []string{"okta_email", "okta_verify", "okta_password", "webauthn"}},
		{[]string{"all"}, policy.Installed},
	} {
		stored := policy.PasswordOptional()
		org := stored
		(&Dev{Offer: c.offer}).Overlay(&org)
		if got := org.EnrollmentFor(nil).Keys(""); !slices.Equal(got, c.want) {
			t.Errorf("--authenticators %q: %q", c.offer, got)
		}
		if got := stored.EnrollmentFor(nil).Keys(""); len(got) != 3 {
			t.Errorf("--authenticators %q changed what is stored: %q", c.offer, got)
		}
		if got := org.EnrollmentFor(nil).Keys(policy.Required); !slices.Equal(got, []string{"okta_email"}) {
			t.Errorf("--authenticators %q requires %q", c.offer, got)
		}
	}
}
