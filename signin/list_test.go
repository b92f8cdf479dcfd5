package signin_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestUX_P5_1_P5_2_P5_4_List(t *testing.T) {
	s := newSite(t)
	s.engine.optional = []string{"okta_verify", "okta_password"}
	b := s.browser()
	v := b.signUp("Ada", "L", ada).press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")
	t.Run("UX_P5_1", func(t *testing.T) {
		v.says("Set up another way to sign in", "Okta Verify", "Password Sign in without opening your mail.", "Submit", "Skip", "Cancel")
		for _, key := range s.engine.optional {
			if !strings.Contains(v.html, `type="radio" id="authenticator-`+key+`" name="authenticator" value="`+key+`"`) {
				t.Errorf("no radio button %s", key)
			}
		}
		if n := strings.Count(v.html, `type="radio"`); n != 2 {
			t.Errorf("%d radio buttons", n)
		}
	})
	t.Run("UX_P5_4", func(t *testing.T) {
		v.says("Email ada@example.com")
		v = v.press("submit", "authenticator", "okta_password").is("set-password")
		v = v.press("continue", "password", "correct horse battery 1").is("select-authenticator").says("Password added.")
		if strings.Contains(v.html, "okta_password") {
			t.Error("the list is not shorter")
		}
		b.get(v.url.RequestURI()).is("select-authenticator")
	})
	t.Run("nothing chosen", func(t *testing.T) {
		v.press("submit", "authenticator", "").is("select-authenticator").says("Choose one of these")
		v.forge("submit", "authenticator", "google_otp").is("select-authenticator")
	})
	t.Run("UX_P5_2", func(t *testing.T) {
		s.engine.set(func() { s.engine.required = true })
		if v := b.get(v.url.RequestURI()).is("select-authenticator"); v.has("skip") || strings.Contains(v.text(), "Skip") {
			t.Error("Skip is there though it may not be")
		}
		v.press("skip").is("select-authenticator") // an old page's button
		s.engine.set(func() { s.engine.required = false })
		v.press("skip", "authenticator", "")
	})
}

func TestUX_P5_5_Cancel(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.signUp("Ada", "L", ada).press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")
	v.press("cancel").is("sign-in").saysNot("waiting")
	b.get(v.url.RequestURI()).is("sign-up") // back
	last := b.signIn(ada).press("continue", "verificationCode", s.engine.lastMail(ada).code)
	if !strings.HasPrefix(last.html, "app /") {
		t.Errorf("the next sign-in ends at %s", last.url)
	}
}

func TestUX_P5_8_Password(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.signUp("Ada", "L", ada).press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")
	v = v.press("submit").is("set-password").says("At least 8 characters", "A number", "No part of your address")
	tag := v.tag("password")
	if attr(tag, "autocomplete") != "new-password" || attr(tag, "type") != "password" || attr(tag, "data-show") != "Show" {
		t.Errorf("field %s", tag)
	}
	if !strings.Contains(v.html, `autocomplete="username" readonly hidden`) {
		t.Error("no user name for password managers")
	}
	v = v.press("continue", "password", "").is("set-password").says("Enter a password")
	v = v.press("continue", "password", "short").is("set-password").says("That password does not do. Check the list above.")
	if v.value("password") != "" || strings.Contains(v.html, "short\"") {
		t.Error("the password comes back")
	}
	t.Run("UX_P5_8 back", func(t *testing.T) {
		list := v.follow("Back to the list").is("select-authenticator")
		if !list.has("skip") {
			t.Fatal("no Skip on the list")
		}
		list.press("submit", "authenticator", "").is("select-authenticator").says("Choose one of these")
		list.press("submit").is("set-password")
	})
	v = v.press("continue", "password", "correct horse battery 1")
	if !strings.HasPrefix(v.html, "app /") {
		t.Errorf("landed at %s", v.url)
	}
	for _, c := range b.cookies() {
		if strings.Contains(c.Value, "horse") {
			t.Error("the password is in a cookie")
		}
	}
}

func TestUX_P5_6_NothingLeft(t *testing.T) {
	s := newSite(t)
	s.engine.optional = nil
	v := s.browser().signUp("Ada", "L", ada).press("continue", "verificationCode", s.engine.lastMail(ada).code)
	if !strings.HasPrefix(v.html, "app /") {
		t.Errorf("landed at %s: %s", v.url, v.page())
	}
}

// A step that nobody has heard of is a plain form.
func TestUnknownStep(t *testing.T) {
	s := newSite(t)
	s.engine.unknown = `{"rel":["create-form"],"name":"shoe-size","method":"POST","accepts":"application/json","value":[
		{"name":"size","label":"Shoe size","required":true},
		{"name":"colour","label":"Colour","options":[{"label":"Red","value":"r"},{"label":"Blue","value":"b"}]},
		{"name":"wide","label":"Wide","type":"boolean"}]}`
	v := s.browser().signUp("Ada", "L", ada).press("continue", "verificationCode", s.engine.lastMail(ada).code).is("form")
	v.says("One more step", "Shoe size", "Colour (optional)", "Red", "Wide")
	v = v.press("continue", "size", "").is("form").says("Fill in: Shoe size")
	s.engine.set(func() {
		s.engine.answers["/idp/idx/introspect"] = reply{status: 429, header: http.Header{"Retry-After": {"4"}}, body: `{"errorCode":"E0000047"}`}
	})
	v = v.press("continue", "size", "39", "colour", "b").is("form").says("Try again in 4 seconds.")
	if v.status != 429 || v.value("size") != "39" {
		t.Errorf("UX G57: %d, and what was typed is %q", v.status, v.value("size"))
	}
	s.engine.set(func() { clear(s.engine.answers) })
	v = v.press("continue", "size", "38", "colour", "b", "wide", "true")
	if !strings.HasPrefix(v.html, "app /") {
		t.Errorf("landed at %s", v.url)
	}
}
