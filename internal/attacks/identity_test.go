package attacks

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/stiletest"
)

// T-05: somebody signs up early with the victim's address, and waits.
func TestSEC_T05_EarlySignUp(t *testing.T) {
	e := stiletest.Start(t, stiletest.ProductionLimits())
	const address = "owner@example.com"
	attacker := begin(t, e)
	attacker.answer("enroll", nil)
	before := attacker.answer("enroll/new", map[string]any{"userProfile": map[string]any{
		"firstName": "Mallory", "lastName": "Attacker", "email": address,
	}})
	attackersCode := e.Code(t, address)

	grants := func(when string) {
		t.Helper()
		e.Clock.Advance(6 * time.Second) // so many requests a handle may make
		for _, action := range []string{"skip", "credential/enroll", "challenge", "identify", "enroll", "enroll/new"} {
			a := attacker.answer(action, map[string]any{
				"authenticator": map[string]any{"id": "aut1password0000000", "methodType": "password"}, "identifier": address,
				"userProfile": profile("mallory@example.com")["userProfile"],
			})
			if a.status < 400 || a.status == 429 || a.code() != "" {
				t.Errorf("%s, %s of the unproven: %d %s", when, action, a.status, a.body)
			}
		}
		if a := attacker.answer("challenge/answer", passcode("correct horse battery")); !a.wrong() {
			t.Errorf("%s, a password instead of the code: %d %s", when, a.status, a.body)
		}
		a := attacker.introspect()
		if diff := cmp.Diff(before.forms(), a.forms()); diff != "" || a.str("user", "value", "id") != before.str("user", "value", "id") {
			t.Errorf("%s, the attacker's transaction moved: %s", when, a.body)
		}
	}
	grants("before the owner comes")
	if a := begin(t, e).answer("identify", map[string]any{"identifier": address}); a.status != 200 || !slices.Equal(a.forms(), []string{"challenge-authenticator", "select-authenticator-authenticate"}) {
		t.Errorf("identify: %d %s", a.status, a.body)
	}
	codes := 0
	for _, m := range e.Mails(t, address) {
		if m.Code != "" {
			codes++
		}
	}
	if codes != 1 {
		t.Errorf("%d mails with a code, want 1: an unproven sign-up must not make an account to sign in to", codes)
	}

	owner := begin(t, e)
	tokens := owner.tokens(address)
	me := owner.userinfo(tokens.str("access_token"))
	if me.str("given_name") != "Vera" || strings.Contains(me.body, "Mallory") {
		t.Errorf("the owner is %s", me.body)
	}
	if me.str("sub") == before.str("user", "value", "id") {
		t.Error("the owner has the id that the attacker's transaction showed")
	}
	grants("after the owner has signed up")

	// Even with the code the old transaction is a sign-in to the owner's account as it is.
	a := attacker.answer("challenge/answer", passcode(attackersCode))
	if a.status == 401 { // the attacker's own guesses have used its challenge up
		return
	}
	if strings.Contains(a.body, "Mallory") {
		t.Errorf("the attacker's names are on the account: %s", a.body)
	}
}

// T-05: the older transaction, proven late by whoever reads the mail, changes nothing of the account.
func TestSEC_T05_OlderTransactionJoinsTheAccount(t *testing.T) {
	e := stiletest.Start(t)
	const address = "later@example.com"
	old := begin(t, e)
	old.answer("enroll", nil)
	old.answer("enroll/new", map[string]any{"userProfile": map[string]any{"firstName": "Mallory", "lastName": "Attacker", "email": address}})
	code := e.Code(t, address)
	owner := begin(t, e)
	sub := owner.userinfo(owner.tokens(address).str("access_token")).str("sub")
	a := old.answer("challenge/answer", passcode(code))
	if a.code() == "" || strings.Contains(a.body, "Mallory") {
		t.Fatalf("the older transaction with its code: %d %s", a.status, a.body)
	}
	me := old.userinfo(old.redeem(a.code(), nil).str("access_token"))
	if me.str("sub") != sub || me.str("given_name") != "Vera" {
		t.Errorf("the older transaction is %s, the owner %s", me.body, sub)
	}
}

// T-20: what a form does not ask for is ignored or refused, and never kept.
func TestSEC_T20_MassAssignment(t *testing.T) {
	e := stiletest.Start(t)
	extra := map[string]any{
		"id": "00uattacker0000000000000", "userId": "00uattacker0000000000000", "sub": "00uattacker0000000000000",
		"emailVerified": true, "email_verified": true, "EmailVerifiedAt": "2020-01-01T00:00:00Z", "status": "ACTIVE",
		"role": "SUPER_ADMIN", "admin": true, "login": "admin@example.com", "canonical": "admin@example.com",
		"userType": "admin", "locale": "xx", "timezone": "Evil/Zone", "created": true, "proofs": "otp", "kind": "known",
		"proven": true, "skipped": true, "attributes": map[string]any{"timezone": "Evil/Zone"}, "password": "correct horse battery",
	}
	with := func(body map[string]any) map[string]any {
		out := map[string]any{}
		maps.Copy(out, body)
		for k, v := range extra {
			if _, taken := out[k]; !taken {
				out[k] = v
			}
		}
		return out
	}
	plainOne, w := begin(t, e), begin(t, e)
	want := plainOne.userinfo(plainOne.tokens("plain@example.com").str("access_token"))

	w.answer("enroll", with(nil))
	body := with(map[string]any{"userProfile": with(map[string]any{"firstName": "Vera", "lastName": "Victim", "email": "extra@example.com"})})
	a := w.answer("enroll/new", body)
	if a.status != 200 || strings.Contains(a.body, "00uattacker") {
		t.Fatalf("enroll/new: %d %s", a.status, a.body)
	}
	a = w.answer("challenge/answer", map[string]any{
		"credentials": with(map[string]any{"passcode": e.Code(t, "extra@example.com")}),
		"userProfile": extra, "identifier": "admin@example.com", "user": extra, "subject": extra, "stage": "success",
	})
	if a.status != 200 || a.code() != "" {
		t.Fatalf("challenge/answer: %d %s", a.status, a.body)
	}
	a = w.answer("skip", with(nil))
	got := w.userinfo(w.redeem(a.code(), nil).str("access_token"))
	for _, volatile := range []string{"sub", "updated_at"} {
		delete(want.doc, volatile)
	}
	if strings.Contains(got.str("sub"), "attacker") {
		t.Errorf("sub: %s", got.body)
	}
	delete(got.doc, "sub")
	delete(got.doc, "updated_at")
	for _, own := range []string{"email", "preferred_username"} {
		if got.str(own) != "extra@example.com" {
			t.Errorf("%s: %s", own, got.body)
		}
		delete(got.doc, own)
		delete(want.doc, own)
	}
	if diff := cmp.Diff(want.doc, got.doc); diff != "" {
		t.Errorf("claims differ from those of a plain sign-up:\n%s", diff)
	}
	// Sign-in ignores a profile, and a client cannot say who it is.
	in := begin(t, e)
	a = in.answer("identify", with(map[string]any{"identifier": "plain@example.com", "userProfile": extra}))
	if a.status != 200 || strings.Contains(a.body, "attacker") || a.code() != "" {
		t.Errorf("identify: %d %s", a.status, a.body)
	}
	if a := begin(t, e).answer("enroll/new", map[string]any{"userProfile": map[string]any{"email": []string{"a@example.com", "b@example.com"}}}); a.status != 400 {
		t.Errorf("a list of addresses: %d %s", a.status, a.body)
	}
}

// S-135: one member has one meaning. Two spellings of a path must not both be read.
func TestSEC_S135_DottedMembers(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	w.answer("enroll", nil)
	a := w.do("POST", e.URL+"/idp/idx/enroll/new", ionType, `{"stateHandle":`+fmt.Sprintf("%q", w.state)+
		`,"userProfile":{"firstName":"Vera","lastName":"Victim","email":"seen@example.com"},"userProfile.email":"used@example.com"}`)
	if a.status != 400 {
		t.Errorf("two addresses in one body: %d, user %s", a.status, a.str("user", "value", "identifier"))
	}
}

// T-06: twins of an address are the account itself, exactly where they are the
// same mailbox; else they are others or refused. Mail goes where the owner has it.
func TestSEC_T06_AddressTwins(t *testing.T) {
	e := stiletest.Start(t)
	begin(t, e).signedUp("victim@example.com")
	begin(t, e).signedUp("kelvin@bücher.example")
	for _, c := range []struct {
		typed string
		to    string // where mail goes; "" is refused
		known bool
	}{
		{"VICTIM@EXAMPLE.COM", "victim@example.com", true},
		{" victim@example.com\t", "victim@example.com", true},
		{"victim@ｅｘａｍｐｌｅ.com", "victim@example.com", true},
		{"victim@example。com", "victim@example.com", true},
		{"kelvin@xn--bcher-kva.example", "kelvin@xn--bcher-kva.example", true},
		{"kelvin@BÜCHER.example", "kelvin@xn--bcher-kva.example", true},
		{"kelvin@bu\u0308cher.example", "kelvin@xn--bcher-kva.example", true},
		{"victim+tag@example.com", "victim+tag@example.com", false},
		{"vic.tim@example.com", "vic.tim@example.com", false},
		{"victim@examp1e.com", "victim@examp1e.com", false},
		{"kelvin@bucher.example", "kelvin@bucher.example", false},
		{"v\u0131ctim@example.com", "", false},       // dotless i
		{"V\u0130CTIM@example.com", "", false},       // dotted capital I
		{"\u212Aelvin@bücher.example", "", false},    // Kelvin sign
		{"victim\u017F@example.com", "", false},      // long s
		{"ｖictim@example.com", "", false},            // full width
		{"vict\u200bim@example.com", "", false},      // invisible
		{"victim\u00ad@example.com", "", false},      // soft hyphen
		{"victim@exam\u200bple.com", "", false},      // invisible
		{"\u202evictim@example.com", "", false},      // override
		{"vi\u0441tim@example.com", "", false},       // Cyrillic
		{"victim@example.com.", "", false},           // dot at the end
		{"victim@example..com", "", false},           // empty label
		{"victim@xn--example-.com", "", false},       // no A-label
		{"victim@\u24d4xample.com\u2024", "", false}, // mapped to a dot
	} {
		w := begin(t, e)
		have := len(e.Mails(t, ""))
		a := w.enrolled(c.typed)
		if c.to == "" {
			if a.status != 400 || len(e.Mails(t, "")) != have {
				t.Errorf("%+q: %d, %d mails more: %s", c.typed, a.status, len(e.Mails(t, ""))-have, a.body)
			}
			if a := begin(t, e).answer("identify", map[string]any{"identifier": c.typed}); a.status != 400 || len(e.Mails(t, "")) != have {
				t.Errorf("identify %+q: %d %s", c.typed, a.status, a.body)
			}
			continue
		}
		mails := e.Mails(t, "")
		if a.status != 200 || len(mails) != have+1 || mails[0].To != c.to {
			t.Errorf("%+q: %d, mail to %q, want %q: %s", c.typed, a.status, mails[0].To, c.to, a.body)
			continue
		}
		a = w.answer("challenge/answer", passcode(mails[0].Code))
		if known := !a.has("skip"); known != c.known {
			t.Errorf("%+q: an account before: %t, want %t: %s", c.typed, known, c.known, a.body)
		}
	}
}

// T-07: one recipient, or none.
func TestSEC_T07_ParserSplits(t *testing.T) {
	e := stiletest.Start(t)
	for _, payload := range []string{
		"victim@example.com,attacker@evil.example", "victim@example.com;attacker@evil.example", "victim@example.com attacker@evil.example",
		"victim@example.com\nBcc: attacker@evil.example", "victim@example.com\r\nBcc: attacker@evil.example", "victim@example.com\r\n\r\nbody",
		"victim@example.com%0aBcc:attacker@evil.example", "victim@example.com\x00@evil.example", "victim@example.com@evil.example",
		"attacker@evil.example@victim@example.com", "<victim@example.com>", "Victim <attacker@evil.example>", `"victim@example.com" <attacker@evil.example>`,
		`"victim@example.com,"@evil.example`, `"attacker@evil.example> victim"@example.com`, `"@evil.example,victim"@example.com`, `victim\@evil.example@example.com`,
		"attacker%evil.example@example.com", "evil.example!attacker@example.com", "@evil.example:victim@example.com", "<@evil.example:victim@example.com>",
		"victim(comment)@example.com", "victim@example.com(attacker@evil.example)", "(attacker@evil.example)victim@example.com", "victim@(evil.example)example.com",
		"=?utf-8?q?attacker=40evil.example=3e?=@example.com", "=?x?q?attacker=40evil.example=2c?=victim@example.com", "victim@[127.0.0.1]", "victim@[IPv6:::1]", "victim@127.0.0.1",
		"victim@localhost", "victim@example", "victim", "@example.com", "victim@", "", "mailto:victim@example.com", "victim@example.com?bcc=attacker@evil.example",
		"victim@example.com/attacker@evil.example", "victim@example.com#@evil.example", "victim@example.com\\@evil.example", "victim@example.com\u2028attacker@evil.example",
		"victim＠evil.example@example.com", "victim@example.com＠evil.example", "victim@example.com，attacker@evil.example", "group:victim@example.com,attacker@evil.example;",
		strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b.", 130) + "com", "a@" + strings.Repeat("b", 64) + ".com",
	} {
		have := len(e.Mails(t, ""))
		for _, a := range []answer{begin(t, e).enrolled(payload), begin(t, e).answer("identify", map[string]any{"identifier": payload})} {
			if a.status != 400 {
				t.Errorf("%+q: %d %s", payload, a.status, a.body)
			}
		}
		if n := len(e.Mails(t, "")); n != have {
			t.Errorf("%+q: %d mails, the newest to %q", payload, n-have, e.Mails(t, "")[0].To)
		}
	}
	// Odd and good: exactly one mailbox, as typed.
	for _, good := range []string{"o'hara@example.com", "a.b..c.@example.com", ".dots@example.com", "x{|}~^`#$&*/=@example.com"} {
		begin(t, e).enrolled(good)
		if m := e.Mails(t, "")[0]; m.To != good {
			t.Errorf("%q: mail to %q", good, m.To)
		}
	}
}

// S-117: a name is no way to send one's own message to a stranger.
func TestSEC_S117_NamesAsAdverts(t *testing.T) {
	e := stiletest.Start(t)
	for i, advert := range []string{
		"Win at http://evil.example/x", "https://evil.example", "www.evil.example", "evil.example", "evil.example/path?q=1", "EVIL.EXAMPLE", "//evil.example",
		"mailto:x@evil.example", "x@evil.example", "<a href=https://evil.example>Win</a>", "<script src=//evil.example></script>", "</title><h1>evil.example",
		"evil。example", "evil．example", "evil․example", "evil｡example", "hxxp:evil.example", "Click\u2028https://evil.example", "[win](https://evil.example)", "{{.Code}} evil.example",
		"%s %v evil.example", "tel:+49900123456", "javascript:alert(1)",
	} {
		address := fmt.Sprintf("stranger%d@example.com", i)
		w := begin(t, e)
		w.answer("enroll", nil)
		a := w.answer("enroll/new", map[string]any{"userProfile": map[string]any{"firstName": advert, "lastName": advert, "email": address}})
		if a.status == 400 {
			continue // refused is well too
		}
		for _, m := range e.Mails(t, address) {
			low := strings.ToLower(m.Subject + "\n" + m.From + "\n" + m.Text + "\n" + m.HTML)
			html := strings.ToLower(m.HTML)
			for _, tag := range []string{"<script", "<a href=https", "<h1>evil"} {
				if strings.Contains(html, tag) {
					t.Errorf("%q stands in the HTML of a mail for the name %q", tag, advert)
				}
			}
			for _, link := range []string{"evil.example", "evil。example", "evil．example", "evil․example", "evil｡example", "://evil", "www.evil", "mailto:x", "x@evil", "javascript:a", "tel:+"} {
				if strings.Contains(low, link) {
					t.Errorf("%q stands in a mail for the name %q", link, advert)
				}
			}
			if strings.Contains(strings.ToLower(m.Subject), "evil") || strings.Count(m.Text, m.Code) == 0 {
				t.Errorf("%q: subject %q", advert, m.Subject)
			}
		}
	}
	// To an address with an account the stranger's words do not go at all.
	begin(t, e).signedUp("owned@example.com")
	w := begin(t, e)
	w.answer("enroll", nil)
	w.answer("enroll/new", map[string]any{"userProfile": map[string]any{"firstName": "Winnings", "lastName": "Await", "email": "owned@example.com"}})
	if m := e.Mail(t, "owned@example.com"); strings.Contains(m.Text+m.HTML+m.Subject, "Winnings") || strings.Contains(m.Text+m.HTML, "Await") {
		t.Errorf("the stranger's name stands in the owner's mail:\n%s", m.Text)
	}
}

// T-27: a required authenticator is not skipped by a second tab, a replay or an earlier step.
func TestSEC_T27_S55_RequiredIsNotSkipped(t *testing.T) {
	e := stiletest.Start(t, stiletest.Require("okta_password"))
	const address = "required@example.com"
	first := begin(t, e)
	first.enrolled(address)
	code := e.Code(t, address)
	proven := first.answer("challenge/answer", passcode(code))
	second := *first // another tab with the same handle

	none := func(what string, a answer) {
		t.Helper()
		if a.code() != "" || a.status >= 500 {
			t.Fatalf("%s: %d %s", what, a.status, a.body)
		}
	}
	none("the code", proven)
	if proven.has("skip") {
		t.Error("skip is offered where a password is required")
	}
	for round := range 3 {
		for _, w := range []*wire{first, &second} {
			none("skip", w.answer("skip", nil))
			none("the code again", w.answer("challenge/answer", passcode(code)))
			none("an empty password", w.answer("challenge/answer", passcode("")))
			none("the sign-up form again", w.answer("enroll/new", profile(address)))
			none("identify", w.answer("identify", map[string]any{"identifier": address}))
			none("choose email", w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": "aut1email0000000000"}}))
			none("a factor", w.answer("challenge", map[string]any{"authenticator": map[string]any{"id": "aut1email0000000000"}}))
			none("poll", w.answer("challenge/poll", nil))
			none("resend", w.answer("challenge/resend", nil))
			none("introspect", w.introspect())
		}
		if round == 1 {
			first.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": "aut1password0000000"}})
			none("skip with the password open", first.answer("skip", nil))
		}
		e.Clock.Advance(61 * time.Second) // and after the replay window
	}
	// Signing in anew leads to the same question, by whichever app.
	elsewhere := source(1).at(t, e)
	elsewhere.identify(address)
	elsewhere.choose(emailID)
	none("at another app", elsewhere.prove(e.Code(t, address)))
	none("skip at another app", elsewhere.answer("skip", nil))
	e.Clock.Advance(61 * time.Second)
	in := begin(t, e)
	in.answer("identify", map[string]any{"identifier": address})
	none("skip before the proof", in.answer("skip", nil))
	in.choose(emailID)
	a := in.answer("challenge/answer", passcode(e.Code(t, address)))
	none("sign-in without the required password", a)
	none("skip at sign-in", in.answer("skip", nil))
	in.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": "aut1password0000000"}})
	if a := in.answer("challenge/answer", passcode("seven pale lanterns 41")); a.code() == "" {
		t.Errorf("with the password: %d %s", a.status, a.body)
	}
}

// T-27: random requests. Tokens come only after the proof of this transaction.
func TestSEC_T27_RandomWalks(t *testing.T) {
	e := stiletest.Start(t)
	begin(t, e).signedUp("walker@example.com")
	actions := []string{
		"identify", "identify/select", "enroll", "enroll/new", "credential/enroll", "challenge", "challenge/answer", "challenge/resend",
		"challenge/poll", "skip", "cancel", "introspect",
	}
	ids := []string{"aut1email0000000000", "aut1password0000000", "aut0", ""}
	for range 60 {
		w := begin(t, e)
		var trace []string
		for range 25 {
			action := actions[rand.IntN(len(actions))]
			trace = append(trace, action)
			body := map[string]any{
				"identifier": "walker@example.com", "userProfile": profile("walker@example.com")["userProfile"],
				"credentials":   map[string]any{"passcode": []string{"", "correct horse battery staple", "abc"}[rand.IntN(3)]},
				"authenticator": map[string]any{"id": ids[rand.IntN(len(ids))]},
			}
			a := w.answer(action, body)
			if action == "introspect" {
				a = w.introspect()
			}
			if a.code() != "" || a.status >= 500 || strings.Contains(a.body, "Vera") && strings.Contains(a.body, "okta_password") {
				t.Fatalf("%v: %d %s", trace, a.status, a.body)
			}
		}
	}
}

// S-30: a person who goes away in the middle of the answer leaves all or nothing.
func TestSEC_S30_AbandonedRequests(t *testing.T) {
	e := stiletest.Start(t)
	for i := range 60 {
		address := fmt.Sprintf("gone%d@example.com", i)
		w := begin(t, e)
		w.enrolled(address)
		code := e.Code(t, address)
		ctx, cancel := context.WithCancel(t.Context())
		r, err := w.request(ctx, "POST", e.URL+"/idp/idx/challenge/answer", ionType,
			fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, w.state, code))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if res, err := plain.Do(r); err == nil {
				res.Body.Close()
			}
		}()
		go func() {
			for range i * 2000 { // a spread of moments, without a clock
				_ = i
			}
			cancel()
		}()
		<-done
		cancel()
		a := w.answer("challenge/answer", passcode(code)) // whoever was cut off tries again
		if a.status != 200 || !a.has("skip") {
			t.Fatalf("after an abandoned request: %d %s", a.status, a.body)
		}
		me := w.userinfo(w.redeem(w.answer("skip", nil).code(), nil).str("access_token"))
		in := begin(t, e)
		in.answer("identify", map[string]any{"identifier": address})
		a = in.answer("challenge/answer", passcode(e.Code(t, address)))
		if again := in.userinfo(in.redeem(a.code(), nil).str("access_token")); again.str("sub") != me.str("sub") || me.str("sub") == "" {
			t.Fatalf("two accounts, or none: %s %s", me.body, again.body)
		}
	}
}
