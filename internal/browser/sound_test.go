package browser_test

// sound checks what holds for every page, whatever it shows.
func (p *person) sound() {
	p.t.Helper()
	for _, fault := range eval[[]string](p, soundness) {
		p.t.Errorf("%s, %s: %s", p.address(), p.look, fault)
	}
}

// soundness lists what is wrong with the page at hand.
const soundness = `(() => {
  const faults = [];
  const check = (ok, text) => { if (!ok) faults.push(text); };
  const html = document.documentElement;
  check(html.lang && html.dir, "UX G20: no language or direction");
  check(document.querySelectorAll("h1").length === 1, "UX G20: not one h1");
  check(document.querySelector("main") && document.querySelector("footer"), "UX G20: no main or no footer");
  check(/^\S.* · \S/.test(document.title), "UX G20: title " + document.title);
  const wrong = document.querySelector('[aria-invalid="true"], [role="alert"]');
  check(!wrong || html.lang !== "en" || document.title.startsWith("Error: "), "UX G20: a mistake that the title does not tell: " + document.title);

  const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + (e.className ? "." + e.className : "") + (e.value ? " " + e.value : "");
  const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getBoundingClientRect().width > 0;
  const wide = html.scrollWidth - html.clientWidth;
  if (wide > 0) {
    const out = [...document.querySelectorAll("body *")].filter((e) => seen(e) && e.getBoundingClientRect().right > html.clientWidth + 0.5);
    faults.push("UX G8: " + wide + " px too wide: " + out.map(name).slice(-3).join(", "));
  }
  for (const e of document.querySelectorAll("input:not([type=hidden], [type=radio], [type=checkbox]), select, textarea")) {
    if (!seen(e)) continue;
    const size = parseFloat(getComputedStyle(e).fontSize);
    check(size >= 16, "UX G10: " + name(e) + " is written in " + size + " px");
  }
  // A link inside a sentence is as high as its line; everything else is a target of its own.
  for (const e of document.querySelectorAll("button, input:not([type=hidden]), select, summary, label.choice, a[href]")) {
    if (!seen(e) || e.closest(".unseen, pre, iframe")) continue;
    if (e.closest("label") && e.tagName === "INPUT") continue;
    const box = e.getBoundingClientRect();
    const inline = getComputedStyle(e).display === "inline";
    const quiet = inline || e.matches(".link, .under a, footer a, footer summary, nav a") || e.tagName === "A" && !/button|open/.test(e.className);
    const need = quiet ? 24 : 44;
    const sentence = inline && e.parentElement.textContent.trim() !== e.textContent.trim();
    if (sentence) continue;
    check(Math.round(box.height) >= need && Math.round(box.width) >= Math.min(need, 24),
      "UX G10: " + name(e) + " is " + Math.round(box.width) + " by " + Math.round(box.height) + " px");
  }
  // The tests' browsers ask for reduced motion.
  const moving = ` + motion + `;
  check(!moving.length, "UX G12: " + moving.slice(0, 3).join(", "));
  return faults;
})()`

// motion lists what moves or may come to move on the page at hand. What takes no
// longer than a picture on the screen does not move.
const motion = `[...document.querySelectorAll("*")].flatMap((e) => [null, "::before", "::after"].flatMap((part) => {
  const s = getComputedStyle(e, part), name = e.tagName.toLowerCase() + (e.className ? "." + e.className : "") + (part || "");
  const long = (times) => times.split(",").some((time) => parseFloat(time) > 0.016);
  const found = [];
  if (long(s.transitionDuration)) found.push(name + " changes by steps");
  if (s.animationName !== "none" && (long(s.animationDuration) || s.animationIterationCount !== "1")) found.push(name + " is animated");
  if (s.scrollBehavior === "smooth") found.push(name + " scrolls by steps");
  return found;
}))`
