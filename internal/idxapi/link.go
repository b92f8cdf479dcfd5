package idxapi

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/ion"
	"github.com/stile-id/stile/internal/problem"
)

// link lands a mailed link. It changes nothing, whoever fetches it (SEC S-14):
// the app's callback, or the page, gets the code, which is of use only where the
// transaction began.
func (s *Server) link(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	l := flow.Link{State: flow.LinkInvalid}
	if id, ok := s.linkTransaction(token); ok {
		var err error
		if l, err = s.engine.Link(r.Context(), token, id); err != nil {
			s.failPage(w, r, err)
			return
		}
	}
	if target := s.callback(l); target != "" && !wantsDocument(r) {
		// 302 as the wire has it (IDX §3.4); the method is GET already.
		http.Redirect(w, r, target, http.StatusFound)
		return
	}
	if wantsDocument(r) {
		status, d := s.linkDocument(l)
		s.write(w, status, d)
		return
	}
	s.linkPage(w, l)
}

// callback is where the app takes the link over: with the code and its own
// state, or with what has become of the link. It is registered, never asked for.
func (s *Server) callback(l flow.Link) string {
	if l.Client.EmailCallback == "" || l.Request.State == "" {
		return ""
	}
	q := url.Values{"state": {l.Request.State}}
	if l.State == flow.LinkGood {
		q.Set("otp", l.Code)
		// Where the flow began, so that a page elsewhere can say where the code belongs (UX P4.3).
		browser, os := s.agent(l.Request.UserAgent)
		q.Set("browser", browser)
		q.Set("os", os)
		q.Set("started", strconv.FormatInt(l.Started.Unix(), 10))
	} else {
		q.Set("error", string(l.State))
		q.Set("error_description", linkMessage(l.State).Text)
	}
	sep := "?"
	if strings.Contains(l.Client.EmailCallback, "?") {
		sep = "&"
	}
	return l.Client.EmailCallback + sep + q.Encode()
}

func wantsDocument(r *http.Request) bool {
	a := r.Header.Get("Accept")
	return strings.Contains(a, "application/ion+json") || strings.Contains(a, "application/json") && !strings.Contains(a, "text/html")
}

func linkMessage(state flow.LinkState) problem.Message {
	m := problem.Message{Class: problem.ClassInfo}
	switch state {
	case flow.LinkGood:
		m.Key, m.Text = "idx.enter.otp.in.original.tab", "Enter the OTP in your original browser or device."
	case flow.LinkExpired:
		m.Key, m.Text = "idx.return.link.expired", "This email link has expired. To resend it, return to the screen where you requested it."
	case flow.LinkStale:
		m.Key, m.Text = "idx.return.stale", "This email link is out of date. Return to the screen where you requested it."
	case flow.LinkUsed:
		m.Key, m.Text = "idx.return.to.original.tab", "Please return to the original tab."
	case flow.LinkInvalid:
		m.Key, m.Text, m.Class = "idx.return.error", "Could not process this email link. Return to the screen where you requested it.", problem.ClassError
	}
	return m
}

func (s *Server) linkDocument(l flow.Link) (int, *ion.Document) {
	status := http.StatusOK
	switch l.State {
	case flow.LinkExpired, flow.LinkStale, flow.LinkInvalid:
		status = http.StatusBadRequest
	case flow.LinkGood, flow.LinkUsed:
	}
	d := &ion.Document{Version: ion.Version, Messages: messages([]problem.Message{linkMessage(l.State)})}
	if l.Client.ID != "" {
		d.App = ion.NewObject(wireApp(l.Client))
		d.Intent = "AUTHENTICATION"
		if l.Purpose == authenticator.SignUp || l.Purpose == authenticator.SignUpKnown {
			d.Intent = "ENROLLMENT"
		}
	}
	if l.State == flow.LinkGood {
		d.CurrentAuthenticator = ion.NewObject(ion.Authenticator{
			Type: "email", Key: "okta_email", DisplayName: "Email", ID: "email",
			Methods: []ion.Method{{Type: "email"}}, ContextualData: map[string]any{"otp": l.Code},
		})
	}
	return status, d
}
