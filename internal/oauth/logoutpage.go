package oauth

import (
	_ "embed"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// logoutWords are what the pages say.
var logoutWords = edge.NewWords(english)

//go:embed words/en.json
var english []byte

// A logoutView is what the pages show; W are the words.
type logoutView struct {
	edge.PageHead
	W     edge.Words
	Login string // who is signed in
	// The form: where it goes, and what it has beside its button.
	Action, Confirm, ClientID, Redirect, State string
	Home                                       string // of the app; empty: not known
	Retry                                      bool   // the form did not come from the page
	Fault                                      *problem.Error
	Reference                                  string // finds the request in the log (UX G56)
}

// For the person above the buttons, for the developer below them.
const (
	faultText = `{{if .Fault}}<p>{{.W.appFault}}</p>{{end}}`
	faultNote = `{{with .Fault}}<p class="note">{{$.W.errorIs}} <bdi>{{.Code}}: {{.Detail}}</bdi><br>{{$.W.reference}} {{$.Reference}}</p>{{end}}`
)

var (
	logoutAsk = edge.NewPage(`{{with .Login}}<p>{{$.W.as}} <bdi>{{.}}</bdi>.</p>{{end}}
{{if .Retry}}<p class="note" role="alert">{{.W.notFromHere}}</p>{{end}}` + faultText + `
<form method="post" action="{{.Action}}"><input type="hidden" name="confirm" value="{{.Confirm}}">
{{- with .ClientID}}<input type="hidden" name="client_id" value="{{.}}">{{end}}
{{- with .Redirect}}<input type="hidden" name="post_logout_redirect_uri" value="{{.}}">{{end}}
{{- with .State}}<input type="hidden" name="state" value="{{.}}">{{end}}
<button type="submit">{{.W.press}}</button></form>
{{with .Home}}<p><a class="link" href="{{.}}">{{$.W.stay}}</a></p>{{end}}` + faultNote)

	logoutDone = edge.NewPage(`<p>{{.W.doneText}}</p>` + faultText + `
{{with .Home}}<p><a class="button" href="{{.}}">{{$.W.again}}</a></p>{{end}}` + faultNote)

	// An empty address is that of the page itself, by GET.
	logoutFailed = edge.NewPage(`<p>{{.W.failedText}}</p><p><a class="button" href="">{{.W.retry}}</a></p>
<p class="note">{{.W.reference}} {{.Reference}}</p>`)
)

func (c *call) logoutView(page, title string, q *logoutRequest) logoutView {
	v := logoutView{
		PageHead: edge.PageHead{Page: page, Title: title, Error: q.fault != nil},
		W:        logoutWords, Fault: q.fault, Reference: edge.RequestID(c.r.Context()),
	}
	if c.brand != nil {
		b := c.brand()
		v.App, v.Color = b.Name, b.Color
	}
	if q.client != nil {
		v.App, v.ClientID, v.Home = q.client.Name, q.client.ID, q.client.home()
	}
	return v
}

// askPage asks the person who has the session whether they want to be signed out.
func (c *call) askPage(q *logoutRequest, browser *session.Session, cookie string, status int) error {
	title := logoutWords["ask"]
	if q.client != nil {
		title = logoutWords.Say("askOf", "app", q.client.Name)
	}
	v := c.logoutView("sign-out", title, q)
	user, err := c.activeUser(c.r.Context(), browser.UserID)
	switch {
	case err == nil:
		v.Login = user.Email
	case problem.KindOf(err) != problem.Forbidden:
		return err
	}
	v.Action, v.Confirm = c.issuer.endpoint("logout"), c.confirmation(cookie)
	v.Redirect, v.State = q.redirect, q.state
	if v.Retry = status == http.StatusForbidden; v.Retry {
		v.Error = true
	}
	forms := []string{"'self'"}
	if q.redirect != "" { // browsers hold redirects after a form to form-action too (decision D33)
		forms = append(forms, formTarget(q.redirect))
	}
	return logoutAsk.Write(c.w, status, v, forms...)
}

func (c *call) donePage(q *logoutRequest, status int) error {
	return logoutDone.Write(c.w, status, c.logoutView("signed-out", logoutWords["done"], q))
}

// faultPage is what a person sees where a program is answered in JSON.
func (c *call) faultPage(p *problem.Error) {
	status := dialect[p.Kind].status
	if p.Kind == problem.Unavailable || p.Kind == problem.Throttled {
		edge.SetRetryAfter(c.w, max(p.RetryAfter, time.Second))
	}
	v := c.logoutView("sign-out-failed", logoutWords["failed"], &logoutRequest{client: c.client})
	v.Error = true
	if err := logoutFailed.Write(c.w, status, v); err != nil {
		c.log.ErrorContext(c.r.Context(), "page cannot be written", "err", err)
	}
}

// home is the front page of a client's site, where a person can go on or begin
// anew. Apps without a site, and those on a port of their own choice, have none.
func (c *Client) home() string {
	for _, uri := range slices.Concat(c.PostLogoutRedirectURIs, c.RedirectURIs) {
		if _, _, native := cutLoopbackPort(uri); native {
			continue
		}
		if o := edge.OriginOf(uri); o != "" {
			return o + "/"
		}
	}
	return ""
}

// formTarget is the CSP source of a redirect URI. CSP has no notation for hosts
// in brackets: there it is the scheme.
func formTarget(uri string) string {
	if o := edge.OriginOf(uri); o != "" && !strings.Contains(o, "[") {
		return o
	}
	if u, err := url.Parse(uri); err == nil && u.Scheme != "" {
		return u.Scheme + ":"
	}
	return "'none'"
}
