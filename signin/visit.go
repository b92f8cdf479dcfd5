package signin

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/idx"
)

// A visit is one request, with what its pages need.
type visit struct {
	r       *http.Request
	ctx     context.Context // for calls to the engine
	from    idx.Device      // what ctx tells of the browser
	now     time.Time
	words   *words
	cookies *cookies
	setting []*http.Cookie // to be set by the answer
}

func (p *Pages) visit(r *http.Request) *visit {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = r.RemoteAddr
	}
	v := &visit{r: r, now: p.opt.Now(), cookies: p.cookies}
	q := r.URL.Query()
	chosen := q.Get("lang")
	if c, ok := v.sent("lang"); ok && chosen == "" {
		chosen = c
	}
	var own string
	if f, ok := v.flow(q.Get("flow")); ok {
		own = f.Lang
	}
	if own == "" {
		own = p.profileLanguage(v)
	}
	v.words = p.chooseWords(chosen, q.Get("ui_locales"), own, r.Header.Get("Accept-Language"))
	if q.Get("lang") != "" {
		v.set(p.cookies.cookie("lang", v.words.Lang, 365*24*time.Hour))
	}
	// A second press makes the browser give up the first request. Its work must go
	// on, for the second waits for the result.
	v.from = idx.Device{
		IP:             ip,
		UserAgent:      clip(r.UserAgent(), 512),
		AcceptLanguage: v.acceptLanguage(),
		DeviceToken:    v.device(),
	}
	v.ctx = idx.WithDevice(context.WithoutCancel(r.Context()), v.from)
	return v
}

// acceptLanguage puts the language of the pages before the browser's, so that the
// mail of a flow speaks it too (UX G40).
func (v *visit) acceptLanguage() string {
	theirs := clip(v.r.Header.Get("Accept-Language"), 500)
	if theirs == "" || strings.HasPrefix(theirs, v.words.Lang) {
		return theirs
	}
	return v.words.Lang + ", " + theirs
}

// form gives a posted value.
func (v *visit) form(name string) string { return v.r.PostForm.Get(name) }

// ownCookies is what tells this browser from another, in one string.
func (v *visit) ownCookies() string {
	var all strings.Builder
	for _, c := range v.r.Cookies() {
		if strings.HasPrefix(c.Name, v.cookies.prefix) {
			all.WriteString(c.Name + "=" + c.Value + ";")
		}
	}
	return all.String()
}

// An answer is a response before it is written, so that one can serve a form and
// its duplicate.
type answer struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	body    []byte
}

func (v *visit) answer(status int) *answer {
	h := http.Header{}
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	return &answer{status: status, header: h, cookies: v.setting}
}

func (v *visit) redirect(to string) *answer {
	a := v.answer(http.StatusSeeOther)
	a.header.Set("Location", to)
	return a
}

func (a *answer) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	for _, c := range a.cookies {
		http.SetCookie(w, c)
	}
	if a.body != nil {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	w.Write(a.body)
}

// reference is a short id that an error page shows and the log has (UX G56). It
// uses no letters that are mistaken for others.
func reference() string {
	const letters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ" // 32, so that every byte is fair
	b := make([]byte, 8)
	rand.Read(b)
	for i := range b {
		b[i] = letters[b[i]%32]
	}
	return string(b[:4]) + "-" + string(b[4:])
}

// to gives an address of the pages with a query.
func (p *Pages) to(page string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return p.prefix + page
	}
	return p.prefix + page + "?" + q.Encode()
}
