package attacks

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
	"github.com/stile-id/stile/internal/store/sqlite"
	"github.com/stile-id/stile/stiletest"
)

// rows opens the database of an engine that is not running.
func rows(t *testing.T, dir string) store.Store {
	t.Helper()
	var db store.Store
	var err error
	if os.Getenv("STILETEST_DATABASE") == "postgres" {
		db, err = postgres.Open(t.Context(), postgres.Options{URL: pgtest.Of(t, dir)})
	} else {
		db, err = sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(dir, "stile.db"), Logger: slog.New(slog.DiscardHandler)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// lookedAt is how many wrong answers for an account were compared with anything:
// the row of wrong answers since the last right one, in the lane of unknown browsers.
func lookedAt(t *testing.T, dir, address, key string) int {
	t.Helper()
	db := rows(t, dir)
	a, err := db.AccountByAddress(t.Context(), address)
	var c limit.Counter
	if err == nil {
		c, err = db.Counter(t.Context(), limit.GuessKey(a.ID, key, limit.Unknown))
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return limit.DefaultRules().Code.Standing(c, time.Now()).Consecutive
}

// source is the nth address of a botnet.
func source(n int) place { return place{ip: fmt.Sprintf("198.51.%d.%d", n/200, n%200+1)} }

// T-01: any number of flows, from any number of sources, for one account. Of a
// day's guesses no more than 30 are looked at, of a quarter of an hour's 10 (SEC_S05).
func TestSEC_T01_ManyFlowsOneAccount(t *testing.T) {
	doors := map[string]struct {
		org, key string
		guess    func(w *wire, n int)
	}{
		"codes at every door": {unlockable, "okta_email", func(w *wire, n int) {
			switch n % 4 {
			case 0:
				w.identify("victim@example.com")
			case 1:
				w.enrolled("VICTIM@example.com")
			case 2:
				w.recovering("victim@example.com")
			case 3:
				w.answer("unlock-account", nil)
				w.answer("challenge", map[string]any{"identifier": " victim@example.com", "authenticator": map[string]any{"id": emailID}})
			}
			for i := range 5 {
				w.prove(other(5*n+i, w.e.Code(w.t, "victim@example.com")))
			}
		}},
		"passwords": {passwordFirst, "okta_password", func(w *wire, n int) {
			for i := range 3 {
				w.identifyBy("victim@example.com", fmt.Sprint("guess ", n, i))
			}
		}},
	}
	for name, door := range doors {
		t.Run(name, func(t *testing.T) {
			attack := func(dir string, flows int, apart time.Duration) {
				t.Run(fmt.Sprint(flows), func(t *testing.T) {
					e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Dir(dir), stiletest.Org(door.org))
					begin(t, e).withPassword("victim@example.com")
					e.Clock.Advance(time.Hour)
					for n := range flows {
						door.guess(source(n).at(t, e), n)
						e.Clock.Advance(apart)
					}
				})
			}
			burst, day := t.TempDir(), t.TempDir()
			attack(burst, 12, 10*time.Second)
			if n := lookedAt(t, burst, "victim@example.com", door.key); n != 10 {
				t.Errorf("within two minutes %d guesses were looked at, want 10", n)
			}
			attack(day, 40, 33*time.Minute)
			if n := lookedAt(t, day, "victim@example.com", door.key); n != 30 {
				t.Errorf("within a day %d guesses were looked at, want 30", n)
			}
		})
	}
}

// T-02: 200 guesses at one password at once, at one challenge, and over as many
// flows as there are guesses.
func TestSEC_T02_ParallelPasswords(t *testing.T) {
	t.Run("one challenge", func(t *testing.T) {
		e := stiletest.Start(t)
		begin(t, e).withPassword("race@example.com")
		w := begin(t, e)
		w.identify("race@example.com")
		w.choose(passwordID)
		wrong := 0
		count := func(a answer) (dead bool) {
			switch {
			case a.wrongPassword():
				wrong++
			case a.status == 503: // not looked at: the queue of hashes is full
			case a.status == 401 && a.keys()[0] == "authfactor.challenge.suspended_factor":
				return true
			default:
				t.Fatalf("a guess: %d %s", a.status, a.body)
			}
			return false
		}
		for _, a := range parallel(200, func(i int) answer { return w.prove(fmt.Sprint("guess ", i)) }) {
			count(a)
		}
		for i := 0; i < 10 && !count(w.prove(fmt.Sprint("one more guess ", i))); i++ {
		}
		if wrong != 5 {
			t.Errorf("%d guesses were looked at, want 5", wrong)
		}
		if a := w.prove(secret); a.code() != "" || a.status != 401 {
			t.Errorf("the right password after five wrong ones: %d %s", a.status, a.body)
		}
	})
	t.Run("many flows", func(t *testing.T) {
		dir := t.TempDir()
		t.Run("attack", func(t *testing.T) {
			e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Dir(dir), stiletest.Org(passwordFirst))
			begin(t, e).withPassword("race@example.com")
			flows := make([]*wire, 40)
			for i := range flows {
				flows[i] = source(i).at(t, e)
			}
			for range 2 { // those that found the queue full come again
				for i, a := range parallel(200, func(i int) answer {
					return flows[i%len(flows)].identifyBy("race@example.com", fmt.Sprint("guess ", i))
				}) {
					if a.code() != "" || a.status < 400 {
						t.Fatalf("guess %d: %d %s", i, a.status, a.body)
					}
				}
				e.Clock.Advance(6 * time.Second)
			}
			if a := source(50).at(t, e).identifyBy("race@example.com", secret); !a.wrongPassword() {
				t.Errorf("the right password while the lane is full: %d %s", a.status, a.body)
			}
		})
		if n := lookedAt(t, dir, "race@example.com", "okta_password"); n != 10 {
			t.Errorf("%d guesses were looked at, want 10", n)
		}
	})
}

// T-10, S-50: one counter whatever was typed and wherever: what is left of ten
// guesses at one door is all that the next one gives.
func TestSEC_T10_S49_S50_OneCounterForAllDoors(t *testing.T) {
	spellings := []string{"victim@example.com", "VICTIM@EXAMPLE.COM", " victim@example.com\t", "victim@ｅｘａｍｐｌｅ.com", "Victim@example。com"}
	dir := t.TempDir()
	t.Run("on one form", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Dir(dir), stiletest.Org(passwordFirst))
		begin(t, e).withPassword("victim@example.com")
		for i := range 10 {
			if a := source(i).at(t, e).identifyBy(spellings[i%len(spellings)], "stuffed"); !a.wrongPassword() {
				t.Fatalf("guess %d: %d %s", i, a.status, a.body)
			}
		}
		for i, typed := range spellings {
			if a := source(20+i).at(t, e).identifyBy(typed, secret); !a.wrongPassword() {
				t.Errorf("the right password of %q after ten guesses: %d %s", typed, a.status, a.body)
			}
		}
	})
	t.Run("at the challenge, and after a restart", func(t *testing.T) { // S-110
		e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Dir(dir))
		w := source(30).at(t, e)
		w.identify("victim@example.com")
		w.choose(passwordID)
		if a := w.prove(secret); !a.wrongPassword() {
			t.Errorf("the right password at the challenge after ten guesses on the form: %d %s", a.status, a.body)
		}
	})
	t.Run("codes", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Org(unlockable))
		begin(t, e).withPassword("victim@example.com")
		e.Clock.Advance(time.Hour)
		open := map[string]func(w *wire) answer{
			"sign-in":  func(w *wire) answer { return w.identify(spellings[1]) },
			"sign-up":  func(w *wire) answer { return w.enrolled(spellings[2]) },
			"recovery": func(w *wire) answer { return w.recovering(spellings[3]) },
			"unlock": func(w *wire) answer {
				w.answer("unlock-account", nil)
				return w.answer("challenge", map[string]any{"identifier": spellings[4], "authenticator": map[string]any{"id": emailID}})
			},
		}
		var flows []*wire
		codes := map[*wire]string{}
		for name, door := range open {
			w := source(len(flows)).at(t, e)
			if a := door(w); a.status != 200 {
				t.Fatalf("%s: %d %s", name, a.status, a.body)
			}
			codes[w] = e.Code(t, "victim@example.com")
			flows = append(flows, w)
		}
		for n := range 12 {
			if a := flows[n%4].prove(other(n, codes[flows[n%4]])); !a.wrong() {
				t.Fatalf("guess %d: %d %s", n, a.status, a.body)
			}
		}
		for i, w := range flows {
			if a := w.prove(codes[w]); !a.wrong() {
				t.Errorf("flow %d: the right code after twelve wrong ones over all doors: %d %s", i, a.status, a.body)
			}
		}
	})
}

// T-10, SEC_S06: a source that sprays many accounts is stopped, whatever it finds
// next; others go on, and so does a browser there that is known.
func TestSEC_T10_S06_Spray(t *testing.T) {
	e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Org(passwordFirst))
	here := place{ip: "203.0.113.7"}
	neighbour := place{ip: here.ip, device: "a-browser-that-was-here-before"}
	for _, address := range []string{"weak@example.com", "neighbour@example.com"} {
		neighbour.at(t, e).withPassword(address)
	}
	var w *wire
	for i := range 60 {
		if i%9 == 0 {
			e.Clock.Advance(6 * time.Second)
			w = here.at(t, e)
		}
		if a := w.identifyBy(fmt.Sprintf("sprayed%d@example.com", i), "Spring 2026!"); !a.wrongPassword() {
			t.Fatalf("account %d: %d %s", i, a.status, a.body)
		}
	}
	if a := here.at(t, e).identifyBy("weak@example.com", secret); a.status != 429 || a.header.Get("Retry-After") == "" || a.header.Get("X-Rate-Limit-Reset") == "" {
		t.Errorf("SEC_S06, SEC_S112: a right answer after 60 wrong ones of the source: %d %s", a.status, a.body)
	}
	w = here.at(t, e)
	w.recovering("weak@example.com")
	if a := w.prove(e.Code(t, "weak@example.com")); a.status != 429 {
		t.Errorf("SEC_S06: a right code after 60 wrong passwords of the source: %d %s", a.status, a.body)
	}
	if a := w.prove(w.otp(e.Link(t, "weak@example.com"))); a.status != 200 {
		t.Errorf("S-16: the mailed link, which nobody guesses: %d %s", a.status, a.body)
	}
	if a := source(1).at(t, e).identifyBy("weak@example.com", secret); a.code() == "" {
		t.Errorf("the person elsewhere: %d %s", a.status, a.body)
	}
	if a := neighbour.at(t, e).identifyBy("neighbour@example.com", secret); a.code() == "" {
		t.Errorf("a known browser at the same source: %d %s", a.status, a.body)
	}
	e.Clock.Advance(61 * time.Minute)
	if a := here.at(t, e).identifyBy("weak@example.com", secret); a.code() == "" {
		t.Errorf("an hour later: %d %s", a.status, a.body)
	}
}

// SEC_S108: whoever has a /48 is 65,536 sources. Its network has a limit too, and
// for those in it who sign in honestly the mailed link stays open.
func TestSEC_S108_Network(t *testing.T) {
	e := stiletest.Start(t, stiletest.ProductionLimits())
	begin(t, e).withPassword("victim@example.com")
	e.Clock.Advance(time.Hour)
	for n := range 120 {
		w := place{ip: fmt.Sprintf("2001:db8:1:%x::%x", n/10, n+1)}.at(t, e)
		w.identify(fmt.Sprintf("sprayed%d@example.com", n))
		for i := range 5 {
			if a := w.prove(other(5*n + i)); !a.wrong() {
				t.Fatalf("flow %d, guess %d: %d %s", n, i, a.status, a.body)
			}
		}
		e.Clock.Advance(time.Second)
	}
	w := place{ip: "2001:db8:1:ffff::1"}.at(t, e)
	w.identify("victim@example.com")
	if a := w.prove(e.Code(t, "victim@example.com")); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("a right code from one more source of the network: %d %s", a.status, a.body)
	}
	if a := w.prove(w.otp(e.Link(t, "victim@example.com"))); a.code() == "" {
		t.Errorf("S-16: the mailed link, which nobody guesses: %d %s", a.status, a.body)
	}
	w = place{ip: "2001:db8:2::1"}.at(t, e)
	e.Clock.Advance(time.Minute)
	w.identify("victim@example.com")
	if a := w.prove(e.Code(t, "victim@example.com")); a.code() == "" {
		t.Errorf("from another network: %d %s", a.status, a.body)
	}
}
