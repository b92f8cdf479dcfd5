package signin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/signin"
)

func TestUX_P3_CodePage(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.signUp("Ada", "Lovelace", ada)
	t.Run("UX_P3_1 UX_P3_11 UX_P3_17", func(t *testing.T) {
		v.says("We sent a code to ada@example.com. Change", "The code is valid for 10 minutes.", "Check spam. It comes from Acme <login@acme.example>.")
		if v.title() != "Enter your code · Acme" {
			t.Errorf("title %q", v.title())
		}
	})
	t.Run("UX_P3_2", func(t *testing.T) {
		tag := v.tag("verificationCode")
		for name, want := range map[string]string{
			"type": "text", "inputmode": "numeric", "autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false", "maxlength": "", "pattern": "[0-9]*",
		} {
			if got := attr(tag, name); got != want {
				t.Errorf("%s=%q, want %q", name, got, want)
			}
		}
		if !strings.Contains(v.html, `<label for="verificationCode">Code</label>`) || strings.Count(v.html, `type="text"`) != 1 {
			t.Errorf("not one field with the label Code: %s", v.html)
		}
	})
	t.Run("UX_P3_16", func(t *testing.T) {
		v.saysNot("inbox")
		s := newSite(t, func(o *signin.Options) { o.DevInbox = "http://localhost:9000/dev/inbox" })
		v := s.browser().signUp("Ada", "L", "ada+x@example.com")
		if got := v.link("Open the development inbox"); got != "http://localhost:9000/dev/inbox?to=ada%2Bx%40example.com" {
			t.Errorf("inbox at %q", got)
		}
	})
	t.Run("UX_P3_5", func(t *testing.T) {
		v := v
		for miss := 1; miss <= 5; miss++ {
			v = v.press("continue", "verificationCode", fmt.Sprintf("99999%d", miss)).is("email-code")
			switch miss {
			case 1, 2:
				v.says("That code is not right. Check the newest mail, or ask for a new one").saysNot("left")
			case 3:
				v.says("You have 2 tries left.")
			case 4:
				v.says("You have 1 try left.")
			case 5:
				v.says("The codes sent so far no longer work. Ask for a new one.", "Send a new code")
				if v.has("continue") || strings.Contains(v.html, "verificationCode") {
					t.Error("a code can still be entered")
				}
				continue
			}
			if tag := v.tag("verificationCode"); attr(tag, "value") != "" || !strings.Contains(tag, "autofocus") {
				t.Errorf("field %s", tag)
			}
		}
		s.clock.Advance(time.Minute)
		v = v.press("resend").is("email-code").says("We sent it again at 14:03 UTC.")
		v.press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")
	})
	t.Run("no code", func(t *testing.T) {
		v := s.browser().signIn("x@example.com").press("continue", "verificationCode", " ").is("email-code").says("Enter the code from the mail")
		if v.b.engine.flows == nil {
			t.Fatal()
		}
	})
}

func TestUX_P3_3_PastedCode(t *testing.T) {
	s := newSite(t)
	v := s.browser().signUp("Ada", "L", ada)
	code := s.engine.lastMail(ada).code
	v.press("continue", "verificationCode", "Code: "+code[:3]+"\u00a0"+code[3:]+"\r\n").is("select-authenticator")
}

func TestUX_P3_6_TooOld(t *testing.T) {
	s := newSite(t)
	v := s.browser().signUp("Ada", "L", ada)
	first := s.engine.lastMail(ada).code
	s.clock.Advance(9*time.Minute + 40*time.Second)
	v.b.get(v.url.RequestURI()).says("The code is valid for 1 minute.")
	s.clock.Advance(30 * time.Second)
	v = v.press("continue", "verificationCode", first).is("email-code").says("That code is too old.", "Send a new code").saysNot("not right")
	if v.has("continue") {
		t.Error("a code can still be entered")
	}
	v = v.press("resend").is("email-code").says("We sent it again").saysNot("too old")
	v.press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")
}

func TestUX_P3_7_OlderCodes(t *testing.T) {
	s := newSite(t)
	for i := range 3 {
		v := s.browser().signUp("Ada", "L", fmt.Sprintf("p%d@example.com", i))
		for range 2 {
			s.clock.Advance(31 * time.Second)
			v = v.press("resend").is("email-code")
		}
		v.press("continue", "verificationCode", s.engine.mails[3*i+i].code).is("select-authenticator")
	}
}

func TestUX_P3_8_SendAgain(t *testing.T) {
	s := newSite(t)
	v := s.browser().signUp("Ada", "L", ada).says("Send it again")
	if !strings.Contains(v.html, `data-wait="30"`) || strings.Contains(v.html, "disabled") {
		t.Errorf("not active without script, or no wait for script: %s", v.html)
	}
	s.clock.Advance(12 * time.Second)
	v = v.press("resend").is("email-code").says("You can ask again in 18 seconds.")
	if n := len(s.engine.mails); n != 1 || v.status != 200 {
		t.Errorf("%d mails, status %d", n, v.status)
	}
	s.clock.Advance(18 * time.Second)
	v = v.b.get(v.url.RequestURI()).saysNot("You can ask again in")
	v = v.press("resend").says("We sent it again at 14:02 UTC.")
	if n := len(s.engine.mails); n != 2 {
		t.Errorf("%d mails", n)
	}
	t.Run("D27 no wait in development", func(t *testing.T) {
		s.engine.set(func() { s.engine.wait = 0 })
		v := s.browser().signUp("A", "L", "b@example.com").press("resend").says("We sent it again")
		if strings.Contains(v.html, "data-wait") {
			t.Error("script waits")
		}
	})
}

func TestUX_P3_10_Change(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.get("/login/sign-up?return_to=/app").press("create", "firstName", "Ada", "lastName", "Lovelace", "email", "ada@exmaple.com").is("email-code")
	old := s.engine.lastMail("ada@exmaple.com")
	form := v.press("change").is("sign-up")
	if form.value("firstName") != "Ada" || form.value("lastName") != "Lovelace" || form.value("email") != "ada@exmaple.com" {
		t.Errorf("values: %q %q %q", form.value("firstName"), form.value("lastName"), form.value("email"))
	}
	v = form.press("create", "email", ada).is("email-code").says(ada)
	v = v.press("continue", "verificationCode", old.code).is("email-code").says("That code is not right.")
	s.browser().get("/login/callback?otp=" + old.code + "&state=" + old.state).is("link-elsewhere")
	b.get("/login/callback?otp=" + old.code + "&state=" + old.state).is("link-elsewhere")
	v = v.press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator").press("skip")
	if !strings.HasPrefix(v.html, "app /app") {
		t.Errorf("landed at %s", v.url)
	}
	if s.engine.users["ada@exmaple.com"] || !s.engine.users[ada] {
		t.Errorf("accounts: %v", s.engine.users)
	}

	t.Run("sign-in", func(t *testing.T) {
		form := s.browser().signIn("grace@exmaple.com").press("change").is("sign-in")
		if form.value("identifier") != "grace@exmaple.com" {
			t.Errorf("value %q", form.value("identifier"))
		}
	})
	t.Run("the engine does not answer", func(t *testing.T) {
		v := s.browser().signIn("grace@exmaple.com")
		s.engine.set(func() { s.engine.answers["/idp/idx/cancel"] = reply{status: 503, body: `{"errorCode":"E0000010"}`} })
		v = v.press("change").is("error")
		s.engine.set(func() { clear(s.engine.answers) })
		v.follow("Try again").is("email-code")
	})
}

func TestUX_P3_12_Poll(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.signUp("Ada", "L", ada)
	poll := func(b *browser, v *view) map[string]any {
		t.Helper()
		_, rest, _ := strings.Cut(v.html, `<div id="poll" `)
		tag, _, _ := strings.Cut(rest, ">")
		if attr(tag, "data-every") != "2000" {
			t.Errorf("polls every %s", attr(tag, "data-every"))
		}
		answer := b.send(http.MethodPost, attr(tag, "data-url"), url.Values{
			"flow": {attr(tag, "data-flow")}, "turn": {attr(tag, "data-turn")}, "delivery": {attr(tag, "data-delivery")},
		})
		var news map[string]any
		if err := json.Unmarshal([]byte(answer.html), &news); err != nil {
			t.Fatalf("%s: %v", answer.html, err)
		}
		return news
	}
	if got := poll(b, v); got["go"] != nil || got["notice"] != nil {
		t.Errorf("unchanged: %v", got)
	}
	s.engine.set(func() { s.engine.delivery = "delayed" })
	if got := poll(b, v); got["notice"] != "The mail to ada@example.com has not gone out yet and is being tried again." {
		t.Errorf("delayed: %v", got)
	}
	s.engine.set(func() { s.engine.delivery = "sent" })

	// The link is opened in another tab.
	m := s.engine.lastMail(ada)
	b.get("/login/callback?otp=" + m.code + "&state=" + m.state).is("link-continue").press("continue").is("select-authenticator")
	got := poll(b, v)
	if to, _ := got["go"].(string); to == "" {
		t.Errorf("after the link: %v", got)
	} else {
		b.get(to).is("select-authenticator").press("skip")
	}
	if got := poll(b, v); got["go"] != "/" {
		t.Errorf("after the end: %v", got)
	}
	if got := poll(s.browser(), v); got["go"] == nil {
		t.Errorf("in another browser: %v", got)
	}

	t.Run("finished by polling", func(t *testing.T) {
		s.engine.set(func() { s.engine.users["grace@example.com"] = true })
		b := s.browser()
		v := b.get("/login/?return_to=/deep").press("next", "identifier", "grace@example.com").is("email-code")
		s.engine.set(func() {
			for _, f := range s.engine.flows {
				if f.identifier == "grace@example.com" {
					f.step = "done"
				}
			}
		})
		if got := poll(b, v); got["go"] != "/deep" {
			t.Fatalf("%v", got)
		}
		if v := b.get("/deep"); !strings.HasPrefix(v.html, "app /deep") {
			t.Errorf("not signed in: %s", v.html)
		}
	})
	t.Run("without script", func(t *testing.T) {
		b := s.browser()
		v := b.signUp("Bea", "L", "bea@example.com").says("I opened the link")
		v = v.press("check").is("email-code").says("The link has not been opened in this browser yet.")
		m := s.engine.lastMail("bea@example.com")
		b.get("/login/callback?otp=" + m.code + "&state=" + m.state).press("continue").is("select-authenticator")
		v.press("check").is("select-authenticator")
	})
	t.Run("the engine does not answer", func(t *testing.T) {
		b := s.browser()
		v := b.signUp("Cid", "L", "cid@example.com")
		s.engine.set(func() { s.engine.answers["/idp/idx/challenge/poll"] = reply{status: 503, body: `{}`} })
		if got := poll(b, v); got["wait"] != 10000.0 || got["go"] != nil {
			t.Errorf("%v", got)
		}
		s.engine.set(func() { clear(s.engine.answers) })
	})
	t.Run("went on in another tab", func(t *testing.T) {
		b := s.browser()
		v := b.signUp("Dan", "L", "dan@example.com")
		s.engine.set(func() {
			for _, f := range s.engine.flows {
				if f.identifier == "dan@example.com" {
					f.step = "transferred"
				}
			}
		})
		b.get(v.url.RequestURI()).is("error").says("You went on in another tab.")
	})
}

func TestUX_P3_14_ComeBack(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.signUp("Ada", "L", ada)
	v := b.get("/app").is("sign-in").says("A code for ada@example.com is waiting.").follow("Enter it").is("email-code")
	v.press("continue", "verificationCode", s.engine.lastMail(ada).code).is("select-authenticator")
	s.browser().get("/login/").is("sign-in").saysNot("waiting")
	t.Run("not after its end", func(t *testing.T) {
		b := s.browser()
		b.signUp("Eve", "L", "eve@example.com")
		s.clock.Advance(61 * time.Minute)
		b.get("/login/").is("sign-in").saysNot("waiting")
	})
}

func TestUX_P3_15_D28_Delivery(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.signUp("Ada", "L", "ada@exmaple.com")
	s.engine.set(func() { s.engine.delivery = "delayed" })
	v = b.get(v.url.RequestURI()).says("The mail to ada@exmaple.com has not gone out yet and is being tried again.").saysNot("We sent")
	if !v.has("continue") || !v.has("change") {
		t.Error("the code cannot be entered")
	}
	s.engine.set(func() { s.engine.delivery = "expired" })
	v = b.get(v.url.RequestURI()).says("The mail to ada@exmaple.com could not be sent in time. Ask for a new code.", "Send a new code").saysNot("We sent")
	if v.has("continue") || !v.has("resend") || !v.has("change") {
		t.Error("not the page of a code that never went out")
	}
	s.engine.set(func() { s.engine.delivery = "refused" })
	v = b.get(v.url.RequestURI()).says("ada@exmaple.com does not accept mail.", "Change the address").saysNot("We sent")
	if v.has("continue") || !strings.Contains(v.html, `role="alert"`) {
		t.Error("not the page of a refused address")
	}
	v.press("change").is("sign-up")
}
