package attacks

import (
	"testing"

	"github.com/stile-id/stile/stiletest"
)

const tacID = "aut1tac0000000000000"

// Strangers who know the address answer wrongly from everywhere: the code of who needs
// it is taken all the same. Of one source that is not heard any more it is not.
func TestSEC_T11_AnAccessCodeCannotBeSwitchedOff(t *testing.T) {
	const address, wrong = "victim@example.com", "0000-0000-0000-0000"
	e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Require("okta_password"), stiletest.Offer("tac")) // no mail is sent unasked
	source(1).at(t, e).withPassword(address)
	code := e.AccessCode(t, address)
	asked := func(p place) *wire {
		w := p.at(t, e)
		w.identify(address)
		w.choose(tacID)
		return w
	}
	for n := range 12 {
		w := asked(source(10 + n))
		for range 3 {
			if a := w.prove(wrong); !a.wrong() {
				t.Fatalf("a wrong code: %d %s", a.status, a.body)
			}
		}
	}
	limited := false
	for range 60 {
		if a := asked(source(300)).prove(wrong); a.status == 429 {
			limited = true
			break
		}
	}
	if !limited {
		t.Error("one source guesses for ever")
	}
	if a := asked(source(2)).prove(code); a.code() == "" {
		t.Errorf("the code after many wrong ones of others: %d %s", a.status, a.body)
	}
}
