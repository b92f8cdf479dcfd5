package browser_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestUX_EveryState checks what holds for every page in every state: UX G8 and
// G10 at 320 and 1280 px, G20, G21 in light and dark, G26 and G33. The profile's
// record adds G2 and a silent console.
//
// STILE_PICTURES names a folder for pictures of all of them, to look at.
func TestUX_EveryState(t *testing.T) { inEveryState(t, states) }

func inEveryState(t *testing.T, states []state) {
	common := stage(t)
	common.clock = nil // whoever moves it needs a site of their own
	for _, s := range states {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			site := common
			if s.site != nil {
				site = s.site(t)
			}
			p := newPerson(t, site, desk)
			s.reach(p)
			p.pictures(s.name)
			for _, l := range []look{{width: 320}, {width: 1280, dark: true}} {
				p.show(l)
				p.sound()
				p.accessible()
			}
			p.keyboard()
		})
	}
}

// Every other test asks for reduced motion; here are those who do not, too: that
// there is something to take away.
func TestUX_G12_NoMotionWhereItIsReduced(t *testing.T) {
	t.Parallel()
	p := newPerson(t, stage(t), desk)
	check := func(name string) {
		t.Helper()
		p.at(name)
		for _, wish := range []string{"no-preference", "reduce"} {
			p.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: wish}},
			}))
			moving := eval[[]string](p, motion)
			if (len(moving) > 0) != (wish == "no-preference") {
				t.Errorf("%s, %s: %q", name, wish, moving)
			}
		}
	}
	m := p.begin(newAddress())
	check("email-code")
	p.enter(m.Code).skip()
	check("home")
	p.open(p.site.engine + "/dev/inbox").at("dev-inbox")
	eval[string](p, `document.querySelector("#messages > li").className = "new"`) // as those that arrive
	check("dev-inbox")
}

// accessible runs axe on the page at hand; without rules, with all that it has.
func (p *person) accessible(rules ...string) {
	p.t.Helper()
	script, err := axe()
	if err != nil {
		without(p.t, err.Error())
	}
	if !eval[bool](p, `"axe" in window`) {
		p.do(chromedp.Evaluate[chromedp.Void](script))
	}
	how := map[string]any{"resultTypes": []string{"violations"}, "iframes": false, "preload": false}
	if len(rules) > 0 {
		how["runOnly"] = rules
	}
	options, err := json.Marshal(how)
	if err != nil {
		p.t.Fatal(err)
	}
	violations, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](`axe.run(document, `+string(options)+`).then((found) => found.violations.map((v) =>
		v.id + ": " + v.help + "\n  " + v.nodes.map((n) => n.html + " " + n.failureSummary).join("\n  ")))`, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("axe: %v", err)
	}
	for _, v := range violations {
		p.t.Errorf("UX G21: %s, %s: %s", p.address(), p.look, v)
	}
}

// keyboard goes through the page with the Tab key alone. It must meet all that can
// be used, in the order in which it is read, and show where it is (UX G26, G33).
func (p *person) keyboard() {
	p.t.Helper()
	stops := eval[[]string](p, `(() => {
		window.nameOf = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + " " + (e.textContent.trim() || e.value || "").slice(0, 30);
		const all = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, [tabindex='0'], iframe")]
			.filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.disabled && e.tabIndex >= 0)
			.filter((e) => e.type !== "radio" || e.checked);
		const start = document.createElement("span");
		start.tabIndex = -1;
		document.body.prepend(start);
		start.focus();
		start.remove();
		return all.map(nameOf);
	})()`)
	var before struct{ Top, Bottom, Left, Right float64 }
	for i, want := range stops {
		if strings.HasPrefix(want, "iframe") {
			return // from here on the frame has the keys
		}
		p.do(chromedp.KeyEvent(kb.Tab))
		at := eval[struct {
			Name                     string
			Top, Bottom, Left, Right float64
			Ring                     bool
			Shown                    bool
			RTL                      bool
		}](p, `(() => {
			const e = document.activeElement, box = e.getBoundingClientRect();
			const ring = [e, e.closest("label") || e].some((n) => {
				const s = getComputedStyle(n);
				return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 3;
			});
			return {
				Name: nameOf(e), Top: box.top + scrollY, Bottom: box.bottom + scrollY, Left: box.left, Right: box.right, Ring: ring,
				Shown: box.bottom > 0 && box.top < innerHeight, RTL: document.documentElement.dir === "rtl",
			};
		})()`)
		if at.Name != want {
			p.t.Fatalf("UX G33: Tab %d leads to %q, want %q of %q", i+1, at.Name, want, stops)
		}
		if !at.Ring || !at.Shown {
			p.t.Errorf("UX G26: focus on %q is not visible", at.Name)
		}
		forward := at.Left >= before.Left
		if at.RTL {
			forward = at.Right <= before.Right
		}
		sameRow := at.Top < before.Bottom && at.Bottom > before.Top
		if i > 0 && (sameRow && !forward || !sameRow && at.Bottom <= before.Top && at.Left <= before.Right) {
			p.t.Errorf("UX G33: Tab goes from %q back to %q", stops[i-1], want)
		}
		before.Top, before.Bottom, before.Left, before.Right = at.Top, at.Bottom, at.Left, at.Right
	}
}

// pictures leaves pictures of the page at hand in STILE_PICTURES, if that is set.
func (p *person) pictures(name string) {
	p.t.Helper()
	dir := os.Getenv("STILE_PICTURES")
	if dir == "" {
		return
	}
	for _, width := range []int64{320, 768, 1280} {
		for _, dark := range []bool{false, true} {
			p.show(look{width: width, dark: dark})
			// As high as the page is: pictures beyond the window are shifted where text runs to the left.
			p.do(chromedp.EmulateViewport(width, eval[int64](p, "document.documentElement.scrollHeight")))
			picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				p.t.Fatal(err)
			}
			scheme := "light"
			if dark {
				scheme = "dark"
			}
			file := fmt.Sprintf("%s %d %s.png", name, width, scheme)
			if err := os.WriteFile(filepath.Join(dir, file), picture, 0o600); err != nil {
				p.t.Fatal(err)
			}
		}
	}
}
