package email_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
)

func TestLink(t *testing.T) {
	a, c := start(t)
	s := ada(authenticator.SignUp)
	p := begin(t, a, s)
	first := mailOf(t, p)
	c.advance(time.Minute)
	p = resend(t, a, s, p)
	second := mailOf(t, p)
	if first.Link == second.Link {
		t.Fatal("two codes share a link")
	}
	c.advance(30 * time.Minute) // the caller judges the time
	for i, m := range []authenticator.Mail{first, second} {
		token := tokenOf(m)
		if id, ok := a.TransactionOf(token); !ok || id != s.Transaction {
			t.Errorf("link %d: TransactionOf = %q, %t", i+1, id, ok)
		}
		code, expires, ok := a.Link(s, p, token)
		if !ok || code != m.Code || !expires.Equal(m.ExpiresAt) {
			t.Errorf("link %d: %q, %v, %t; want %q, %v", i+1, code, expires, ok, m.Code, m.ExpiresAt)
		}
	}
}

// At each byte the token is changed, cut, and padded: nothing but the token that was mailed is one.
func TestSEC_S20_LinkTokenExact(t *testing.T) {
	a, _ := start(t)
	s := ada(authenticator.SignUp)
	p := begin(t, a, s)
	token := tokenOf(mailOf(t, p))
	if _, _, ok := a.Link(s, p, token); !ok {
		t.Fatal("the token itself is refused")
	}
	try := func(kind, x string) {
		if x == token {
			return
		}
		if _, _, ok := a.Link(s, p, x); ok {
			t.Errorf("%s: %q is accepted", kind, x)
		}
	}
	for i := range token {
		for _, c := range "A0-_.=/+ \x00é" {
			try("changed", token[:i]+string(c)+token[i+1:])
			try("padded", token[:i]+string(c)+token[i:])
		}
		try("without one", token[:i]+token[i+1:])
		try("cut", token[:i])
		try("tail", token[i+1:])
		try("bit", token[:i]+string(token[i]^1)+token[i+1:])
	}
	for _, end := range []string{"=", ".", "A", "\n", " ", "/", "%00", "?x=1", "#"} {
		try("followed", token+end)
		try("preceded", end+token)
	}
	parts := strings.Split(token, ".")
	for _, serial := range []string{"0", "-1", "+1", "01", "1e0", " 1", "2", "١", ""} {
		try("serial", parts[0]+"."+parts[1]+"."+serial+"."+parts[3])
	}
}

// What is not genuine names nothing: not even the app that it would belong to.
func TestTransactionOfRefuses(t *testing.T) {
	a, _ := start(t)
	mac := strings.Repeat("A", 43)
	for _, token := range []string{
		"", ".", "...", "tx1.ch1.1." + mac, "tx1.ch1.1." + mac[1:], "tx1.ch1.1." + mac + "=", "tx-1.ch1.1." + mac,
		"tx1.ch1.01." + mac, "tx1.ch1.." + mac, "..1." + mac, "tx1.1." + mac, "tx1.ch1.1.2." + mac,
		strings.Repeat("a", 1<<20) + ".ch1.1." + mac, "tx1.ch1.99999999999999999999." + mac, "../../x.1." + mac,
	} {
		if id, ok := a.TransactionOf(token); ok {
			t.Errorf("TransactionOf(%.80q) = %q", token, id)
		}
	}
}

func FuzzLinkToken(f *testing.F) {
	a, _ := start(f)
	s := ada(authenticator.SignUp)
	p, err := a.BeginEnroll(f.Context(), s)
	if err != nil {
		f.Fatal(err)
	}
	token := tokenOf(*p.Effects[0].Mail)
	f.Add(token)
	f.Add(token[:len(token)-1])
	f.Add("tx1.ch1.1." + strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, in string) {
		id, whole := a.TransactionOf(in)
		if whole != (in == token) {
			t.Errorf("TransactionOf(%q) = %q, %t", in, id, whole)
		}
		if _, _, ok := a.Link(s, p, in); ok != (in == token) {
			t.Errorf("Link(%q): %t", in, ok)
		}
	})
}
