package browser_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// A look is how a person's browser shows pages.
type look struct {
	width    int64
	dark     bool
	noScript bool
	restarts restarts
}

func (l look) String() string {
	s := fmt.Sprintf("%d px", l.width)
	if l.dark {
		s += ", dark"
	} else {
		s += ", light"
	}
	if l.noScript {
		s += ", no script"
	}
	if l.restarts != "" {
		s += ", " + string(l.restarts) + " restarts"
	}
	return s
}

// looks are those of the acceptance walks (UX §11).
var looks = func() []look {
	var all []look
	for _, width := range []int64{320, 1280} {
		for _, dark := range []bool{false, true} {
			for _, noScript := range []bool{false, true} {
				all = append(all, look{width: width, dark: dark, noScript: noScript})
			}
		}
	}
	return all
}()

// fewLooks are half of them, with every pair of width, scheme and script.
var fewLooks = []look{{width: 320}, {width: 320, dark: true, noScript: true}, {width: 1280, noScript: true}, {width: 1280, dark: true}}

var desk = look{width: 1280}

// inLooks walks in each look.
func inLooks(t *testing.T, looks []look, walk func(*testing.T, look)) {
	for _, l := range looks {
		t.Run(l.String(), func(t *testing.T) {
			t.Parallel()
			walk(t, l)
		})
	}
}

// A person is somebody at a tab of a browser. Tabs of one browser share its cookies.
type person struct {
	t    testing.TB
	site *site
	look look
	ctx  context.Context // of the tab
	seen *record

	presses, typed int // buttons and links pressed, fields filled in

	closeTab context.CancelFunc // of a tab beside the first
}

// newPerson opens a browser with an empty profile. When the test ends, it fails
// for whatever the browser asked of strangers or complained about.
func newPerson(t testing.TB, s *site, l look) *person {
	t.Helper()
	needsBrowser(t)
	f, err := takeProfile()
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, site: s, look: l, ctx: f.ctx, seen: &record{own: []string{s.home, s.engine}}}
	p.seen.mayFail(l.restarts != "")
	f.record.Store(p.seen)
	t.Cleanup(func() {
		if t.Failed() {
			p.keep()
			f.close()
		} else {
			f.giveBack(s.home, s.engine)
		}
		if faults := p.seen.all(); len(faults) > 0 {
			t.Errorf("the browser noticed:\n%s", strings.Join(faults, "\n"))
		}
	})
	p.show(l)
	return p
}

// tab opens another tab of the same browser.
func (p *person) tab() *person {
	p.t.Helper()
	ctx, closeTab := chromedp.NewContext(p.ctx, chromedp.WithListener(p.seen.notice))
	return p.in(ctx, closeTab)
}

// in gives the same person at another tab, which is closed when the test ends.
func (p *person) in(ctx context.Context, closeTab context.CancelFunc) *person {
	p.t.Helper()
	other := &person{t: p.t, site: p.site, look: p.look, ctx: ctx, seen: p.seen, closeTab: closeTab}
	p.t.Cleanup(func() {
		if p.t.Failed() {
			other.keep()
		}
		closeTab()
	})
	if err := chromedp.Do(ctx); err != nil {
		p.t.Fatalf("a new tab: %v", err)
	}
	other.show(p.look)
	return other
}

// close closes the tab. The browser stays.
func (p *person) close() {
	p.t.Helper()
	p.closeTab() // returns when it is gone
}

// show changes how the browser shows pages.
func (p *person) show(l look) {
	p.t.Helper()
	p.look = l
	height := int64(800)
	if l.width < 480 {
		height = 568
	}
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	p.do(
		chromedp.EmulateViewport(l.width, height),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: scheme},
				{Name: "prefers-reduced-motion", Value: "reduce"}, // nothing is half-way when it is looked at
			},
		}),
		command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.noScript}),
	)
}

func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// do carries out actions, all within the limit of patience.
func (p *person) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := p.try(steps...); err != nil {
		p.t.Fatalf("%v\n%s", err, p.where())
	}
}

func (p *person) try(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

// eval gives the value of an expression in the page, also where scripts are off.
func eval[T any](p *person, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", expression, err, p.where())
	}
	return v
}

// loads waits for the page that the action leads to.
func loads(action chromedp.Action[chromedp.Void]) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.WaitEvent(page.LoadEventFired, nil, action)(ctx, t)
		return err
	})
}

func (p *person) open(address string) *person {
	p.t.Helper()
	p.meanwhile()
	p.do(chromedp.Navigate(address))
	return p
}

func (p *person) back()   { p.t.Helper(); p.meanwhile(); p.do(chromedp.NavigateBack()) }
func (p *person) reload() { p.t.Helper(); p.meanwhile(); p.do(chromedp.Reload()) }

// at waits for a page, and checks what holds for every page.
func (p *person) at(name string) *person {
	p.t.Helper()
	if err := p.try(chromedp.WaitReady(chromedp.CSS(`main[data-page="` + name + `"]`))); err != nil {
		p.t.Fatalf("not at %s: %v\n%s", name, err, p.where())
	}
	p.wait(`document.readyState === "complete"`) // else a press takes this page's end for that of the next
	p.sound()
	return p
}

// action is the button with that value.
func action(value string) string { return `[name="action"][value="` + value + `"]` }

// press clicks what the selector names, and waits for the page that it leads to.
func (p *person) press(selector string) *person {
	p.t.Helper()
	p.presses++
	p.meanwhile()
	if err := p.try(loads(chromedp.Click(chromedp.CSS(selector)))); err != nil {
		p.t.Fatalf("press %s: %v\n%s", selector, err, p.where())
	}
	return p
}

// picks chooses one of a list, and goes on.
func (p *person) picks(key string) *person {
	p.t.Helper()
	p.click("#authenticator-" + key)
	return p.press(action("submit"))
}

// click clicks what the selector names and stays on the page.
func (p *person) click(selector string) *person {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
	return p
}

// opens clicks what the selector names, and goes to the tab that opens.
func (p *person) opens(selector string) *person {
	p.t.Helper()
	waiting, stop := context.WithTimeout(p.ctx, patience)
	defer stop()
	own := chromedp.FromContext(p.ctx).Target.TargetID
	opened := chromedp.WaitNewTarget(waiting, func(i *target.Info) bool { return i.OpenerID == own })
	p.click(selector)
	id, ok := <-opened
	if !ok {
		p.t.Fatalf("%s opens no tab\n%s", selector, p.where())
	}
	return p.in(chromedp.NewContext(p.ctx, chromedp.WithTargetID(id), chromedp.WithListener(p.seen.notice)))
}

// put fills a field in, in one piece as autofill and paste do.
func (p *person) put(id, value string) *person {
	p.t.Helper()
	p.typed++
	p.do(
		chromedp.Click(chromedp.CSS("#"+id)),
		chromedp.Evaluate[chromedp.Void](`document.getElementById("`+id+`").select()`),
		command(input.InsertText, input.InsertTextParams{Text: value}),
	)
	return p
}

// pressTwice presses a button again before the answer to the first press is in:
// answers are held until the second press is through.
func (p *person) pressTwice(selector string) *person {
	p.t.Helper()
	p.presses++
	p.meanwhile()
	held := make(chan fetch.RequestID, 10)
	listening, stop := context.WithCancel(p.ctx)
	defer stop()
	if err := chromedp.Listen(listening, func(ev any) {
		if e, ok := ev.(*fetch.EventRequestPaused); ok {
			held <- e.RequestID
		}
	}); err != nil {
		p.t.Fatal(err)
	}
	// While an answer is held the tab answers no queries, so its place is asked for now.
	middle := eval[[]float64](p, fmt.Sprintf(`(() => {
		const button = document.querySelector(%q);
		button.scrollIntoView({ block: "center" });
		const box = button.getBoundingClientRect();
		return [box.x + box.width / 2, box.y + box.height / 2];
	})()`, selector))
	click := chromedp.MouseClickXY(middle[0], middle[1])
	twice := chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := click(ctx, t); err != nil {
			return err
		}
		var first fetch.RequestID
		select {
		case first = <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := click(ctx, t); err != nil {
			return err
		}
		go func() {
			for id := first; ; {
				// Fails for the first if the browser has sent a second and dropped it.
				_, _ = cdp.Call(listening, t, fetch.ContinueResponse, fetch.ContinueResponseParams{RequestID: id})
				select {
				case id = <-held:
				case <-listening.Done():
					return
				}
			}
		}()
		return nil
	})
	p.do(command(fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{
		URLPattern: "*", ResourceType: network.ResourceTypeDocument, RequestStage: fetch.RequestStageResponse,
	}}}))
	if err := p.try(loads(twice)); err != nil {
		p.t.Fatalf("press %s twice: %v\n%s", selector, err, p.where())
	}
	p.do(command(fetch.Disable, cdp.Empty{}))
	return p
}

// wait waits until an expression holds, over new pages and where scripts are off.
func (p *person) wait(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression, chromedp.EvalAwaitPromise)); err == nil && ok {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			p.t.Fatalf("%s does not come true\n%s", expression, p.where())
		}
	}
}

// text is what can be read on the page.
func (p *person) text() string {
	p.t.Helper()
	return strings.Join(strings.Fields(eval[string](p, `(document.querySelector("main") || document.body).innerText`)), " ")
}

func (p *person) says(words ...string) *person {
	p.t.Helper()
	text := p.text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			p.t.Errorf("the page does not say %q: %s", w, text)
		}
	}
	return p
}

func (p *person) has(selector string) bool {
	p.t.Helper()
	return eval[bool](p, fmt.Sprintf("!!document.querySelector(%q)", selector))
}

// value is what stands in a field.
func (p *person) value(id string) string {
	p.t.Helper()
	return eval[string](p, `document.getElementById("`+id+`").value`)
}

// choose chooses in a list.
func (p *person) choose(id, value string) *person {
	p.t.Helper()
	p.typed++
	p.do(chromedp.SetValue(chromedp.CSS("#"+id), value))
	return p
}

// holds checks what stands in a field.
func (p *person) holds(id, want string) *person {
	p.t.Helper()
	if got := p.value(id); got != want {
		p.t.Errorf("%s holds %q, want %q", id, got, want)
	}
	return p
}

func (p *person) address() string { return eval[string](p, "location.href") }

// visited lists the addresses that the tab's back button leads through.
func (p *person) visited() []string {
	p.t.Helper()
	history, err := chromedp.Run(p.ctx, chromedp.NavigationEntries())
	if err != nil {
		p.t.Fatal(err)
	}
	var all []string
	for _, e := range history.Entries {
		all = append(all, e.URL)
	}
	return all
}
