package attacks

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

// otp opens a mailed link as the person does, and returns what it hands to the app.
func (w *wire) otp(link string) string {
	w.t.Helper()
	a := w.do("GET", link, "", "")
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || u.Query().Get("otp") == "" {
		w.t.Fatalf("the link leads to %q: %d %s", a.header.Get("Location"), a.status, a.body)
	}
	return u.Query().Get("otp")
}

var home = place{ip: "203.0.113.9", device: "the-browser-of-the-victim"}

// lockOut does what somebody can do to keep the victim out: it fails for them.
func lockOut(t *testing.T, e *stiletest.Engine, address string) {
	t.Helper()
	for n := range 2 {
		w := source(n).at(t, e)
		w.identify(address)
		for i := range 5 {
			w.prove(other(5*n+i, e.Code(t, address)))
		}
		e.Clock.Advance(6 * time.Second)
		w.choose(passwordID)
		for i := range 5 {
			w.prove(fmt.Sprint("a guess ", n, i))
		}
	}
}

// T-11: whoever fails for the victim pauses what can be guessed, for browsers
// that nobody knows. The victim's own, the mailed link and recovery stay open.
func TestSEC_T11_VictimStillGetsIn(t *testing.T) {
	locked := func(t *testing.T, options ...stiletest.Option) *stiletest.Engine {
		t.Helper()
		e := stiletest.Start(t, append(options, stiletest.ProductionLimits())...)
		home.at(t, e).withPassword("victim@example.com")
		e.Clock.Advance(time.Hour)
		lockOut(t, e, "victim@example.com")
		// It is a lock: elsewhere the right answers are of no use.
		w := source(40).at(t, e)
		w.identify("victim@example.com")
		if a := w.prove(e.Code(t, "victim@example.com")); !a.wrong() {
			t.Fatalf("nothing is paused: the code, %d %s", a.status, a.body)
		}
		w.choose(passwordID)
		if a := w.prove(secret); !a.wrongPassword() {
			t.Fatalf("nothing is paused: the password, %d %s", a.status, a.body)
		}
		return e
	}
	t.Run("known browser, password", func(t *testing.T) {
		e := locked(t)
		w := home.at(t, e)
		w.identify("victim@example.com")
		w.choose(passwordID)
		if a := w.prove(secret); a.code() == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("known browser, code", func(t *testing.T) {
		e := locked(t)
		w := home.at(t, e)
		w.identify("victim@example.com")
		if a := w.prove(e.Code(t, "victim@example.com")); a.code() == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("new browser, link", func(t *testing.T) {
		e := locked(t)
		w := source(41).at(t, e)
		w.identify("victim@example.com")
		if a := w.prove(w.otp(e.Link(t, "victim@example.com"))); a.code() == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	for name, org := range map[string]string{
		"new browser, recovery": "password:\n- {name: default, complexity: {minLength: 8}}\n",
		// Without an end of its own a pause lasts until the password is another one (S-49).
		"new browser, recovery, a pause without end": "password:\n- {name: default, complexity: {minLength: 8}, maxAttempts: 3}\n",
	} {
		t.Run(name, func(t *testing.T) {
			e := locked(t, stiletest.Org(org))
			w := source(42).at(t, e)
			w.recovering("victim@example.com")
			w.prove(w.otp(e.Link(t, "victim@example.com")))
			if a := w.prove(otherSecret); a.code() == "" {
				t.Fatalf("a new password: %d %s", a.status, a.body)
			}
			w = source(43).at(t, e)
			w.identify("victim@example.com")
			w.choose(passwordID)
			if a := w.prove(otherSecret); a.code() == "" {
				t.Errorf("the new password at another new browser: %d %s", a.status, a.body)
			}
		})
	}
}

// T-11: nor does whoever floods the engine with requests about the victim.
func TestSEC_T11_S29_FloodAboutTheVictim(t *testing.T) {
	e := stiletest.Start(t, stiletest.ProductionLimits())
	home.at(t, e).withPassword("victim@example.com")
	e.Clock.Advance(time.Hour)
	var flows []*wire
	for n := range 4 {
		flows = append(flows, source(n).at(t, e))
	}
	victim := home.at(t, e)
	throttled := 0
	for n := range 48 {
		w := flows[n%4]
		if n < 4 {
			w.identify("victim@example.com")
		}
		if a := w.introspect(); a.status == 429 {
			throttled++
		}
	}
	if throttled == 0 {
		t.Fatal("it is no flood")
	}
	if a := victim.identify("victim@example.com"); a.status != 200 {
		t.Fatalf("the victim: %d %s", a.status, a.body)
	}
	if a := victim.prove(e.Code(t, "victim@example.com")); a.code() == "" {
		t.Errorf("the victim's code: %d %s", a.status, a.body)
	}
}
