package idxapi_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/stiletest"
)

// labels are what the options of a list of authenticators say.
func (a answer) labels(form string) []string {
	var out []string
	list, _ := a.form(form)["value"].([]any)
	for _, f := range list {
		options, _ := f.(map[string]any)["options"].([]any)
		for _, o := range options {
			out = append(out, o.(map[string]any)["label"].(string))
		}
	}
	return out
}

func required(keys ...string) string {
	all := "enrollment: [{name: default, authenticators: [{key: okta_email, need: required}"
	for _, key := range keys {
		all += ", {key: " + key + ", need: required}"
	}
	return all + "]}]\n"
}

// SEL-1: what is required is listed, be it one alone; only the address, of which
// nothing is left to ask, is proven without a list, and first (docs/divergences.md).
func TestAUTH_A75_ListsOfWhatIsRequired(t *testing.T) {
	for name, c := range map[string]struct {
		keys, labels []string
	}{
		"the email alone":      {nil, nil},
		"and a password":       {[]string{"okta_password"}, []string{"Password"}},
		"and an app":           {[]string{"google_otp"}, []string{"Google Authenticator"}},
		"and both":             {[]string{"google_otp", "okta_password"}, []string{"Google Authenticator", "Password"}},
		"and a phone's number": {[]string{"phone_number"}, []string{"Phone"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t, stiletest.Org(required(c.keys...)))
			w := begin(t, e)
			w.want("SEL-1", w.enrolled(john), 200, "enroll-authenticator", "select-authenticator-enroll")
			next := w.answer("challenge/answer", passcode(e.Code(t, john)))
			if len(c.keys) == 0 {
				if next.code() == "" {
					t.Errorf("nothing is left: %s", next.body)
				}
				return
			}
			w.want("SEL-1", next, 200, "select-authenticator-enroll")
			if diff := cmp.Diff(c.labels, next.labels("select-authenticator-enroll")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// SEL-2: what is optional is offered at sign-up, with a way past all of it, and not
// once more at a sign-in; while something is required, that alone is listed.
func TestAUTH_A76_WhatIsOptional(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org("enrollment: [{name: default, authenticators: [{key: okta_email, need: required},"+
		" {key: okta_password, need: required}, {key: phone_number, need: optional}, {key: google_otp, need: optional}]}]\n"))
	w := begin(t, e)
	w.enrolled(john)
	list := w.answer("challenge/answer", passcode(e.Code(t, john)))
	w.want("what is required", list, 200, "select-authenticator-enroll")
	if diff := cmp.Diff([]string{"Password"}, list.labels("select-authenticator-enroll")); diff != "" {
		t.Error(diff)
	}
	w.answer("credential/enroll", choice("okta_password"))
	list = w.answer("challenge/answer", passcode(firstPassword))
	w.want("what is optional", list, 200, "select-authenticator-enroll", "skip")
	if diff := cmp.Diff([]string{"Phone", "Google Authenticator"}, list.labels("select-authenticator-enroll")); diff != "" {
		t.Error(diff)
	}
	if done := w.answer("skip", nil); done.code() == "" {
		t.Errorf("after skip: %s", done.body)
	}
	e.Clock.Advance(time.Hour)
	w = begin(t, e)
	w.answer("identify", name(john))
	w.answer("challenge", choice("okta_password"))
	if done := w.answer("challenge/answer", passcode(firstPassword)); done.code() == "" {
		t.Errorf("at an ordinary sign-in: %s", done.body)
	}
}
