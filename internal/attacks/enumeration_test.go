package attacks

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/stiletest"
)

// What differs between any two transactions, and what stands for it.
var incidental = []struct{ re, with string }{
	{`02\.id\.t[A-L][0-9A-Za-z]{22}\.[A-Za-z0-9_-]{43}`, "STATE"},
	{`ic\.t[A-L][0-9A-Za-z]{22}\.[A-Za-z0-9_-]{43}`, "CODE"},
	{`00u[0-9A-Za-z]{22}`, "USER"},
	{`(eae|lae|pfd)[0-9A-Za-z]{22}`, "ENROLLMENT"},
	{`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`, "TIME"},
	{`(known|fresh)[0-9]*@example\.com`, "ADDRESS"},
	{`[kf]\*\*\*[0-9a-z]@example\.com`, "MASKED"},
}

// face is all that a client sees of an answer, but for what differs by chance.
func face(a answer) string {
	h := maps.Clone(a.header)
	for _, name := range []string{"Date", "X-Okta-Request-Id", "X-Request-Id", "X-Rate-Limit-Reset"} {
		delete(h, name)
	}
	var b strings.Builder
	fmt.Fprintln(&b, a.status, a.status == http.StatusOK)
	for _, name := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintln(&b, name, h[name])
	}
	text := a.body
	for _, v := range incidental {
		text = regexp.MustCompile(v.re).ReplaceAllString(text, v.with)
	}
	b.WriteString(strings.ReplaceAll(text, ",", ",\n"))
	return b.String()
}

// alike compares two journeys step by step, to the byte. The clock stands still
// between their steps, or the seconds that are to be waited would differ by how busy
// the machine is.
func alike(t *testing.T, names string, one, other map[string]answer) {
	t.Helper()
	for _, step := range slices.Sorted(maps.Keys(one)) {
		if diff := cmp.Diff(face(one[step]), face(other[step])); diff != "" {
			t.Errorf("%s: %s (-, +) differ:\n%s", step, names, diff)
		}
	}
}

// journeys are what somebody does who asks whether an address has an account.
// settle is called where the mail must have gone its way.
var journeys = map[string]func(w *wire, address string, settle func()) map[string]answer{
	"sign-in": func(w *wire, address string, settle func()) map[string]answer {
		out := map[string]answer{}
		out["1 identify"] = w.answer("identify", map[string]any{"identifier": address})
		settle()
		steps(w, out, settle)
		return out
	},
	"sign-up": func(w *wire, address string, settle func()) map[string]answer {
		out := map[string]answer{}
		out["1 enroll/new"] = w.enrolled(address)
		settle()
		steps(w, out, settle)
		return out
	},
}

func steps(w *wire, out map[string]answer, settle func()) {
	out["2 introspect"] = w.introspect()
	out["2 poll"] = w.answer("challenge/poll", nil)
	out["3 wrong code"] = w.answer("challenge/answer", passcode("000000"))
	out["3 no digits"] = w.answer("challenge/answer", passcode("abcdef"))
	out["3 empty code"] = w.answer("challenge/answer", passcode(""))
	w.e.Clock.Advance(31 * time.Second)
	out["4 resend"] = w.answer("challenge/resend", nil)
	out["4 resend again"] = w.answer("challenge/resend", nil)
	settle()
	for i := range 3 {
		out[fmt.Sprintf("5 wrong code %d", i)] = w.answer("challenge/answer", passcode("000000"))
	}
	out["6 dead"] = w.answer("challenge/answer", passcode("000000"))
	w.e.Clock.Advance(61 * time.Second)
	out["7 a new challenge"] = w.answer("challenge/resend", nil)
	settle()
	out["8 skip"] = w.answer("skip", nil)
	out["8 list"] = w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": "aut1password0000000"}})
	out["8 factors"] = w.answer("challenge", map[string]any{"authenticator": map[string]any{"id": "aut1password0000000"}})
	out["8 email"] = w.answer("challenge", map[string]any{"authenticator": map[string]any{"id": "aut1email0000000000"}})
	w.e.Clock.Advance(11 * time.Minute)
	out["9 late"] = w.answer("challenge/answer", passcode("000000"))
	out["9 cancel"] = w.answer("cancel", nil)
}

// T-12: an address with an account and one without look the same at every step.
func TestSEC_T12_KnownAndUnknownLookTheSame(t *testing.T) {
	for name, journey := range journeys {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t, stiletest.ProductionLimits())
			e.Clock.Stop()
			begin(t, e).signedUp("known1@example.com")
			settle := func() { e.MailTried(t) }
			known := journey(begin(t, e), "known1@example.com", settle)
			fresh := journey(begin(t, e), "fresh1@example.com", settle)
			alike(t, "known and unknown", known, fresh)
		})
	}
}

// T-12: nor does asking again, within the day in which one mail says that there is no account.
func TestSEC_T12_AskingAgain(t *testing.T) {
	e := stiletest.Start(t, stiletest.ProductionLimits())
	begin(t, e).signedUp("known1@example.com")
	for round := range 3 {
		known := begin(t, e).answer("identify", map[string]any{"identifier": "known1@example.com"})
		fresh := begin(t, e).answer("identify", map[string]any{"identifier": "fresh1@example.com"})
		if diff := cmp.Diff(face(known), face(fresh)); diff != "" {
			t.Errorf("time %d: known (-) and unknown (+) differ:\n%s", round+1, diff)
		}
		e.MailTried(t)
		e.Clock.Advance(time.Minute)
	}
}

// T-12: a mail server that is down tells nothing either, when the mail to an
// address without an account would have been the second of the day.
func TestSEC_T12_MailServerDown(t *testing.T) {
	dir := t.TempDir()
	t.Run("before", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Dir(dir))
		begin(t, e).signedUp("known1@example.com")
		for _, address := range []string{"known1@example.com", "fresh1@example.com"} {
			begin(t, e).answer("identify", map[string]any{"identifier": address})
		}
		e.MailTried(t)
	})
	e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Dir(dir), stiletest.SMTP("smtp://127.0.0.1:1"), stiletest.Logger(slog.New(slog.DiscardHandler)))
	known, fresh := begin(t, e), begin(t, e)
	known.answer("identify", map[string]any{"identifier": "known1@example.com"})
	fresh.answer("identify", map[string]any{"identifier": "fresh1@example.com"})
	e.MailTried(t)
	if diff := cmp.Diff(face(known.introspect()), face(fresh.introspect())); diff != "" {
		t.Errorf("known (-) and unknown (+) differ:\n%s", diff)
	}
}

// T-12, S-41: a suspended account looks like any other address, and cannot be proven.
func TestSEC_T12_SuspendedLooksTheSame(t *testing.T) {
	dir := t.TempDir()
	t.Run("before", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.Dir(dir))
		begin(t, e).signedUp("known1@example.com")
		begin(t, e).signedUp("known2@example.com")
		e.Suspend(t, "known2@example.com")
	})
	for name, journey := range journeys {
		t.Run(name, func(t *testing.T) {
			e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Dir(dir))
			e.Clock.Stop()
			settle := func() { e.MailTried(t) }
			active := journey(begin(t, e), "known1@example.com", settle)
			suspended := journey(begin(t, e), "known2@example.com", settle)
			alike(t, "active and suspended", active, suspended)
			for _, m := range e.Mails(t, "known2@example.com") {
				if m.Code != "" || m.Link != "" && strings.Contains(m.Link, "/email/verify/") {
					t.Errorf("a suspended account was sent a code: %q", m.Subject)
				}
			}
		})
	}
}
