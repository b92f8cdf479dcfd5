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

func TestUX_P1_SignInPage(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.get("/login/").is("sign-in")
	t.Run("UX_P1_1", func(t *testing.T) {
		v.says("Email", "Next", "Sign up")
		if v.link("Sign up") != "/login/sign-up" {
			t.Errorf("Sign up leads to %q", v.link("Sign up"))
		}
	})
	t.Run("UX_P1_2", func(t *testing.T) {
		tag := v.tag("identifier")
		for name, want := range map[string]string{
			"type": "email", "autocomplete": "username", "inputmode": "email", "autocapitalize": "none", "spellcheck": "false", "id": "identifier",
		} {
			if got := attr(tag, name); got != want {
				t.Errorf("%s=%q, want %q", name, got, want)
			}
		}
	})
	t.Run("UX_P1_9", func(t *testing.T) {
		if strings.Contains(strings.ToLower(v.html), "password") || strings.Contains(v.html, "Forgot") {
			t.Errorf("mentions passwords: %s", v.html)
		}
	})
	t.Run("UX_P1_3", func(t *testing.T) {
		if got := b.get("/login/?login_hint=" + url.QueryEscape(" Ada@Example.com\n")).value("identifier"); got != "Ada@example.com" {
			t.Errorf("login_hint gives %q", got)
		}
		b.get("/login/").press("next", "identifier", "  ada@EXAMPLE.com \r\n").is("email-code").says(ada)
	})
	t.Run("UX_P1_4", func(t *testing.T) {
		// The button that script presses; the link alone opens an empty form.
		to, values := s.browser().get("/login/?return_to=/app").form("next", "identifier", "Ada@example.com")
		values.Set("action", "sign-up")
		up := b.send(http.MethodPost, to, values).is("sign-up")
		if up.value("email") != "Ada@example.com" {
			t.Errorf("sign-up has %q", up.value("email"))
		}
		to, values = up.form("create", "email", "grace@example.com")
		values.Set("action", "sign-in")
		in := b.send(http.MethodPost, to, values).is("sign-in")
		if in.value("identifier") != "grace@example.com" || !strings.Contains(in.html, `name="return_to" value="/app"`) {
			t.Errorf("sign-in has %q: %s", in.value("identifier"), in.html)
		}
		t.Run("without script, once it was sent", func(t *testing.T) {
			b := s.browser()
			v := b.get("/login/sign-up").press("create", "email", "grace@example.com").is("sign-up").follow("Sign in").is("sign-in")
			if v.value("identifier") != "grace@example.com" {
				t.Errorf("has %q", v.value("identifier"))
			}
		})
	})
	t.Run("UX_P1_8", func(t *testing.T) {
		s.browser().get("/login/?prompt=create&login_hint=" + ada).is("sign-up")
	})
	t.Run("UX_P1_5 the same for known and unknown", func(t *testing.T) {
		s.engine.set(func() { s.engine.users["known@example.com"] = true })
		one := s.browser().signIn("known@example.com").says("If there is an account for known@example.com, we sent a code.")
		two := s.browser().signIn("other@example.com").says("If there is an account for other@example.com, we sent a code.")
		if one.status != two.status || len(one.html) != len(two.html) {
			t.Errorf("%d with %d bytes and %d with %d", one.status, len(one.html), two.status, len(two.html))
		}
		for range 5 {
			one = one.press("continue", "verificationCode", "000000")
			two = two.press("continue", "verificationCode", "000000")
			if a, b := strings.ReplaceAll(one.sentence(), "known@", "other@"), two.sentence(); a != b {
				t.Errorf("UX P3.5:\n%s\n%s", a, b)
			}
		}
	})
}

func TestUX_P1_1_SignUpClosed(t *testing.T) {
	s := newSite(t)
	s.engine.closed = true
	b := s.browser()
	b.get("/login/").is("sign-in").saysNot("Sign up")
	if v := b.get("/login/sign-up").is("error").says("Sign-up is closed"); v.status != http.StatusForbidden {
		t.Errorf("status %d", v.status)
	}
}

func TestUX_P2_SignUpPage(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	v := b.get("/login/sign-up")
	t.Run("UX_P2_1 UX_P2_2", func(t *testing.T) {
		v.says("First name", "Last name", "Email", "Create account", "Already have an account? Sign in")
		for name, want := range map[string]string{"firstName": "given-name", "lastName": "family-name", "email": "email"} {
			if got := attr(v.tag(name), "autocomplete"); got != want {
				t.Errorf("%s: autocomplete %q", name, got)
			}
		}
		if n := strings.Count(v.html, `<div class="field `); n != 3 {
			t.Errorf("%d fields", n)
		}
	})
	t.Run("UX_P2_3", func(t *testing.T) {
		if strings.Contains(v.html, "checkbox") {
			t.Error("has a box")
		}
	})
	t.Run("UX_P2_4", func(t *testing.T) {
		b.get("/login/sign-up").press("create", "firstName", "  Ḁda-O'Brien  ", "lastName", " van der Berg ", "email", ada).is("email-code")
		s.engine.mu.Lock()
		defer s.engine.mu.Unlock()
		for _, f := range s.engine.flows {
			if f.identifier == ada && (f.first != "Ḁda-O'Brien" || f.last != "van der Berg") {
				t.Errorf("the engine gets %q %q", f.first, f.last)
			}
		}
	})
	t.Run("UX_P2_8 protect", func(t *testing.T) {
		s.engine.set(func() { s.engine.users["known@example.com"] = true })
		one, two := s.browser(), s.browser()
		a := one.signUp("Ada", "L", "known@example.com").sentence()
		c := two.signUp("Ada", "L", "fresh@example.com").sentence()
		if strings.ReplaceAll(a, "known@", "fresh@") != c {
			t.Errorf("%s\n%s", a, c)
		}
	})
	t.Run("UX_P2_8 disclose", func(t *testing.T) {
		s.engine.set(func() { s.engine.tell = true })
		b := s.browser()
		v := b.get("/login/sign-up").press("create", "firstName", "A", "lastName", "L", "email", "known@example.com").is("sign-up")
		v.says("There is already an account with this email.")
		if in := v.follow("Sign in").is("sign-in"); in.value("identifier") != "known@example.com" {
			t.Errorf("Sign in carries %q", in.value("identifier"))
		}
		b.get("/login/").press("next", "identifier", "nobody@example.com").is("sign-in").says("There is no account with this email.")
	})
}

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
	s.engine.set(func() { s.engine.delivery = "refused" })
	v = b.get(v.url.RequestURI()).says("ada@exmaple.com does not accept mail.", "Change the address").saysNot("We sent")
	if v.has("continue") || !strings.Contains(v.html, `role="alert"`) {
		t.Error("not the page of a refused address")
	}
	v.press("change").is("sign-up")
}

func TestUX_P5_List(t *testing.T) {
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
		v.press("submit", "authenticator", "google_otp").is("select-authenticator")
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

func TestUX_P5_Password(t *testing.T) {
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
	v = v.press("continue", "size", "38", "colour", "b", "wide", "true")
	if !strings.HasPrefix(v.html, "app /") {
		t.Errorf("landed at %s", v.url)
	}
}
