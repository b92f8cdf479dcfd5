package browser_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestUX_EveryState checks what holds for every page in every state: UX G8 and
// G10 at 320 and 1280 px, G20, G21 in light and dark, G26 and G33. The profile's
// record adds G2 and a silent console.
//
// STILE_PICTURES names a folder for pictures of all of them, to look at.
func TestUX_EveryState(t *testing.T) {
	for _, s := range states {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			newSite := s.site
			if newSite == nil {
				newSite = func(t testing.TB) *site { return stage(t) }
			}
			p := newPerson(t, newSite(t), desk)
			s.reach(p)
			for _, l := range []look{{width: 320}, {width: 1280, dark: true}} {
				p.show(l)
				p.sound()
				p.accessible()
			}
			p.pictures(s.name)
			p.keyboard()
		})
	}
}

// accessible runs axe on the page at hand.
func (p *person) accessible() {
	p.t.Helper()
	script, err := axe()
	if err != nil {
		without(p.t, err.Error())
	}
	p.do(chromedp.Evaluate[chromedp.Void](script))
	violations, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](`
		axe.run(document, { resultTypes: ["violations"], iframes: false, preload: false }).then((found) =>
			found.violations.map((v) => v.id + ": " + v.help + "\n  " + v.nodes.map((n) => n.html + " " + n.failureSummary).join("\n  ")))`,
		chromedp.EvalAwaitPromise))
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
			picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
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
