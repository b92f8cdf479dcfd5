package policy

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The authenticators of an installation that has all that policies can name.
var (
	byPassword = Proof{Authenticator: "okta_password", Type: "password", Class: Knowledge}
	byPIN      = Proof{Authenticator: "pin", Type: "pin", Class: Knowledge}
	byEmail    = Proof{Authenticator: "okta_email", Type: "email", Class: Possession}
	byPhone    = Proof{Authenticator: "phone_number", Type: "phone", Class: Possession}
	byKey      = Proof{Authenticator: "webauthn", Type: "security_key", Class: Possession, PhishingResistant: true}
	byFinger   = Proof{Authenticator: "fingerprint", Type: "fingerprint", Class: Inherence, PhishingResistant: true}
	byVoice    = Proof{Authenticator: "voice", Type: "voice", Class: Inherence}
	byHardware = Proof{Authenticator: "webauthn", Type: "security_key", Class: Possession, PhishingResistant: true, Hardware: true}
	everything = []Proof{byPassword, byPIN, byEmail, byPhone, byKey, byFinger, byVoice}
)

func TestSatisfied(t *testing.T) {
	password := Constraint{Knowledge: &Evidence{Types: []string{"password"}}}
	resistant := Constraint{Possession: &Evidence{PhishingResistant: true}}
	passwordAndEmail := Constraint{Knowledge: password.Knowledge, Possession: &Evidence{Types: []string{"email", "phone"}}}
	tests := []struct {
		name   string
		rule   AccessRule
		proofs []Proof
		want   bool
	}{
		{"nothing shown", AccessRule{}, nil, false},
		{"one of any", AccessRule{}, []Proof{byEmail}, true},
		{"factors 1", AccessRule{Factors: 1}, []Proof{byPassword}, true},
		{"denied", AccessRule{Deny: true}, everything, false},
		{"two asked, one shown", AccessRule{Factors: 2}, []Proof{byEmail}, false},
		{"two of one class", AccessRule{Factors: 2}, []Proof{byEmail, byPhone, byKey}, false},
		{"the same twice", AccessRule{Factors: 2}, []Proof{byEmail, byEmail}, false},
		{"two of two classes", AccessRule{Factors: 2}, []Proof{byEmail, byPassword}, true},
		{"a constraint that holds", AccessRule{Constraints: []Constraint{password}}, []Proof{byPassword}, true},
		{"another type", AccessRule{Constraints: []Constraint{password}}, []Proof{byPIN}, false},
		{"another class", AccessRule{Constraints: []Constraint{password}}, []Proof{byEmail}, false},
		{"a constraint beside two factors", AccessRule{Factors: 2, Constraints: []Constraint{password}}, []Proof{byPassword}, false},
		{"two factors that meet it", AccessRule{Factors: 2, Constraints: []Constraint{password}}, []Proof{byPassword, byEmail}, true},
		{"two factors, one of another type", AccessRule{Factors: 2, Constraints: []Constraint{password}}, []Proof{byPIN, byEmail}, false},
		{"can be relayed", AccessRule{Constraints: []Constraint{resistant}}, []Proof{byEmail}, false},
		{"cannot be relayed", AccessRule{Constraints: []Constraint{resistant}}, []Proof{byKey}, true},
		{"resists, but is of another class", AccessRule{Constraints: []Constraint{resistant}}, []Proof{byFinger}, false},
		{"the second alternative", AccessRule{Constraints: []Constraint{password, resistant}}, []Proof{byKey}, true},
		{"half of each alternative", AccessRule{Constraints: []Constraint{passwordAndEmail, {Knowledge: &Evidence{Types: []string{"pin"}}, Possession: resistant.Possession}}}, []Proof{byPassword, byKey}, false},
		{"both classes of one", AccessRule{Constraints: []Constraint{passwordAndEmail}}, []Proof{byPhone, byPassword}, true},
		{"one class of two", AccessRule{Constraints: []Constraint{passwordAndEmail}}, []Proof{byPassword}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, havingMore := range []bool{false, true} {
				if got := test.rule.Satisfied(test.proofs, havingMore); got != test.want {
					t.Errorf("having more: %t: satisfied: %t, want %t", havingMore, got, test.want)
				}
			}
		})
	}
}

func TestHelps(t *testing.T) {
	password := Constraint{Knowledge: &Evidence{Types: []string{"password"}}}
	resistant := Constraint{Possession: &Evidence{PhishingResistant: true}}
	tests := []struct {
		name   string
		rule   AccessRule
		proofs []Proof
		want   []Proof
	}{
		{"anything at first", AccessRule{Factors: 1}, nil, everything},
		{"nothing where it is enough", AccessRule{Factors: 1}, []Proof{byEmail}, nil},
		{"another class", AccessRule{Factors: 2}, []Proof{byEmail}, []Proof{byPassword, byPIN, byFinger, byVoice}},
		{"only the type that is asked for", AccessRule{Constraints: []Constraint{password}}, nil, []Proof{byPassword}},
		{"only what resists", AccessRule{Constraints: []Constraint{resistant}}, []Proof{byEmail}, []Proof{byKey}},
		{"either alternative", AccessRule{Constraints: []Constraint{password, resistant}}, nil, []Proof{byPassword, byKey}},
		{"the type, or a second class beside it", AccessRule{Factors: 2, Constraints: []Constraint{password}}, nil, []Proof{byPassword, byEmail, byPhone, byKey, byFinger, byVoice}},
		{"the type still", AccessRule{Factors: 2, Constraints: []Constraint{password}}, []Proof{byEmail}, []Proof{byPassword}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []Proof
			for _, p := range everything {
				if test.rule.Helps(p, test.proofs) {
					got = append(got, p)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("help: %v, want %v", got, test.want)
			}
		})
	}
}

// rules draws any rule that a document can have, and any that a client raised.
func rules(t *rapid.T) AccessRule {
	evidence := func(name string, types ...string) *Evidence {
		if rapid.Bool().Draw(t, name+" asked") {
			return nil
		}
		return &Evidence{
			Types:             rapid.SliceOfNDistinct(rapid.SampledFrom(types), 0, len(types), rapid.ID[string]).Draw(t, name),
			PhishingResistant: rapid.Bool().Draw(t, name+" resists"),
		}
	}
	r := AccessRule{Deny: rapid.IntRange(0, 9).Draw(t, "deny") == 0, Factors: rapid.IntRange(0, 2).Draw(t, "factors")}
	for range rapid.IntRange(0, 3).Draw(t, "alternatives") {
		r.Constraints = append(r.Constraints, Constraint{
			Knowledge: evidence("knowledge", "password", "pin"), Possession: evidence("possession", "email", "phone", "security_key"),
			Inherence: evidence("inherence", "fingerprint", "voice"),
		})
	}
	return r.With(acrs().Draw(t, "policy's acr"))
}

func acrs() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"", ACROneFactor, ACRPassword, ACRTwoFactors, ACRTwoFactorsIfPossible, ACRPhishingResistant, ACRHardware})
}

func proofs(t *rapid.T) []Proof {
	return rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(everything), byHardware)), 0, 5).Draw(t, "proofs")
}

// One more proof never makes things worse, in whatever order.
func TestMoreProofIsNeverLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, have, havingMore := rules(t), proofs(t), rapid.Bool().Draw(t, "having more")
		more := rapid.SampledFrom(everything).Draw(t, "more")
		with := slices.Insert(slices.Clone(have), rapid.IntRange(0, len(have)).Draw(t, "place"), more)
		if r.Satisfied(have, havingMore) && !r.Satisfied(with, havingMore) {
			t.Fatalf("%+v: %v is enough, and not with %v", r, have, more)
		}
		if r.distance(with) > r.distance(have) {
			t.Fatalf("%+v: %v leads away from it", r, more)
		}
	})
}

// What helps comes one proof nearer, whatever does not changes nothing, and
// whoever gives what helps arrives in as many steps as were said.
func TestWhatHelpsComesNearer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, have := rules(t), proofs(t)
		for steps := r.distance(have); ; steps-- {
			var helpers []Proof
			for _, p := range everything {
				d := r.distance(append(slices.Clone(have), p))
				switch helps := r.Helps(p, have); {
				case helps && d != steps-1:
					t.Fatalf("%+v after %v: %v helps from %d to %d", r, have, p, steps, d)
				case !helps && d != steps:
					t.Fatalf("%+v after %v: %v does not help, from %d to %d", r, have, p, steps, d)
				case helps:
					helpers = append(helpers, p)
				}
			}
			if steps == 0 {
				if len(helpers) > 0 || r.Satisfied(have, true) == r.Deny {
					t.Fatalf("%+v at its end after %v: %v would help", r, have, helpers)
				}
				return
			}
			if r.Satisfied(have, true) {
				t.Fatalf("%+v is satisfied by %v, %d short", r, have, steps)
			}
			if len(helpers) == 0 { // no authenticator is of the kind that is asked for
				return
			}
			have = append(have, rapid.SampledFrom(helpers).Draw(t, "step"))
		}
	})
}

// Who asks for a key in hardware first, and then for any, is asked for hardware.
func TestAUTH_AnyKeyAfterHardware(t *testing.T) {
	r := AccessRule{Factors: 1}.With(ACRHardware).With(ACRPhishingResistant)
	if r.Satisfied([]Proof{byKey}, true) || !r.Satisfied([]Proof{byHardware}, true) {
		t.Errorf("%+v", r)
	}
}

// No client can ask for less than the policy does, however often it asks.
func TestWithNeverLowers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, have, havingMore := rules(t), proofs(t), rapid.Bool().Draw(t, "having more")
		before, _ := json.Marshal(r)
		acr := acrs().Draw(t, "acr")
		raised := r.With(acr)
		if raised.Satisfied(have, havingMore) && !r.Satisfied(have, havingMore) {
			t.Fatalf("%q lowers %+v to %+v: %v is enough", acr, r, raised, have)
		}
		if after, _ := json.Marshal(r); string(after) != string(before) {
			t.Fatalf("%q changed the policy from %s to %s", acr, before, after)
		}
		if raised.Satisfied(have, havingMore) {
			kinds := Classes(have)
			switch {
			case acr == ACRPassword && !slices.Contains(have, byPassword),
				acr == ACRTwoFactors && len(kinds) < 2,
				acr == ACRPhishingResistant && !slices.Contains(have, byKey) && !slices.Contains(have, byHardware),
				acr == ACRHardware && !slices.Contains(have, byHardware),
				acr == ACRTwoFactorsIfPossible && havingMore && len(kinds) < 2:
				t.Fatalf("%q is satisfied by %v", acr, have)
			}
		}
	})
}

func TestWith(t *testing.T) {
	pin := Constraint{Knowledge: &Evidence{Types: []string{"pin"}}}
	email := Constraint{Possession: &Evidence{Types: []string{"email"}}}
	tests := []struct {
		name       string
		rule       AccessRule
		acr        string
		proofs     []Proof
		havingMore bool
		want       bool
	}{
		{"nothing asked", AccessRule{}, "", []Proof{byEmail}, true, true},
		{"any one", AccessRule{}, ACROneFactor, []Proof{byEmail}, true, true},
		{"any one where two are policy", AccessRule{Factors: 2}, ACROneFactor, []Proof{byEmail}, true, false},
		{"a password, by email", AccessRule{}, ACRPassword, []Proof{byEmail}, true, false},
		{"a password", AccessRule{}, ACRPassword, []Proof{byPassword}, true, true},
		{"a password beside the policy's email", AccessRule{Constraints: []Constraint{email}}, ACRPassword, []Proof{byPassword}, true, false},
		{"a password and the policy's email", AccessRule{Constraints: []Constraint{email}}, ACRPassword, []Proof{byPassword, byEmail}, true, true},
		{"a password where policy wants a PIN", AccessRule{Constraints: []Constraint{pin}}, ACRPassword, []Proof{byPassword, byPIN}, true, false},
		{"a password where policy has another way", AccessRule{Constraints: []Constraint{pin, email}}, ACRPassword, []Proof{byPassword, byEmail}, true, true},
		{"a password that resists", AccessRule{Constraints: []Constraint{{Knowledge: &Evidence{PhishingResistant: true}}}}, ACRPassword, []Proof{byPassword}, true, false},
		{"two", AccessRule{}, ACRTwoFactors, []Proof{byEmail}, false, false},
		{"two if possible, and it is", AccessRule{}, ACRTwoFactorsIfPossible, []Proof{byEmail}, true, false},
		{"two if possible, and it is not", AccessRule{}, ACRTwoFactorsIfPossible, []Proof{byEmail}, false, true},
		{"two if possible where two are policy", AccessRule{Factors: 2}, ACRTwoFactorsIfPossible, []Proof{byEmail}, false, false},
		{"two after two if possible", AccessRule{}.With(ACRTwoFactorsIfPossible), ACRTwoFactors, []Proof{byEmail}, false, false},
		{"a key, by email", AccessRule{}, ACRPhishingResistant, []Proof{byEmail}, true, false},
		{"a key, by email and password", AccessRule{Factors: 2}, ACRPhishingResistant, []Proof{byEmail, byPassword}, true, false},
		{"a key", AccessRule{}, ACRPhishingResistant, []Proof{byKey}, false, true},
		{"a key where policy wants a phone", AccessRule{Constraints: []Constraint{{Possession: &Evidence{Types: []string{"phone"}}}}}, ACRPhishingResistant, []Proof{byKey}, true, false},
		{"a key beside the policy's password", AccessRule{Constraints: []Constraint{pin, {Knowledge: &Evidence{Types: []string{"password"}}}}}, ACRPhishingResistant, []Proof{byKey, byPassword}, true, true},
		{"hardware, by a key", AccessRule{}, ACRHardware, []Proof{byKey}, true, false},
		{"hardware", AccessRule{}, ACRHardware, []Proof{byHardware}, true, true},
		{"a key, by hardware", AccessRule{}, ACRPhishingResistant, []Proof{byHardware}, true, true},
		{"denied", AccessRule{Deny: true}, ACROneFactor, everything, true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.rule.With(test.acr).Satisfied(test.proofs, test.havingMore); got != test.want {
				t.Errorf("satisfied: %t, want %t", got, test.want)
			}
		})
	}
}

func TestACRsThatCanBeMet(t *testing.T) {
	org := PasswordOptional()
	check := func(known ...string) {
		t.Helper()
		if got := org.ACRs(); !slices.Equal(got, known) {
			t.Errorf("got %q, want %q", got, known)
		}
		for _, acr := range []string{"", ACROneFactor, ACRPhishingResistant, ACRHardware, ACRTwoFactors + " ", "urn:okta:loa:1fa:PWD"} {
			if want := acr == "" || slices.Contains(known, acr); org.Meets(acr) != want {
				t.Errorf("Meets(%q) = %t", acr, !want)
			}
		}
	}
	always := []string{ACROneFactor, ACRPassword, ACRTwoFactors, ACRTwoFactorsIfPossible}
	check(always...)
	org.Offer("webauthn")
	check(append(always, ACRPhishingResistant)...)
	org.WebAuthn = WebAuthn{Attestation: "direct"} // of any model
	check(append(always, ACRPhishingResistant)...)
	org.WebAuthn.AAGUIDs = []string{"2fc0579f-8113-47ea-b116-bb5a8db9202a"}
	check(append(always, ACRPhishingResistant, ACRHardware)...)
}
