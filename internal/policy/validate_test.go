package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func installed(key string) bool {
	return key == "okta_email" || key == "okta_verify" || key == "okta_password"
}

// full is a document with something of everything, and nothing wrong.
func full() Org {
	staff := []string{"staff"}
	o := PasswordOptional()
	o.Brand = Brand{Name: "Acme", Logo: "https://acme.example/logo.svg", Color: "#0b5Fff"}
	o.TrustedOrigins = []string{"https://app.example.com", "http://localhost:3000"}
	o.Groups = []Group{{ID: "staff", Name: "Staff"}, {ID: "Guests_2-b"}}
	o.Session = slices.Insert(o.Session, 0, Session{Name: "staff", Groups: staff, Primary: PasswordFirst, Idle: Minutes(15), Max: 1})
	o.Access[0].Rules = slices.Insert(o.Access[0].Rules, 0, AccessRule{Name: "Staff. two_factors-1", Groups: staff, Factors: 2, Constraints: []Constraint{
		{Knowledge: &Evidence{Types: []string{"password"}}}, {Inherence: &Evidence{}},
	}})
	o.Access = append(o.Access, Access{Name: "closed", Rules: []AccessRule{{Name: "nobody", Deny: true}}})
	o.Enrollment = slices.Insert(o.Enrollment, 0, Enrollment{Name: "staff", Groups: staff, Authenticators: []Authenticator{
		{Key: "okta_email", Need: Required}, {Key: "okta_password", Need: Required},
	}})
	o.Profile = append(o.Profile, Profile{Name: "shop", SignUp: Closed, Groups: []string{"Guests_2-b"}, Attributes: []Attribute{
		{Name: "favouriteColour_2", Type: "string", When: AfterSignIn, MinLength: 1, MaxLength: 20, Pattern: "^[a-z]+$", Enum: []string{"red"}},
		{Name: "age", Type: "number", When: OnProfile}, {Name: "news", Type: "boolean", When: AtSignUp},
	}})
	o.Password = slices.Insert(o.Password, 0, Password{
		Name: "staff", Groups: staff, Complexity: Complexity{MinLength: 15}, MaxAge: Days(90), Warn: Days(5), MinAge: Hours(1), History: 24,
		MaxAttempts: 5, AutoUnlock: Minutes(15), Unlock: true,
	})
	o.WebAuthn = WebAuthn{RPID: "example.com", Attestation: "direct", AAGUIDs: []string{"2fc0579f-8113-47ea-b116-bb5a8db9202a"}, Roots: []string{root}}
	return o
}

// root is a certificate that signs nothing.
const root = `-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUS9rcO8EUy3vVKPxabF8uOAN5yXcwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJQWNtZSBLZXlzMCAXDTI2MTEyNzA5NTkzOVoYDzIxMjYxMTAz
MDk1OTM5WjAUMRIwEAYDVQQDDAlBY21lIEtleXMwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATjpgtbu4rYCsVCZd19Zx4zLIpGmrOZ63+FXn3gWus8C9zltEaHUmcN
OJkfSyvP/iuZm4jWS8Oe7LZwxY3ESjE9o1MwUTAdBgNVHQ4EFgQUIaf2ck6fO+1z
eQ5pgi21QWqYYH4wHwYDVR0jBBgwFoAUIaf2ck6fO+1zeQ5pgi21QWqYYH4wDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAqXHkBIqzKueHhiM15t2g
aTvSwb6hrRlRCXgAUYZYQwUCIF2PuDwFv0k8D+Xdje62wa3+l3PtA57+eK0g+PWr
5dMt
-----END CERTIFICATE-----`

func TestValidateAccepts(t *testing.T) {
	for name, o := range map[string]Org{"password-optional": PasswordOptional(), "full": full()} {
		if err := o.Validate(installed); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each refusal begins with the path of what it means, and comes alone.
func TestEachRefusalHasItsPath(t *testing.T) {
	tests := []struct {
		path string
		spot func(*Org)
	}{
		{"enumeration", func(o *Org) { o.Enumeration = "" }},
		{"enumeration", func(o *Org) { o.Enumeration = "Protect" }},
		{"brand.color", func(o *Org) { o.Brand.Color = "red" }},
		{"brand.color", func(o *Org) { o.Brand.Color = "#12345;x" }},
		{"brand.logo", func(o *Org) { o.Brand.Logo = "http://acme.example/logo.svg" }},
		{"brand.logo", func(o *Org) { o.Brand.Logo = "javascript:alert(1)" }},
		{"webauthn.rpId", func(o *Org) { o.WebAuthn.RPID = "https://example.com" }},
		{"webauthn.rpId", func(o *Org) { o.WebAuthn.RPID = "example.com:8080" }},
		{"webauthn.rpId", func(o *Org) { o.WebAuthn.RPID = "Example.com" }},
		{"webauthn.attestation", func(o *Org) { o.WebAuthn.Attestation = "enterprise" }},
		{"webauthn.aaguids[0]", func(o *Org) { o.WebAuthn.AAGUIDs[0] = "yubikey" }},
		{"webauthn.aaguids", func(o *Org) { o.WebAuthn.Attestation = "" }},
		{"webauthn.roots", func(o *Org) { o.WebAuthn.Roots = nil }},
		{"webauthn.roots", func(o *Org) { o.WebAuthn.AAGUIDs = nil }},
		{"webauthn.roots[0]", func(o *Org) { o.WebAuthn.Roots[0] = "MII…" }},
		{"trustedOrigins[1]", func(o *Org) { o.TrustedOrigins[1] = "*" }},
		{"trustedOrigins[0]", func(o *Org) { o.TrustedOrigins[0] = "https://app.example.com/" }},
		{"trustedOrigins[0]", func(o *Org) { o.TrustedOrigins[0] = "https://App.example.com" }},
		{"trustedOrigins[0]", func(o *Org) { o.TrustedOrigins[0] = "https://u@app.example.com" }},
		{"trustedOrigins[0]", func(o *Org) { o.TrustedOrigins[0] = "null" }},
		{"groups[2].id", func(o *Org) { o.Groups = append(o.Groups, Group{ID: "all staff"}) }},
		{"groups[2].id", func(o *Org) { o.Groups = append(o.Groups, Group{ID: "staff"}) }},

		{"session", func(o *Org) { o.Session = nil }},
		{"session[0].name", func(o *Org) { o.Session[0].Name = "" }},
		{"session[1].name", func(o *Org) { o.Session[1].Name = "staff" }},
		{"session[0].groups", func(o *Org) { o.Session[0].Groups = []string{"nobody"} }},
		{"session[1].groups", func(o *Org) { o.Session[1].Groups = []string{"staff"} }},
		{"session[0].primary", func(o *Org) { o.Session[0].Primary = "email" }},
		{"session[0].max", func(o *Org) { o.Session[0].Max = 101 }},
		{"session[0].max", func(o *Org) { o.Session[0].Max = -1 }},
		{"session[0].lifetime", func(o *Org) { o.Session[0].Lifetime = Days(366) }},
		{"session[0].lifetime", func(o *Org) { o.Session[0].RememberLifetime = Days(366) }},

		{"access", func(o *Org) { o.Access = o.Access[1:] }},
		{"access[1].name", func(o *Org) { o.Access[1].Name = "a/b" }},
		{"access[1].name", func(o *Org) { o.Access[1].Name = DefaultName }},
		{"access[1].rules", func(o *Org) { o.Access[1].Rules = nil }},
		{"access[0].rules[1].name", func(o *Org) { o.Access[0].Rules[1].Name = o.Access[0].Rules[0].Name }},
		{"access[0].rules[0].groups", func(o *Org) { o.Access[0].Rules[0].Groups = []string{"nobody"} }},
		{"access[0].rules[1].groups", func(o *Org) { o.Access[0].Rules[1].Groups = []string{"staff"} }},
		{"access[0].rules[0].factors", func(o *Org) { o.Access[0].Rules[0].Factors = 3 }},
		{"access[0].rules[0].factors", func(o *Org) { o.Access[0].Rules[0].Factors = -1 }},
		{"access[0].rules[0].constraints[1]", func(o *Org) { o.Access[0].Rules[0].Constraints[1] = Constraint{} }},

		{"enrollment", func(o *Org) { o.Enrollment = nil }},
		{"enrollment[0].name", func(o *Org) { o.Enrollment[0].Name = "a\nb" }},
		{"enrollment[0].groups", func(o *Org) { o.Enrollment[0].Groups = []string{"nobody"} }},
		{"enrollment[1].groups", func(o *Org) { o.Enrollment[1].Groups = []string{"staff"} }},
		{"enrollment[0].authenticators[1].key", func(o *Org) { o.Enrollment[0].Authenticators[1].Key = "webauthn" }},
		{"enrollment[0].authenticators[1].need", func(o *Org) { o.Enrollment[0].Authenticators[1].Need = "never" }},
		{"enrollment[0].authenticators[2].key", func(o *Org) {
			e := &o.Enrollment[0]
			e.Authenticators = append(e.Authenticators, Authenticator{Key: "okta_password", Need: Optional})
		}},
		{"enrollment[0].authenticators", func(o *Org) { o.Enrollment[0].Authenticators[0].Need = Optional }},
		{"enrollment[0].authenticators", func(o *Org) { o.Enrollment[0].Authenticators = o.Enrollment[0].Authenticators[1:] }},

		{"profile", func(o *Org) { o.Profile = o.Profile[1:] }},
		{"profile[1].name", func(o *Org) { o.Profile[1].Name = strings.Repeat("x", 65) }},
		{"profile[1].groups", func(o *Org) { o.Profile[1].Groups = []string{"nobody"} }},
		{"profile[1].signUp", func(o *Org) { o.Profile[1].SignUp = "invited" }},
		{"profile[1].attributes[0].name", func(o *Org) { o.Profile[1].Attributes[0].Name = "2nd" }},
		{"profile[1].attributes[0].name", func(o *Org) { o.Profile[1].Attributes[0].Name = "user.name" }},
		{"profile[1].attributes[0].name", func(o *Org) { o.Profile[1].Attributes[0].Name = "EMAILVERIFIED" }},
		{"profile[1].attributes[2].name", func(o *Org) { o.Profile[1].Attributes[2].Name = "age" }},
		{"profile[1].attributes[0].type", func(o *Org) { o.Profile[1].Attributes[0].Type = "date" }},
		{"profile[1].attributes[0].when", func(o *Org) { o.Profile[1].Attributes[0].When = "later" }},
		{"profile[1].attributes[0]", func(o *Org) { o.Profile[1].Attributes[0].MinLength = 21 }},
		{"profile[1].attributes[0]", func(o *Org) { o.Profile[1].Attributes[0].MaxLength = 1025 }},
		{"profile[1].attributes[0]", func(o *Org) { o.Profile[1].Attributes[0].MinLength = -1 }},
		{"profile[1].attributes[0].pattern", func(o *Org) { o.Profile[1].Attributes[0].Pattern = "(" }},

		{"password", func(o *Org) { o.Password = nil }},
		{"password[1].name", func(o *Org) { o.Password[1].Name = "staff" }},
		{"password[0].groups", func(o *Org) { o.Password[0].Groups = []string{"nobody"} }},
		{"password[1].groups", func(o *Org) { o.Password[1].Groups = []string{"staff"} }},
		{"password[0].complexity", func(o *Org) { o.Password[0].Complexity.MinLength = 7 }},
		{"password[1].complexity", func(o *Org) { o.Password[1].Complexity = Complexity{} }},
		{"password[0].history", func(o *Org) { o.Password[0].History = 25 }},
		{"password[0].history", func(o *Org) { o.Password[0].History = -1 }},
		{"password[0].maxAttempts", func(o *Org) { o.Password[0].MaxAttempts = -1 }},
		{"password[0].warn", func(o *Org) { o.Password[0].Warn = Days(90) }},
		{"password[1].warn", func(o *Org) { o.Password[1].Warn = Days(1) }},
		{"password[0].minAge", func(o *Org) { o.Password[0].MinAge = Days(90) }},
	}
	for _, test := range tests {
		o := full()
		test.spot(&o)
		if got := paths(t, o.Validate(installed)); !slices.Equal(got, []string{test.path}) {
			t.Errorf("%s: the refusals are of %q: %v", test.path, got, o.Validate(installed))
		}
	}
}

func TestValidateTellsEverything(t *testing.T) {
	o := full()
	o.Brand.Color, o.Session[0].Max, o.Access[0].Rules[0].Factors, o.Password[0].History = "red", 200, 9, 99
	o.Password[0].Groups = []string{"nobody", "staff", "nowhere"}
	want := []string{"brand.color", "session[0].max", "access[0].rules[0].factors", "password[0].groups", "password[0].groups", "password[0].history"}
	if got := paths(t, o.Validate(installed)); !slices.Equal(got, want) {
		t.Errorf("refusals of %q, want %q", got, want)
	}
	empty := Org{}
	got := paths(t, empty.Validate(installed))
	for _, want := range []string{"enumeration", "session", "access", "enrollment", "profile", "password"} {
		if !slices.Contains(got, want) {
			t.Errorf("of an empty document only %q are told, not %s", got, want)
		}
	}
}

// paths are what the lines of a refusal begin with.
func paths(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	if !ok {
		t.Fatalf("%T is not a list of refusals", err)
	}
	var out []string
	for _, e := range joined.Unwrap() {
		path, reason, ok := strings.Cut(e.Error(), ": ")
		if !ok || reason == "" {
			t.Errorf("%q has no path", e)
		}
		out = append(out, path)
	}
	return out
}
