package policy

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
)

// A document is the same after it was written and read.
func TestOrgRoundTrip(t *testing.T) {
	for name, want := range map[string]Org{"password-optional": PasswordOptional(), "full": full()} {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Org
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: written as\n%s\nand read as\n%+v", name, b, got)
		}
	}
}

// The guide's organisation, as it is written: nothing that is a default is in it.
func TestPasswordOptionalDocument(t *testing.T) {
	got, err := json.MarshalIndent(PasswordOptional(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "enumeration": "protect",
 "session": [
  {
   "name": "default",
   "primary": "identifier",
   "idle": "2h",
   "lifetime": "1d",
   "rememberIdle": "14d",
   "rememberLifetime": "30d",
   "max": 20
  }
 ],
 "access": [
  {
   "name": "default",
   "rules": [
    {
     "name": "default",
     "factors": 1,
     "reauthenticate": "2h"
    }
   ]
  }
 ],
 "enrollment": [
  {
   "name": "default",
   "authenticators": [
    {
     "key": "okta_email",
     "need": "required"
    },
    {
     "key": "okta_verify",
     "need": "optional"
    },
    {
     "key": "okta_password",
     "need": "optional"
    }
   ]
  }
 ],
 "profile": [
  {
   "name": "default",
   "signUp": "open"
  }
 ],
 "password": [
  {
   "name": "default",
   "complexity": {
    "minLength": 8,
    "excludeUsername": true,
    "excludeAttributes": [
     "firstName",
     "lastName"
    ]
   }
  }
 ]
}`
	if string(got) != want {
		t.Errorf("the document is\n%s", got)
	}
}

// The first policy that is for one of a person's groups counts; the last is everybody's.
func TestFirstMatchCounts(t *testing.T) {
	a, b := []string{"a"}, []string{"b"}
	o := Org{
		Session:    []Session{{Name: "a", Groups: a}, {Name: "b", Groups: b}, {Name: "all"}},
		Access:     []Access{{Name: DefaultName, Rules: []AccessRule{{Name: "a", Groups: a}, {Name: "b", Groups: b}, {Name: "all"}}}},
		Enrollment: []Enrollment{{Name: "a", Groups: a}, {Name: "b", Groups: b}, {Name: "all"}},
		Password:   []Password{{Name: "a", Groups: a}, {Name: "b", Groups: b}, {Name: "all"}},
	}
	for _, test := range []struct {
		groups []string
		want   string
	}{
		{nil, "all"}, {[]string{"c"}, "all"}, {[]string{"a"}, "a"}, {[]string{"c", "b"}, "b"}, {[]string{"b", "a"}, "a"}, {[]string{""}, "all"},
	} {
		got := []string{
			o.SessionFor(test.groups).Name, o.AccessFor(DefaultName, test.groups).Name,
			o.EnrollmentFor(test.groups).Name, o.PasswordFor(test.groups).Name,
		}
		if !slices.Equal(got, slices.Repeat([]string{test.want}, 4)) {
			t.Errorf("in %q: session, access, enrollment, password are %q, want %s", test.groups, got, test.want)
		}
	}
}

func TestAppsNameTheirPolicy(t *testing.T) {
	o := Org{
		Access:  []Access{{Name: "strict", Rules: []AccessRule{{Name: "two", Factors: 2}}}, {Name: DefaultName, Rules: []AccessRule{{Name: "one"}}}},
		Profile: []Profile{{Name: "shop", SignUp: Closed}, {Name: DefaultName, SignUp: Open}},
	}
	for name, want := range map[string]string{"strict": "two", DefaultName: "one", "": "one", "gone": "one"} {
		if got := o.AccessFor(name, nil).Name; got != want {
			t.Errorf("access %q: rule %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"shop": "shop", DefaultName: DefaultName, "": DefaultName, "gone": DefaultName} {
		if got := o.ProfileFor(name).Name; got != want {
			t.Errorf("profile %q: %q, want %q", name, got, want)
		}
	}
}

// Without a policy that is for somebody, the answer is the careful one.
func TestMissingPolicies(t *testing.T) {
	var o Org
	if r := o.AccessFor("any", nil); !r.Deny || r.Satisfied(everything, true) {
		t.Errorf("access: %+v", r)
	}
	unfinished := Org{Access: []Access{{Name: DefaultName, Rules: []AccessRule{{Name: "staff", Groups: []string{"staff"}}}}}}
	if r := unfinished.AccessFor(DefaultName, nil); !r.Deny {
		t.Errorf("access of nobody's rule: %+v", r)
	}
	if p := o.ProfileFor("any"); p.SignUp != Closed {
		t.Errorf("profile: %+v", p)
	}
	if e := o.EnrollmentFor(nil); e.Allows("okta_email") || len(e.Keys("")) > 0 {
		t.Errorf("enrollment: %+v", e)
	}
	if s := o.SessionFor(nil); !reflect.DeepEqual(s, DefaultSession()) {
		t.Errorf("session: %+v", s)
	}
	if p := o.PasswordFor(nil); !reflect.DeepEqual(p, DefaultPassword()) {
		t.Errorf("password: %+v", p)
	}
}

func TestEnrollmentNeeds(t *testing.T) {
	e := Enrollment{Authenticators: []Authenticator{{"phone_number", Optional}, {"okta_email", Required}, {"okta_password", Optional}}}
	for need, want := range map[Need][]string{
		"": {"phone_number", "okta_email", "okta_password"}, Required: {"okta_email"}, Optional: {"phone_number", "okta_password"},
	} {
		if got := e.Keys(need); !slices.Equal(got, want) {
			t.Errorf("Keys(%q) = %q, want %q", need, got, want)
		}
	}
	for key, want := range map[string]Need{"okta_email": Required, "okta_password": Optional, "webauthn": "", "": ""} {
		if e.Need(key) != want || e.Allows(key) != (want != "") {
			t.Errorf("%q: need %q, allowed %t", key, e.Need(key), e.Allows(key))
		}
	}
}

func TestAsked(t *testing.T) {
	p := Profile{Attributes: []Attribute{{Name: "one"}, {Name: "two", When: OnProfile}, {Name: "three", When: AtSignUp}, {Name: "four", When: AfterSignIn}}}
	for when, want := range map[When][]string{AtSignUp: {"one", "three"}, AfterSignIn: {"four"}, OnProfile: {"two"}} {
		var got []string
		for _, a := range p.Asked(when) {
			got = append(got, a.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
}

func TestSwitches(t *testing.T) {
	o := full()
	if o.PasswordFirst() {
		t.Error("the form of some is shown to everybody")
	}
	o.Session[len(o.Session)-1].Primary = PasswordFirst
	if !o.PasswordFirst() {
		t.Error("the form of everybody is not shown")
	}
	if !o.Require("okta_password") || o.EnrollmentFor(nil).Need("okta_password") != Required {
		t.Errorf("required: %+v", o.EnrollmentFor(nil))
	}
	if o.Require("webauthn") {
		t.Error("what is not listed was required")
	}
	o.CloseSignUp()
	for _, p := range o.Profile {
		if p.SignUp != Closed {
			t.Errorf("sign-up of %q is %s", p.Name, p.SignUp)
		}
	}
}
