// Package iontest knows what public clients rely on in every IDX document (AUTH §0.2),
// for tests.
package iontest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

type object = map[string]any

// Rules are what holds of each document, by its row in the conformance list. Each
// tells what breaks it.
var Rules = map[string]func(doc map[string]any, broken func(format string, args ...any)){
	"A01": noNull,
	"A02": everythingRelates,
	"A03": dataForms,
	"A04": lists,
	"A05": channels,
	"A07": labels,
	"A08": order,
	"A35": oneQuestion,
}

// Broken lists what is wrong with a document, by row; nothing if it is none.
func Broken(body []byte) []string {
	var doc object
	if json.Unmarshal(body, &doc) != nil || doc["version"] == nil {
		return nil
	}
	var out []string
	for row, rule := range Rules {
		rule(doc, func(format string, args ...any) { out = append(out, row+": "+fmt.Sprintf(format, args...)) })
	}
	slices.Sort(out)
	return out
}

// R1: okta-auth-js reads a member of each value unguarded.
func noNull(doc object, broken func(string, ...any)) {
	for name, field := range doc {
		f, _ := field.(object)
		if field == nil || f["type"] == "object" && f["value"] == nil {
			broken("%s is null", name)
		}
		value, _ := f["value"].(object)
		for member, v := range value {
			if v == nil {
				broken("%s.%s is null", name, member)
			}
		}
	}
}

// R2, R3: of a form a list of one path, to something with a type and a value; of an
// option a path to something with a key and an id. The question for whoever is there
// has nothing else to relate to.
func everythingRelates(doc object, broken func(string, ...any)) {
	for _, f := range forms(doc) {
		if related, ok := f["relatesTo"]; ok {
			list, _ := related.([]any)
			if len(list) != 1 {
				broken("%v relates to %v", f["name"], related)
				continue
			}
			path, _ := list[0].(string)
			to, _ := resolve(doc, path).(object)
			if to["type"] != "object" || to["value"] == nil {
				broken("%v relates to %v, which is %v", f["name"], path, to)
			}
		}
		for _, o := range options(f) {
			path, ok := o["relatesTo"].(string)
			if !ok {
				continue // a way to answer, not a thing to choose
			}
			if to, _ := resolve(doc, path).(object); to["key"] == nil {
				broken("option %v of %v relates to %v, which is %v", o["label"], f["name"], path, to)
			}
		}
	}
}

// R4.
func dataForms(doc object, broken func(string, ...any)) {
	for _, f := range forms(doc) {
		if f["name"] != "authenticator-enrollment-data" && f["name"] != "authenticator-verification-data" {
			continue
		}
		fields := nested(field(f, "authenticator"), "form", "value")
		if f["relatesTo"] == nil || len(fields) == 0 || fields[0]["name"] != "id" {
			broken("%v: relates to %v, its fields are %v", f["name"], f["relatesTo"], fields)
		}
	}
}

// R5.
func lists(doc object, broken func(string, ...any)) {
	for _, f := range forms(doc) {
		if name, _ := f["name"].(string); strings.HasPrefix(name, "select-") && f["relatesTo"] != nil {
			broken("%s relates to %v", name, f["relatesTo"])
		}
	}
}

// R6, R7.
func channels(doc object, broken func(string, ...any)) {
	for _, f := range forms(doc) {
		name := f["name"]
		if name != "select-enrollment-channel" && name != "enrollment-channel-data" {
			continue
		}
		if doc["currentAuthenticator"] == nil {
			broken("%v has no current authenticator", name)
		}
		if name != "select-enrollment-channel" {
			continue
		}
		first, _ := f["value"].([]any)[0].(object)
		value, _ := first["value"].(object)
		fields := nested(value, "form", "value")
		if first["name"] != "authenticator" || len(fields) < 2 || fields[0]["name"] != "id" || fields[1]["name"] != "channel" {
			broken("%v begins with %v", name, first)
		}
	}
}

// R12: okta-idx-golang chooses by them.
func labels(doc object, broken func(string, ...any)) {
	want := map[string]string{
		"okta_password": "Password", "okta_email": "Email", "phone_number": "Phone", "google_otp": "Google Authenticator",
		"okta_verify": "Okta Verify", "security_question": "Security Question", "webauthn": "Security Key or Biometric",
	}
	for _, f := range forms(doc) {
		for _, o := range options(f) {
			path, _ := o["relatesTo"].(string)
			to, _ := resolve(doc, path).(object)
			key, _ := to["key"].(string)
			if label := want[key]; label != "" && o["label"] != label {
				broken("%v of %v is labelled %v", key, f["name"], o["label"])
			}
		}
	}
}

// R9: without a step, a client takes the first form that it knows.
func order(doc object, broken func(string, ...any)) {
	rank := func(name string) int {
		switch {
		case name == "skip":
			return 3
		case strings.HasPrefix(name, "select-"), name == "unlock-account":
			return 2
		case strings.HasSuffix(name, "-poll"):
			return 1
		}
		return 0
	}
	var names []string
	for _, f := range forms(doc) {
		name, _ := f["name"].(string)
		names = append(names, name)
	}
	if !slices.IsSortedFunc(names, func(a, b string) int { return rank(a) - rank(b) }) {
		broken("%v", names)
	}
}

// A key is made or asked for, never both (AUTH §4).
func oneQuestion(doc object, broken func(string, ...any)) {
	for _, name := range []string{"currentAuthenticator", "currentAuthenticatorEnrollment"} {
		current, _ := resolve(doc, "$."+name+".value").(object)
		if current["key"] != "webauthn" {
			continue
		}
		data, _ := current["contextualData"].(object)
		wanted, other := "challengeData", "activationData"
		for _, f := range forms(doc) {
			if f["name"] == "enroll-authenticator" {
				wanted, other = other, wanted
			}
		}
		if data[wanted] == nil || data[other] != nil {
			broken("contextualData is %v", data)
		}
	}
}

func forms(doc object) []object { return nested(doc, "remediation", "value") }

// nested is a list at a path of members.
func nested(in object, path ...string) []object {
	for _, name := range path[:len(path)-1] {
		in, _ = in[name].(object)
	}
	list, _ := in[path[len(path)-1]].([]any)
	var out []object
	for _, e := range list {
		if o, ok := e.(object); ok {
			out = append(out, o)
		}
	}
	return out
}

func field(form object, name string) object {
	for _, f := range nested(form, "value") {
		if f["name"] == name {
			return f
		}
	}
	return nil
}

func options(form object) []object {
	var out []object
	for _, f := range nested(form, "value") {
		out = append(out, nested(f, "options")...)
	}
	return out
}

// resolve follows a path such as $.authenticators.value[0]; as in the clients, the
// root may be left out.
func resolve(doc object, path string) any {
	var v any = doc
	for _, step := range strings.Split(strings.TrimPrefix(path, "$."), ".") {
		name, index, indexed := strings.Cut(strings.TrimSuffix(step, "]"), "[")
		m, _ := v.(object)
		v = m[name]
		if indexed {
			list, _ := v.([]any)
			n, err := strconv.Atoi(index)
			if err != nil || n < 0 || n >= len(list) {
				return nil
			}
			v = list[n]
		}
	}
	return v
}
