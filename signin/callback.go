package signin

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/stile-id/stile/idx"
)

// A link is what a callback brought, kept while its page is shown: the address bar
// is cleared of it at once (UX P4.8).
type link struct {
	State string `json:"s"`
	Code  string `json:"c,omitempty"` // the one-time code of a mailed link
	Grant string `json:"g,omitempty"` // an interaction code
	Ends  int64  `json:"e"`           // Unix seconds

	// Where the flow began, as far as the engine says: names of its fixed list.
	Browser string `json:"b,omitempty"`
	System  string `json:"o,omitempty"`
	Started int64  `json:"t,omitempty"` // Unix seconds
}

// agentName is what a browser or a system may be called: nothing long enough to
// say something of its own on the page that shows a code.
var agentName = regexp.MustCompile(`^[A-Za-z]{2,10}( [A-Za-z]{2,8})?$`)

// began tells where the code belongs: "Chrome on Windows, 14:02".
func (l link) began(v *visit) string {
	if !agentName.MatchString(l.Browser) || !agentName.MatchString(l.System) || l.Started <= 0 {
		return ""
	}
	at := time.Unix(l.Started, 0).In(v.now.Location())
	if age := v.now.Sub(at); age < 0 || age > 24*time.Hour {
		return ""
	}
	return v.words.T("elsewhere.began", "browser", l.Browser, "system", l.System, "time", at.Format("15:04"))
}

const (
	linkCookie = "l"
	linkLife   = 10 * time.Minute // a code's own life (decision D7)
)

// showCallback is where the engine sends browsers. Opening it uses nothing up and
// signs nobody in, however often and by whomever (UX P4.1).
func (p *Pages) showCallback(v *visit) *answer {
	q := v.r.URL.Query()
	l := link{State: q.Get("state"), Code: q.Get("otp"), Grant: q.Get("interaction_code"), Browser: q.Get("browser"), System: q.Get("os")}
	if n, err := strconv.ParseInt(q.Get("started"), 10, 64); err == nil {
		l.Started = n
	}
	switch {
	case q.Get("error") != "":
		return p.linkFault(v, q.Get("error"), q.Get("state"), q.Get("error_description"))
	case l.Code == "" && l.Grant == "":
		if v.get(linkCookie, &l) == nil && v.now.Before(time.Unix(l.Ends, 0)) {
			return p.showLink(v, l)
		}
		return p.linkFault(v, "link_invalid", "", "")
	case l.State == "":
		return p.linkFault(v, "link_invalid", "", "")
	}

	var kept link
	if v.get(linkCookie, &kept) == nil && kept.State == l.State && kept.Code == l.Code && kept.Grant == l.Grant {
		return v.redirect(v.r.URL.Path)
	}
	if q.Get("kept") != "" {
		return p.showLink(v, l) // the cookie was refused, so the address is all there is
	}
	l.Ends = v.now.Add(linkLife).Unix()
	if err := v.put(linkCookie, l, linkLife); err != nil {
		return p.failure(v, nil, err)
	}
	q.Set("kept", "1")
	return v.redirect(v.r.URL.Path + "?" + q.Encode())
}

// showLink shows the code, or leads on where this browser began the flow. Only its
// own cookie is proof of that (decisions D9, D34).
func (p *Pages) showLink(v *visit, l link) *answer {
	f := v.flowOf(l.State)
	switch {
	case f != nil && f.Done:
		return v.redirect(p.onward(v, f))
	case f != nil:
		pg := p.page(v, "link-continue", f)
		pg.Data = press{
			Label: pg.Heading, Post: v.r.URL.Path, Action: "continue",
			Fields: map[string]string{"state": l.State},
		}
		return p.render(v, pg)
	case l.Code == "":
		return p.tooOld(v, nil)
	}
	pg := p.page(v, "link-elsewhere", nil)
	pg.Data = elsewhere{Code: l.Code, Long: len(l.Code) > 10, Began: l.began(v)}
	return p.render(v, pg)
}

// elsewhere is what the page in another browser shows. A link may have an answer of
// its own, of 52 letters.
type elsewhere struct {
	Code  string
	Long  bool
	Began string
}

// callback goes on with the link in the browser that began the flow.
func (p *Pages) callback(v *visit) *answer {
	var l link
	if v.get(linkCookie, &l) != nil || l.State != v.form("state") || !v.now.Before(time.Unix(l.Ends, 0)) {
		return p.linkFault(v, "link_invalid", v.form("state"), "")
	}
	f := v.flowOf(l.State)
	switch {
	case f == nil:
		return p.tooOld(v, nil)
	case f.Done:
		return v.redirect(p.onward(v, f))
	}
	var tx idx.Transaction
	if err := tx.UnmarshalText([]byte(f.Tx)); err != nil {
		return p.failure(v, f, err)
	}
	q := url.Values{"state": {l.State}}
	if l.Code != "" {
		q.Set("otp", l.Code)
	} else {
		q.Set("interaction_code", l.Grant)
	}
	next, err := p.client.HandleCallback(v.ctx, &tx, q)
	if errors.Is(err, idx.ErrNotOffered) {
		return v.redirect(p.stepPage(v, f))
	}
	if err != nil {
		return p.failure(v, f, err)
	}
	if next, err = p.narrow(v, f, next); err != nil {
		return p.failure(v, f, err)
	}
	v.remove(linkCookie)
	return p.advance(v, f, next)
}

// oauthError is what an error code may look like (RFC 6749 §4.1.2.1); anything else
// in the address is somebody's text and not shown.
var oauthError = regexp.MustCompile(`^[a-z_]{1,60}$`)

// linkFault is the page for a link that does not work (UX P4.5–P4.7), and for an
// error that the engine sends to the redirect URI.
func (p *Pages) linkFault(v *visit, code, state, description string) *answer {
	f := v.flowOf(state)
	known := f != nil && f.Tx != ""
	switch {
	case f != nil && f.Done:
		return v.redirect(p.onward(v, f))
	case known && code == "link_used":
		// The code was typed in another tab of this browser: the flow has the next step.
		return v.redirect(p.stepPage(v, f))
	}
	n := notice{Reference: reference(), Primary: &press{Label: v.words.T("link.sign_in"), Link: p.to("")}}
	if f != nil {
		n.Primary.Link = p.to("", "flow", f.ID) // filled in
	}
	switch code {
	case "link_expired":
		n.Heading, n.Text = v.words.T("link.expired.heading"), v.words.H("link.expired.elsewhere")
		if known {
			n.Text = v.words.H("link.expired.text")
			n.Primary = &press{Label: v.words.T("link.expired.again"), Post: p.to("step", "flow", f.ID), Action: "resend"}
		}
	case "link_used":
		n.Heading, n.Text = v.words.T("link.used.heading"), v.words.H("link.used.text")
	case "link_stale": // the address was changed, or the code used up (decision D22)
		n.Heading, n.Text = v.words.T("link.stale.heading"), v.words.H("link.stale.text")
		if known {
			n.Primary = &press{Label: v.words.T("link.stale.back"), Link: p.to("step", "flow", f.ID)}
		}
	case "link_invalid":
		n.Heading, n.Text = v.words.T("link.invalid.heading"), v.words.H("link.invalid.text")
		if known {
			n.Primary = &press{Label: v.words.T("link.enter_code"), Link: p.to("step", "flow", f.ID)}
		}
	case "access_denied":
		n.Heading, n.Text = v.words.T("denied.heading"), v.words.H("denied.text", "app", p.opt.AppName)
	default:
		n.Heading, n.Text = v.words.T("error.setup.heading"), v.words.H("error.setup.text", "app", p.opt.AppName)
		if oauthError.MatchString(code) {
			n.Details = []detail{{v.words.T("error.code"), code}}
		}
	}
	p.opt.Logger.LogAttrs(v.ctx, slog.LevelInfo, "signin: callback with an error", slog.String("reference", n.Reference),
		slog.String("error", clip(code, 100)), slog.String("description", clip(description, 300)))
	return p.notice(v, http.StatusBadRequest, "error", n)
}
