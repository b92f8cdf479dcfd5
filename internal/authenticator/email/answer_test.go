package email_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"pgregory.net/rapid"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/email"
	"github.com/stile-id/stile/internal/policy"
)

func isLinkAnswer(a *email.Authenticator, s authenticator.Subject, p authenticator.Prompt, in string) bool {
	return a.IsLinkAnswer(s, p, authenticator.Input{"passcode": in})
}

func TestSEC_S57_MailboxIsPossession(t *testing.T) {
	a, _ := start(t)
	if i := a.Info(); i.Class != policy.Possession || i.PhishingResistant {
		t.Errorf("class %q, resists phishing: %t", i.Class, i.PhishingResistant)
	}
}

// The answer of a link does what its code does, and is told from it.
func TestSEC_S16_LinkAnswer(t *testing.T) {
	a, _ := start(t)
	s := ada(authenticator.SignIn)
	p := begin(t, a, s)
	m := mailOf(t, p)
	opened := a.LinkAnswer(s, p, tokenOf(m))
	if !regexp.MustCompile(`^[0-9A-Za-z-]{22,64}$`).MatchString(opened) {
		t.Errorf("answer %q is not of 128 bits in letters, digits and dashes", opened)
	}
	if again := a.LinkAnswer(s, p, tokenOf(m)); again != opened {
		t.Errorf("the same link, opened again: %q, not %q", again, opened)
	}
	for _, in := range []string{opened, " " + opened + "\r\n"} {
		if err := answer(t, a, s, p, in); err != nil || !isLinkAnswer(a, s, p, in) {
			t.Errorf("%q: %v, told from a code: %t", in, err, isLinkAnswer(a, s, p, in))
		}
	}
	for _, in := range []string{"", m.Code, other(m.Code), tokenOf(m), m.Link} {
		if isLinkAnswer(a, s, p, in) {
			t.Errorf("%q counts as the answer of a link", in)
		}
	}
	for _, token := range []string{"", opened, m.Code, tokenOf(m) + "A"} {
		if got := a.LinkAnswer(s, p, token); got != "" {
			t.Errorf("LinkAnswer(%q) = %q", token, got)
		}
	}
	signUp := ada(authenticator.SignUp)
	enrolling := begin(t, a, signUp)
	if _, err := a.FinishEnroll(t.Context(), signUp, enrolling, authenticator.Input{"passcode": a.LinkAnswer(signUp, enrolling, tokenOf(mailOf(t, enrolling)))}); err != nil {
		t.Errorf("enroll: %v", err)
	}
}

// Each link's answer is good until that link's own end (decision D5), and still
// told from a guess after it.
func TestSEC_S02_LinkAnswerLifetime(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1) // no two codes alike
	a, c := start(t)
	s := ada(authenticator.Recovery)
	p := begin(t, a, s)
	first := tokenOf(mailOf(t, p))
	early := a.LinkAnswer(s, p, first)
	c.advance(3 * time.Minute)
	p = resend(t, a, s, p)
	second := a.LinkAnswer(s, p, tokenOf(mailOf(t, p)))
	if early == second || a.LinkAnswer(s, p, first) != early {
		t.Fatal("a resend changes the answer of the first link, or shares it")
	}
	for _, step := range []struct {
		after         time.Duration
		first, second bool
	}{
		{6*time.Minute + 59*time.Second, true, true}, // 9:59 after the first
		{2 * time.Second, false, true},
		{2*time.Minute + 57*time.Second, false, true},
		{2 * time.Second, false, false},
	} {
		c.advance(step.after)
		for i, in := range []string{early, second} {
			err := answer(t, a, s, p, in)
			if want := []bool{step.first, step.second}[i]; want != (err == nil) || !want && !errors.Is(err, authenticator.ErrWrong) {
				t.Errorf("at %v, link %d: %v", c.at, i+1, err)
			}
			if !isLinkAnswer(a, s, p, in) {
				t.Errorf("at %v, link %d: its answer counts as a guess", c.at, i+1)
			}
		}
	}
}

func TestLinkAnswerLeavesWithItsLink(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1) // no two codes alike
	a, _ := start(t)
	s := ada(authenticator.SignIn)
	p := begin(t, a, s)
	opened := a.LinkAnswer(s, p, tokenOf(mailOf(t, p)))
	for range 6 {
		p = resend(t, a, s, p)
	}
	if err := answer(t, a, s, p, opened); !errors.Is(err, authenticator.ErrWrong) || isLinkAnswer(a, s, p, opened) {
		t.Errorf("after six more mails: %v, told from a code: %t", err, isLinkAnswer(a, s, p, opened))
	}
}

// Nothing that is opened answers for an address without an account.
func TestNoLinkAnswerForSignInUnknown(t *testing.T) {
	a, _ := start(t)
	known := ada(authenticator.SignIn)
	p := begin(t, a, known)
	token := tokenOf(mailOf(t, p))
	opened := a.LinkAnswer(known, p, token)
	s := ada(authenticator.SignInUnknown)
	for _, p := range []authenticator.Prompt{p, begin(t, a, s)} {
		if got := a.LinkAnswer(s, p, token); got != "" {
			t.Errorf("LinkAnswer = %q", got)
		}
		if err := answer(t, a, s, p, opened); !errors.Is(err, authenticator.ErrWrong) || isLinkAnswer(a, s, p, opened) {
			t.Errorf("answer: %v, told from a code: %t", err, isLinkAnswer(a, s, p, opened))
		}
	}
}

// What is not the whole answer is a guess, and the answers of two challenges are two.
func TestSEC_S07_LinkAnswerExact(t *testing.T) {
	a, _ := start(t)
	s := ada(authenticator.SignIn)
	p := begin(t, a, s)
	opened := a.LinkAnswer(s, p, tokenOf(mailOf(t, p)))
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(opened)-1).Draw(t, "at")
		with := rapid.StringMatching(`[A-Za-z0-9-]{0,2}`).Draw(t, "with")
		in := opened[:i] + with + opened[min(len(opened), i+rapid.IntRange(0, 3).Draw(t, "without")):]
		_, err := a.FinishVerify(t.Context(), s, p, authenticator.Input{"passcode": in})
		if right := in == opened; right != (err == nil) || right != isLinkAnswer(a, s, p, in) {
			t.Fatalf("%q: %v, told from a code: %t", in, err, isLinkAnswer(a, s, p, in))
		}
	})
	later := s
	later.Challenge = "chzzzzzzzzzzzzzzzzzzzzzz"
	next := begin(t, a, later)
	if a.LinkAnswer(later, next, tokenOf(mailOf(t, next))) == opened {
		t.Error("two challenges share an answer")
	}
	if strings.Contains(string(p.Sealed), opened) {
		t.Error("the answer is kept, where it should be made again")
	}
}

// A code, a link and the link's answer given for one transaction, challenge, purpose or address are
// wrong for any other.
func TestSEC_S07_CrossUse(t *testing.T) {
	a, _ := start(t)
	changes := map[string]func(*authenticator.Subject){
		"same":        func(*authenticator.Subject) {},
		"transaction": func(s *authenticator.Subject) { s.Transaction = "txzzzzzzzzzzzzzzzzzzzzzz" },
		"challenge":   func(s *authenticator.Subject) { s.Challenge = "chzzzzzzzzzzzzzzzzzzzzzz" },
		"address":     func(s *authenticator.Subject) { s.Address = "eve@example.org" },
		"spelling":    func(s *authenticator.Subject) { s.Address = "ada@XN--BCHER-KVA.example" },
	}
	purposes := []authenticator.Purpose{
		authenticator.SignUp, authenticator.SignIn, authenticator.SignUpKnown, authenticator.SignInUnknown,
		authenticator.Recovery, authenticator.Unlock, authenticator.EmailChange,
	}
	for _, given := range purposes {
		issued := ada(given)
		p := begin(t, a, issued)
		m := mailOf(t, p)
		if m.Code == "" {
			continue
		}
		opened := a.LinkAnswer(issued, p, tokenOf(m))
		for _, used := range purposes {
			for name, change := range changes {
				s := ada(used)
				change(&s)
				right := given == used && (name == "same" || name == "spelling")
				for _, in := range []string{m.Code, opened} {
					_, verify := a.FinishVerify(t.Context(), s, p, authenticator.Input{"passcode": in})
					_, enroll := a.FinishEnroll(t.Context(), s, p, authenticator.Input{"passcode": in})
					for _, err := range []error{verify, enroll} {
						if right != (err == nil) || !right && !errors.Is(err, authenticator.ErrWrong) {
							t.Errorf("%s given for %s, used for %s, %s: %v", in, given, used, name, err)
						}
					}
				}
				if got := a.IsLinkAnswer(s, p, authenticator.Input{"passcode": opened}); got != right {
					t.Errorf("answer given for %s, used for %s, %s: IsLinkAnswer = %t", given, used, name, got)
				}
				if got := a.LinkAnswer(s, p, tokenOf(m)); (got != "") != right {
					t.Errorf("link given for %s, used for %s, %s: LinkAnswer = %q", given, used, name, got)
				}
				if _, _, ok := a.Link(s, p, tokenOf(m)); ok != right {
					t.Errorf("link given for %s, used for %s, %s: %t", given, used, name, ok)
				}
			}
		}
	}
}
