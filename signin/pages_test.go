package signin_test

import (
	"strings"
	"testing"
)

func TestUX_G1_SignUpWithoutScript(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	page := b.get("/").is("sign-in")
	page = page.follow("Sign up").is("sign-up")
	page = page.press("create", "firstName", "Ada", "lastName", "Lovelace", "email", "ada@example.com").is("email-code")
	page = page.press("continue", "verificationCode", s.engine.lastMail("ada@example.com").code).is("select-authenticator")
	page = page.press("skip")
	if !strings.Contains(page.html, "00u1ada ada@example.com Ada Lovelace") {
		t.Errorf("landed at %s: %s", page.url, page.html)
	}
}
