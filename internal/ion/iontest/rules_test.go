package iontest

import (
	"strings"
	"testing"
)

// Each rule finds what breaks it, in a document that is all right but for that.
func TestEachRuleCanBeBroken(t *testing.T) {
	const whole = `{"version":"1.0.0","remediation":{"type":"array","value":[
	  {"name":"authenticator-enrollment-data","relatesTo":["$.currentAuthenticator"],"value":[{"name":"authenticator","form":{"value":[{"name":"id"}]}}]},
	  {"name":"enroll-authenticator","relatesTo":["$.currentAuthenticator"],"value":[]},
	  {"name":"enroll-poll","value":[]},
	  {"name":"select-enrollment-channel","value":[{"name":"authenticator","value":{"form":{"value":[{"name":"id"},{"name":"channel"}]}}}]},
	  {"name":"select-authenticator-enroll","value":[{"name":"authenticator","options":[{"label":"Phone","relatesTo":"$.authenticators.value[0]"}]}]},
	  {"name":"skip","value":[]}]},
	"authenticators":{"type":"array","value":[{"key":"phone_number","id":"aut1"}]},
	"user":{"type":"object","value":{"id":"00u1"}},
	"currentAuthenticator":{"type":"object","value":{"key":"webauthn","contextualData":{"activationData":{}}}}}`
	if broken := Broken([]byte(whole)); len(broken) > 0 {
		t.Fatal(broken)
	}
	for row, change := range map[string][2]string{
		"A01": {`"id":"00u1"`, `"id":null`},
		"A02": {`value[0]"`, `value[1]"`},
		"A03": {`{"name":"authenticator","form":{"value":[{"name":"id"}]}}`, `{"name":"authenticator","form":{"value":[{"name":"methodType"}]}}`},
		"A04": {`"select-authenticator-enroll",`, `"select-authenticator-enroll","relatesTo":["$.currentAuthenticator"],`},
		"A05": {`[{"name":"id"},{"name":"channel"}]`, `[{"name":"channel"},{"name":"id"}]`},
		"A07": {`"label":"Phone"`, `"label":"Okta Phone"`},
		"A08": {`"name":"enroll-poll"`, `"name":"skip"`},
		"A35": {`"activationData":{}`, `"activationData":{},"challengeData":{}`},
	} {
		text := strings.Replace(whole, change[0], change[1], 1)
		if text == whole {
			t.Fatalf("%s: nothing is changed", row)
		}
		if broken := Broken([]byte(text)); len(broken) != 1 || !strings.HasPrefix(broken[0], row+":") {
			t.Errorf("%s: %v", row, broken)
		}
	}
	if len(Rules) != 8 {
		t.Errorf("%d rules, and not all are tried here", len(Rules))
	}
}
