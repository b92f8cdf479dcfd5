package attacks

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stile-id/stile/stiletest"
)

// parallel runs n calls at once and returns their answers in order.
func parallel(n int, call func(i int) answer) []answer {
	out := make([]answer, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			out[i] = call(i)
		})
	}
	close(start)
	all.Wait()
	return out
}

// challenges opens a challenge in the ways that a person can come to one.
var challenges = map[string]func(t *testing.T, e *stiletest.Engine) (*wire, string){
	"sign-up": func(t *testing.T, e *stiletest.Engine) (*wire, string) {
		w := begin(t, e)
		w.enrolled("new@example.com")
		return w, "new@example.com"
	},
	"sign-up with a known address": func(t *testing.T, e *stiletest.Engine) (*wire, string) {
		begin(t, e).signedUp("known@example.com")
		w := begin(t, e)
		w.enrolled("known@example.com")
		return w, "known@example.com"
	},
	"sign-in": func(t *testing.T, e *stiletest.Engine) (*wire, string) {
		begin(t, e).signedUp("back@example.com")
		w := begin(t, e)
		w.answer("identify", map[string]any{"identifier": "back@example.com"})
		return w, "back@example.com"
	},
}

func TestSEC_T02_ParallelGuesses(t *testing.T) {
	for name, open := range challenges {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t)
			w, address := open(t, e)
			right := e.Code(t, address)
			answers := parallel(200, func(i int) answer {
				return w.answer("challenge/answer", passcode(other(i+1, right)))
			})
			// Each answer shows the count as its own commit left it, so every count is seen once.
			left := map[int]int{}
			for _, a := range answers {
				if !a.wrong() {
					t.Fatalf("a wrong guess: %d %s", a.status, a.body)
				}
				left[a.triesLeft()]++
			}
			for n := 1; n <= 4; n++ {
				if left[n] != 1 {
					t.Errorf("%d answers left %d tries, want 1: %v", left[n], n, left)
				}
			}
			if left[0] != 196 {
				t.Errorf("%d answers found the challenge used up or used it up, want 196: %v", left[0], left)
			}
			if a := w.answer("challenge/answer", passcode(right)); !a.wrong() {
				t.Errorf("the right code after five wrong ones: %d %s", a.status, a.body)
			}
		})
	}
}

func TestSEC_T02_RightCodeAmongParallelGuesses(t *testing.T) {
	e := stiletest.Start(t)
	for range 10 {
		w := begin(t, e)
		w.enrolled("race@example.com")
		right := e.Code(t, "race@example.com")
		at := rand.IntN(40)
		answers := parallel(40, func(i int) answer {
			if i == at {
				return w.answer("challenge/answer", passcode(right))
			}
			return w.answer("challenge/answer", passcode(other(i+1, right)))
		})
		wrong, passed := 0, 0
		for i, a := range answers {
			switch {
			case a.status >= 500:
				t.Fatalf("a fault: %d %s", a.status, a.body)
			case i == at && a.status == 200:
				passed++
			case a.wrong() && a.triesLeft() > 0:
				wrong++
			}
		}
		if done := w.introspect(); (passed == 1) != (!done.has("enroll-authenticator")) {
			t.Errorf("passed %d times, and then: %s", passed, done.body)
		}
		if wrong > 4 {
			t.Errorf("%d guesses left tries over", wrong)
		}
	}
}

func TestSEC_S27_ParallelRedeem(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	code := w.signedUp("codes@example.com").code()
	answers := parallel(50, func(int) answer { return w.redeem(code, nil) })
	var won []answer
	for _, a := range answers {
		switch {
		case a.status == 200:
			won = append(won, a)
		case a.status != 400 || a.str("error") != "invalid_grant":
			t.Errorf("a loser: %d %s", a.status, a.body)
		}
	}
	if len(won) != 1 {
		t.Fatalf("%d of 50 redeemed the code, want 1", len(won))
	}
	if a := w.userinfo(won[0].str("access_token")); a.status != 401 {
		t.Errorf("the tokens of a code that came again still work: %d %s", a.status, a.body)
	}
	if a := w.form(e.Issuer+"/v1/token", map[string][]string{
		"grant_type": {"refresh_token"}, "refresh_token": {won[0].str("refresh_token")}, "client_id": {e.PublicClientID},
	}); a.status != 400 {
		t.Errorf("the refresh token of a code that came again still works: %d %s", a.status, a.body)
	}
}

func TestSEC_S08_ParallelRightCode(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	w.enrolled("once@example.com")
	right := e.Code(t, "once@example.com")
	for _, a := range parallel(100, func(int) answer { return w.answer("challenge/answer", passcode(right)) }) {
		if a.status != 200 || !slices.Equal(a.forms(), []string{"select-authenticator-enroll", "skip"}) {
			t.Fatalf("an answer to the right code: %d %s", a.status, a.body)
		}
	}
	if n := len(e.Mails(t, "once@example.com")); n != 1 {
		t.Errorf("%d mails, want 1", n)
	}
}

// Decision D5: what is counted is the challenge, not the code.
func TestSEC_S03_TriesAreCountedOverAllCodes(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	w.enrolled("d5@example.com")
	codes := []string{e.Code(t, "d5@example.com")}
	guess := func(n int) {
		t.Helper()
		for i := range n {
			if a := w.answer("challenge/answer", passcode(other(100*len(codes)+i, append(codes, "")...))); !a.wrong() {
				t.Fatalf("a guess: %d %s", a.status, a.body)
			}
		}
	}
	guess(2)
	w.answer("challenge/resend", nil)
	codes = append(codes, e.Code(t, "d5@example.com"))
	guess(2)
	w.answer("challenge/resend", nil)
	codes = append(codes, e.Code(t, "d5@example.com"))
	guess(1)
	for i, c := range codes {
		if a := w.answer("challenge/answer", passcode(c)); !a.wrong() || a.triesLeft() != 0 {
			t.Errorf("code %d after five wrong answers over all: %d %s", i+1, a.status, a.body)
		}
	}
}

// SEC_S04: three dead challenges end the transaction, whatever lies between them.
func TestSEC_S04_CancelKeepsDeadChallengesCounted(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	for round := range 3 {
		w.answer("cancel", nil)
		w.enrolled("dead@example.com")
		right := e.Code(t, "dead@example.com")
		for i := range 5 {
			a := w.answer("challenge/answer", passcode(other(i, right)))
			if last := round == 2 && i == 4; last == a.wrong() {
				t.Fatalf("round %d, guess %d: %d %s", round+1, i+1, a.status, a.body)
			}
		}
	}
	assertTerminal(t, w)
}

// SEC_S04: fifteen guesses a transaction, whether or not each challenge died.
func TestSEC_S04_CancelDoesNotRefillGuesses(t *testing.T) {
	for name, open := range map[string]func(*wire) answer{
		"sign-up": func(w *wire) answer { return w.enrolled("refill@example.com") },
		"sign-in": func(w *wire) answer {
			return w.answer("identify", map[string]any{"identifier": "refill@example.com"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t)
			begin(t, e).signedUp("refill@example.com")
			w := begin(t, e)
			evaluated := 0
			for range 10 {
				w.answer("cancel", nil)
				left := open(w).triesLeft()
				for i := range 4 {
					a := w.answer("challenge/answer", passcode(other(i, e.Code(t, "refill@example.com"))))
					if n := a.triesLeft(); a.wrong() && n < left { // it was counted, so it was evaluated
						evaluated, left = evaluated+1, n
					}
				}
			}
			if evaluated > 15 {
				t.Errorf("%d guesses were evaluated in one transaction, want at most 15", evaluated)
			}
		})
	}
}

// SEC_S10, S11: giving up and beginning anew is no way around the wait and the number of mails.
func TestSEC_S11_CancelDoesNotRefillMails(t *testing.T) {
	e := stiletest.Start(t, stiletest.ProductionLimits())
	w := begin(t, e)
	for range 20 {
		w.answer("cancel", nil)
		w.enrolled("bombed@example.com")
	}
	if n := len(e.Mails(t, "bombed@example.com")); n > 6 {
		t.Errorf("%d mails to one address out of one transaction within a second, want at most 6", n)
	}
}

// SEC_S04, T27: an end is an end.
func assertTerminal(t *testing.T, w *wire) {
	t.Helper()
	for _, action := range []string{
		"cancel", "identify", "identify/select", "enroll", "enroll/new", "credential/enroll", "challenge",
		"challenge/answer", "challenge/resend", "challenge/poll", "skip",
	} {
		a := w.answer(action, map[string]any{
			"identifier": "dead@example.com", "userProfile": profile("dead@example.com")["userProfile"],
			"credentials": map[string]any{"passcode": "123456"},
		})
		if a.status >= 500 || len(a.forms()) > 0 || a.at("cancel") != nil || a.code() != "" {
			t.Errorf("%s on an ended transaction: %d %s", action, a.status, a.body)
		}
	}
	if a := w.introspect(); len(a.forms()) > 0 || a.code() != "" {
		t.Errorf("introspect on an ended transaction: %d %s", a.status, a.body)
	}
}

// A redeemed transaction is no way back in.
func TestSEC_T27_RedeemedCannotBeRevived(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	w.tokens("spent@example.com")
	assertTerminal(t, w)
}

// Cancel and redeem at once: either the code is gone or the transaction is over, never both alive.
func TestSEC_T27_CancelAgainstRedeem(t *testing.T) {
	e := stiletest.Start(t)
	for range 10 {
		w := begin(t, e)
		w.enrolled("either@example.com")
		a := w.answer("challenge/answer", passcode(e.Code(t, "either@example.com")))
		if a.code() == "" {
			a = w.answer("skip", nil)
		}
		code := a.code()
		both := parallel(2, func(i int) answer {
			if i == 0 {
				return w.redeem(code, nil)
			}
			return w.answer("cancel", nil)
		})
		if both[0].status == 200 {
			assertTerminal(t, w)
		} else if again := w.introspect(); !again.has("identify") {
			t.Errorf("redeem failed with %d %s, and then: %s", both[0].status, both[0].body, again.body)
		}
	}
}
