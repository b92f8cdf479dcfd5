package browser_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/stile-id/stile/stiletest"
)

// stillTime makes time in the pages' scripts stand still until advance is called,
// counts what they ask for and keeps what they announce.
const stillTime = `(() => {
	let now = 0, serial = 0;
	const timers = new Map();
	performance.now = () => now;
	window.setTimeout = (f, wait = 0) => { timers.set(++serial, { f, at: now + wait }); return serial; };
	window.clearTimeout = (id) => { timers.delete(id); };
	window.waiting = () => timers.size;
	window.advance = (by) => {
		for (const end = now + by; ; ) {
			const [id, next] = [...timers].sort(([, a], [, b]) => a.at - b.at)[0] || [];
			if (!next || next.at > end) { now = end; return now; }
			timers.delete(id);
			now = Math.max(now, next.at);
			next.f();
		}
	};
	window.asked = window.answered = 0;
	const ask = window.fetch;
	window.fetch = async (...args) => { asked++; try { return await ask(...args); } finally { answered++; } };
	window.said = [];
	document.addEventListener("DOMContentLoaded", () => {
		const live = document.querySelector("#live[role=status]");
		if (live) new MutationObserver(() => said.push(live.textContent)).observe(live, { childList: true });
	});
})()`

// stopTime holds for the pages that are opened from now on.
func (p *person) stopTime() {
	p.t.Helper()
	added, err := chromedp.Call(p.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: stillTime})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { // the profile serves others after this test
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		defer cancel()
		_, _ = chromedp.Call(ctx, page.RemoveScriptToEvaluateOnNewDocument, page.RemoveScriptToEvaluateOnNewDocumentParams{Identifier: added.Identifier})
	})
}

func (p *person) advance(d time.Duration) {
	p.t.Helper()
	eval[float64](p, fmt.Sprintf("advance(%d)", d.Milliseconds()))
}

// quiet waits until the answer to a poll is shown, with so many timers left: what
// it says moves the buttons.
func (p *person) quiet(timers int) {
	p.t.Helper()
	p.wait(fmt.Sprintf("asked === answered && waiting() === %d", timers))
}

// pause lasts until a request that the page makes now is answered: what was asked
// for before is in the record then.
func (p *person) pause() {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Evaluate[int](`fetch("/login/style.css").then((answer) => answer.status)`, chromedp.EvalAwaitPromise)); err != nil {
		p.t.Fatalf("the page is left: %v\n%s", err, p.where())
	}
}

// said is what the page has announced.
func (p *person) said() []string {
	p.t.Helper()
	return eval[[]string](p, "said")
}

func TestUX_P3_2_OneField(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p := newPerson(t, stage(t), l)
		m := p.begin(newAddress())
		type field struct {
			Type, InputMode, Autocomplete, Capitals, Pattern, Label string
			Spelling                                                bool
			MaxLength, Fields                                       int
			Size, Spacing                                           float64
		}
		got := eval[field](p, `(() => {
			const e = document.getElementById("verificationCode"), s = getComputedStyle(e);
			return {
				Type: e.type, InputMode: e.inputMode, Autocomplete: e.autocomplete, Capitals: e.autocapitalize, Pattern: e.pattern,
				Label: e.labels[0].textContent, Spelling: e.spellcheck, MaxLength: e.maxLength,
				Fields: document.querySelectorAll("main input:not([type=hidden])").length,
				Size: parseFloat(s.fontSize), Spacing: parseFloat(s.letterSpacing),
			};
		})()`)
		if got.Size < 20 || got.Spacing < 2 {
			t.Errorf("written in %g px, %g px apart", got.Size, got.Spacing)
		}
		got.Size, got.Spacing = 0, 0
		want := field{
			Type: "text", InputMode: "numeric", Autocomplete: "one-time-code", Capitals: "none", Pattern: got.Pattern, Label: "Code",
			MaxLength: -1, Fields: 1,
		}
		if got != want || got.Pattern == "" {
			t.Errorf("the field is %+v, want %+v", got, want)
		}
		// Pasted in whole, with what stands around it (UX P3.3).
		p.enter("Code: " + m.Code[:3] + "-" + m.Code[3:] + " \u200f").at("select-authenticator")
	})
}

func TestUX_P3_4_TypingSendsNothing(t *testing.T) {
	t.Parallel()
	p := newPerson(t, stage(t), desk)
	p.stopTime()
	m := p.begin(newAddress())
	posts := len(p.seen.requests("POST "))
	p.click("#verificationCode").do(chromedp.KeyEvent(m.Code))
	if got := p.value("verificationCode"); got != m.Code {
		t.Errorf("typed %q", got)
	}
	p.advance(1900 * time.Millisecond) // not so far that it polls
	p.pause()
	if n := len(p.seen.requests("POST ")) - posts; n != 0 {
		t.Errorf("%d requests while typing", n)
	}
	p.do(loads(chromedp.KeyEvent(kb.Enter))) // UX G33
	p.at("select-authenticator")
}

func TestUX_P3_8_SendAgain(t *testing.T) {
	t.Run("UX_G28 with script it counts down", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, patient(t), desk)
		p.stopTime()
		address := newAddress()
		m := p.begin(address)
		button := func() string {
			return eval[string](p, `(() => { const b = document.querySelector('`+action("resend")+`'); return b.textContent + (b.disabled ? " (inactive)" : ""); })()`)
		}
		want := func(what string) {
			t.Helper()
			if got := button(); got != what {
				t.Errorf("the button says %q, want %q", got, what)
			}
		}
		left := eval[int](p, `Number(document.querySelector('`+action("resend")+`').dataset.wait)`)
		if left < 20 || left > 30 {
			t.Errorf("the wait is %d s", left)
		}
		want(fmt.Sprintf("Send it again in %d seconds (inactive)", left))
		if p.has(action("resend") + ":is([aria-live] *, [role=status] *, [role=alert] *)") {
			t.Error("UX G28: each second is announced")
		}
		p.advance(time.Duration(left-1) * time.Second)
		want("Send it again in 1 second (inactive)")
		const ready = "You can ask for the mail again now."
		count := func(text string) (n int) {
			for _, s := range p.said() {
				if strings.Contains(s, text) {
					n++
				}
			}
			return n
		}
		if count("second") > 0 || count(ready) > 0 { // UX G28: not announced each second
			t.Errorf("announced while counting: %q", p.said())
		}
		p.advance(time.Second)
		want("Send it again")
		if count("second") > 0 || count(ready) != 1 {
			t.Errorf("announced: %q", p.said())
		}
		p.quiet(2)
		p.site.clock.Advance(31 * time.Second)
		p.press(action("resend")).at("email-code").says("We sent it again at")
		p.site.mail(t, address, m)
	})
	t.Run("without script it is active", func(t *testing.T) {
		t.Parallel()
		p := newPerson(t, patient(t), look{width: 320, noScript: true})
		address := newAddress()
		m := p.begin(address)
		p.press(action("resend")).at("email-code").says("You can ask again in")
		if !p.has("#verificationCode") {
			t.Error("the early press leads to an error page")
		}
		p.site.clock.Advance(31 * time.Second)
		p.press(action("resend")).at("email-code").says("We sent it again at")
		p.site.mail(t, address, m)
		if n := len(p.site.mails(t, address, "", 0)); n != 2 {
			t.Errorf("%d mails, want 2: the early press sent one", n)
		}
	})
}

func TestUX_G28_NewsOfTheMail(t *testing.T) {
	t.Parallel()
	when := make(chan struct{})
	refuse := sync.OnceFunc(func() { close(when) })
	p := newPerson(t, stage(t, stiletest.SMTP("smtp://"+refusingSMTP(t, when))), desk)
	t.Cleanup(refuse) // or the engine does not end
	p.stopTime()
	p.beginAs("Ada", "Lovelace", newAddress())
	const news = "does not accept mail"
	if strings.Contains(p.text(), news) {
		t.Fatal("the page knows before the mail server says so")
	}
	refuse()
	// Each look lets two seconds pass, until a poll comes after the mail server's answer.
	p.wait(`advance(2000) > 0 && said.some((text) => text.includes("` + news + `"))`)
	p.wait(`asked === answered`)
	if n := len(slices.DeleteFunc(p.said(), func(text string) bool { return !strings.Contains(text, news) })); n != 1 {
		t.Errorf("announced %d times", n)
	}
	p.reload()
	p.at("email-code")
	if !p.has(`[role="alert"]`) {
		t.Error("on a new page it is no alert")
	}
}

func TestUX_P3_11_HowLongAndWhereElse(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p := newPerson(t, stage(t), l)
		p.begin(newAddress())
		p.says("The code is valid for 10 minutes")
		shown := func() bool {
			return eval[bool](p, `document.querySelector(".later").checkVisibility({ visibilityProperty: true })`)
		}
		if shown() {
			t.Error("the word about spam is there from the start")
		}
		// It is a style that waits, so it comes without script too.
		waits := eval[[]float64](p, `document.getAnimations().map((a) => { const t = a.effect.getTiming(); a.finish(); return t.delay; })`)
		if len(waits) != 1 || waits[0] != 30_000 {
			t.Errorf("waits for %v ms, want 30000", waits)
		}
		if !shown() {
			t.Error("the word about spam does not come")
		}
		p.says("Check spam. It comes from " + sender)
	})
}

func TestUX_G31_EndOfTheCode(t *testing.T) {
	t.Parallel()
	p := newPerson(t, stage(t), desk)
	p.stopTime()
	address := newAddress()
	m := p.begin(address)
	p.put("verificationCode", m.Code[:4])
	p.advance(9*time.Minute + 5*time.Second)
	p.says("The code is valid for 1 minute.")
	p.advance(time.Minute)
	if said := p.said(); !slices.Contains(said, "That code is too old.") {
		t.Errorf("announced %q", said)
	}
	if got := p.value("verificationCode"); got != m.Code[:4] {
		t.Errorf("of what was typed, %q is left", got)
	}
	p.quiet(1)
	p.site.clock.Advance(11 * time.Minute)
	p.press(action("resend")).at("email-code")
	p.enter(p.site.mail(t, address, m).Code).skip()
}

func TestUX_P3_12_Polling(t *testing.T) {
	t.Parallel()
	p := newPerson(t, stage(t), desk)
	p.stopTime()
	m := p.begin(newAddress())
	polls := 0
	asks := func(after time.Duration, want bool, when string) {
		t.Helper()
		p.advance(after - time.Millisecond)
		if n := eval[int](p, "asked"); n != polls {
			t.Errorf("%s: %d polls too early", when, n-polls)
		}
		p.advance(time.Millisecond)
		if want {
			polls++
		}
		if n := eval[int](p, "asked"); n != polls {
			t.Fatalf("%s: %d polls, want %d", when, n, polls)
		}
		p.wait(fmt.Sprintf("answered === %d && waiting() === 2", polls)) // the next one is planned
	}
	const every = 2 * time.Second
	asks(every, true, "at first")
	asks(every, true, "again")
	p.advance(3 * time.Minute)
	polls++
	p.wait(fmt.Sprintf("answered === %d && waiting() === 2", polls))
	asks(every, false, "after two minutes") // and more slowly from now on

	hide := func(hidden bool) {
		eval[bool](p, fmt.Sprintf(`Object.defineProperty(document, "hidden", { value: %t, configurable: true });
			document.dispatchEvent(new Event("visibilitychange"))`, hidden))
	}
	hide(true)
	p.advance(10 * time.Minute)
	if n := eval[int](p, "asked"); n != polls {
		t.Errorf("%d polls of a hidden tab", n-polls)
	}
	// Meanwhile the link is opened in another tab; coming back is enough.
	p.tab().openLink(m)
	hide(false)
	p.at("select-authenticator")
}

func TestUX_P3_14_ComingBack(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, shared(t), l), newAddress()
		away := p.tab()
		m := away.begin(address)
		away.close()
		later := p.tab()
		later.open(p.site.home+"/login/").at("sign-in").says("A code for "+address+" is waiting", "Enter it")
		later.press(".notice a").at("email-code").enter(m.Code).skip()
		later.isIn(address)
	})
}

func TestUX_P3_16_LinkToTheInbox(t *testing.T) {
	t.Parallel()
	p, address := newPerson(t, shared(t), desk), newAddress()
	m := p.begin(address)
	inbox := p.opens(`a[href*="/dev/inbox"]`)
	inbox.at("dev-inbox").says("1 mail to "+address, m.Subject)
	if got := eval[string](inbox, `document.querySelector("#messages output").textContent`); got != m.Code {
		t.Errorf("the inbox shows %s, want %s", got, m.Code)
	}
}

func TestUX_G28_P4_3_CopyTheCode(t *testing.T) {
	t.Parallel()
	p := newPerson(t, stage(t), look{width: 320})
	m := p.stranger()
	for _, name := range []string{"clipboard-write", "clipboard-read"} {
		if _, err := chromedp.CallBrowser(p.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted,
			Origin: p.site.home, BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
		}); err != nil {
			t.Fatal(err)
		}
	}
	p.open(m.Link).at("link-elsewhere").click("#copy").wait(`document.querySelector("#live[role=status]").textContent === "Copied."`)
	copied, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`navigator.clipboard.readText()`, chromedp.EvalAwaitPromise))
	if err != nil || copied != m.Code {
		t.Errorf("copied %q, want %s; %v", copied, m.Code, err)
	}
	for _, address := range append(p.visited(), p.address()) { // UX P4.8
		if strings.Contains(address, m.Code) {
			t.Errorf("%s holds the code", address)
		}
	}
	// Selectable in one go, for browsers inside other apps (UX P4.10).
	if how := eval[string](p, `getComputedStyle(document.querySelector(".code")).userSelect`); how != "all" {
		t.Errorf("the code's selection is %s", how)
	}
}

func TestUX_P4_6_NewLinkInOnePress(t *testing.T) {
	both(t, func(t *testing.T, l look) {
		p, address := newPerson(t, stage(t), l), newAddress()
		m := p.begin(address)
		p.site.clock.Advance(11 * time.Minute)

		other := newPerson(t, p.site, l)
		other.open(m.Link).at("error").says("This link is too old")
		if strings.Contains(other.text(), address) {
			t.Error("a browser that does not know the address is told it")
		}
		p.open(m.Link).at("error").says("This link is too old", "Send a new one")
		p.press(action("resend")).at("email-code").says(address)
		p.openLink(p.site.mail(t, address, m))
		p.skip()
		p.isIn(address)
	})
}

// What was sent is not cut off by the page that goes elsewhere by itself: its answer
// brings the session.
func TestUX_P3_12_NewsDoNotCutOffAPress(t *testing.T) {
	p := newPerson(t, stage(t), desk)
	p.stopTime()
	p.begin(newAddress())
	eval[bool](p, `(() => {
		window.gone = location.hash;
		window.fetch = async () => { asked++; return { json: async () => ({ go: "#elsewhere" }) }; };
		document.getElementById("verificationCode").form.addEventListener("submit", (e) => e.preventDefault()); // it is under way for long
		return true;
	})()`)
	p.advance(2 * time.Second)
	p.wait(`asked === 1 && location.hash === "#elsewhere"`) // so it does else

	p.reload()
	p.at("email-code")
	eval[bool](p, `(() => {
		history.replaceState(null, "", location.pathname + location.search);
		window.answer = null;
		window.fetch = () => { asked++; return new Promise((done) => { answer = () => done({ json: async () => { setTimeout(() => { window.read = true; }); return { go: "#elsewhere" }; } }); }); };
		document.getElementById("verificationCode").form.addEventListener("submit", (e) => e.preventDefault());
		return true;
	})()`)
	p.advance(2 * time.Second)
	p.wait(`asked === 1`)
	p.put("verificationCode", "123456").click(action("continue"))
	p.wait(`document.getElementById("verificationCode").form.dataset.sent === "1"`)
	eval[bool](p, `(answer(), true)`) // the news of before the press
	p.wait(`waiting() > 0`)
	p.advance(20 * time.Second)
	if got := eval[string](p, `asked + location.hash`); got != "1" {
		t.Errorf("after the press: %s, want that it stays and asks no more", got)
	}
	p.advance(20 * time.Second) // no answer comes any more: it was broken off
	p.wait(`asked > 1 && !document.getElementById("verificationCode").form.dataset.sent && !document.querySelector("[aria-busy]")`)
}
