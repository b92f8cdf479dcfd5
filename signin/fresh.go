package signin

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/stile-id/stile/idx"
)

// An Ask is what a part of an app asks of a sign-in beyond that there was one.
type Ask func(*asks)

// MaxAge asks for a proof that is no older than d, for what must not be done by
// whoever finds a browser open: deleting the account, paying.
func MaxAge(d time.Duration) Ask {
	return func(a *asks) { a.MaxAge = max(1, int64(d/time.Second)) }
}

// ACR asks for an assurance of the engine's, for example urn:okta:loa:2fa:any for
// two factors. A sign-in that did not ask for it does not count as one that has it.
func ACR(value string) Ask {
	return func(a *asks) { a.ACR = value }
}

// asks are what a sign-in must bring. They travel in addresses, where people can
// change them: what counts is what Require finds when they come back.
type asks struct {
	MaxAge int64  `json:"m,omitempty"` // seconds; 0: any age
	ACR    string `json:"a,omitempty"`

	// Newer is the time of a proof that was not enough, in Unix seconds: the engine
	// knows better than the two above what is. 0: there was none.
	Newer int64 `json:"n,omitempty"`

	Enroll string `json:"e,omitempty"` // key of an authenticator to add
}

func newAsks(all []Ask) asks {
	var a asks
	for _, set := range all {
		set(&a)
	}
	return a
}

// maxACR bounds what an address may ask for.
const maxACR = 100

func asksOf(q url.Values) asks {
	var a asks
	if n, err := strconv.ParseInt(q.Get("max_age"), 10, 64); err == nil && n > 0 && n < 1<<31 {
		a.MaxAge = n
	}
	if n, err := strconv.ParseInt(q.Get("newer_than"), 10, 64); err == nil && n > 0 {
		a.Newer = n
	}
	if s := q.Get("acr_values"); len(s) <= maxACR && headerLike(s) {
		a.ACR = s
	}
	if s := q.Get("enroll"); authenticatorKey.MatchString(s) {
		a.Enroll = s
	}
	return a
}

// authenticatorKey is what an authenticator's key looks like.
var authenticatorKey = regexp.MustCompile(`^[a-z][a-z0-9_]{1,39}$`)

// headerLike holds for one word of printable ASCII.
func headerLike(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(c byte) bool { return c <= ' ' || c > '~' })
}

// query gives a as pairs for Pages.to.
func (a asks) query() []string {
	some := func(n int64) string {
		if n <= 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	return []string{"max_age", some(a.MaxAge), "acr_values", a.ACR, "newer_than", some(a.Newer), "enroll", a.Enroll}
}

// metBy reports whether the session's sign-in brings what is asked.
func (a asks) metBy(s *session, now time.Time) bool {
	if a.MaxAge > 0 && now.Sub(time.Unix(s.Proven, 0)) >= time.Duration(a.MaxAge)*time.Second {
		return false
	}
	return a.Enroll == "" && (a.Newer == 0 || s.Proven > a.Newer) && (a.ACR == "" || s.ACR == a.ACR)
}

// startOptions begin a transaction that brings what f's app asks. The engine may
// know the browser by a session of its own; the proof must be new even then.
func (p *Pages) startOptions(f *flow) idx.StartOptions {
	var o idx.StartOptions
	if f.Asks.MaxAge > 0 {
		age := time.Duration(f.Asks.MaxAge) * time.Second
		o.MaxAge = &age
	}
	if f.Asks.ACR != "" {
		o.ACRValues = []string{f.Asks.ACR}
	}
	o.Enroll = f.Asks.Enroll
	return o
}

// askAgain sends someone who is signed in through sign-in once more, with the
// address filled in, and back to what they asked for.
func (p *Pages) askAgain(v *visit, s *session, need asks, back string) *answer {
	if v.r.Method != http.MethodGet && v.r.Method != http.MethodHead {
		a := v.answer(http.StatusForbidden)
		a.header.Set("Content-Type", "text/plain; charset=utf-8")
		a.body = []byte(v.words.T("error.not_fresh") + "\n")
		return a
	}
	return p.signInAgain(v, s, need, back)
}

func (p *Pages) signInAgain(v *visit, s *session, need asks, back string) *answer {
	return v.redirect(p.to("", append(need.query(), "return_to", back, "login_hint", s.claims().Email)...))
}
