package oauth

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// A logoutRequest is what an app asks for, as far as it may be believed.
type logoutRequest struct {
	params   params
	client   *Client // that asks; nil: not known
	hint     *idClaims
	redirect string // registered with the client; empty: the person stays here
	state    string
	confirm  string         // of our own form
	fault    *problem.Error // what the app did wrong: then it has neither hint nor redirect
}

// logout signs a person out of their browser at the request of an app (OIDC
// RP-Initiated Logout 1.0, SEC S-94). An ID token of the person who has the
// session says that the app speaks for them. Without one, anybody's link could
// have led here: a page asks, and nothing changes before its button is pressed
// (SEC S-67).
func (c *call) logout() error {
	c.page = true
	if c.r.Method == http.MethodHead { // changes nothing, whoever sends it (UX G5)
		return nil
	}
	q, err := c.logoutRequest()
	if err != nil {
		return err
	}
	c.client = q.client
	cookie := c.cookie.Raw(c.r)
	if c.r.Method == http.MethodPost && cookie == "" && q.confirm == "" && q.params != nil {
		// The cookie is Lax (decision D39): it does not come with a form of another
		// site, but does with the GET that this leads to.
		return c.seeOther(c.issuer.endpoint("logout"), q.params.values())
	}
	browser, err := c.browserSession(cookie)
	if err != nil {
		return err
	}
	switch {
	case browser == nil && q.hint != nil:
		err = c.endHinted(q.hint)
	case browser == nil:
	case q.confirm != "" && c.r.Method == http.MethodPost:
		if !c.fromOurPage(q.confirm, cookie) {
			return c.askPage(q, browser, cookie, http.StatusForbidden)
		}
		err = c.end(c.r.Context(), browser.UserID, browser.ID, "", c.event(sessionEnded, browser.UserID, browser.ID, ""))
	case q.hint != nil && q.hint.Subject == browser.UserID:
		grant, _ := grantIn(q.hint.ID, idPrefix)
		err = c.end(c.r.Context(), browser.UserID, browser.ID, grant, c.event(sessionEnded, browser.UserID, browser.ID, ""))
	case q.fault != nil:
		return c.askPage(q, browser, cookie, http.StatusBadRequest)
	default:
		return c.askPage(q, browser, cookie, http.StatusOK)
	}
	if err != nil {
		return err
	}
	if cookie != "" { // it names no session that lives
		c.cookie.Clear(c.w)
	}
	return c.leave(q)
}

// logoutRequest reads the parameters, from the query or a form. What is wrong
// with them is told on the page, since a person sits in front of it (UX G55).
func (c *call) logoutRequest() (*logoutRequest, error) {
	p, err := c.form(true)
	if problem.KindOf(err) == problem.Invalid {
		return &logoutRequest{fault: refusal(err)}, nil
	}
	if err != nil {
		return nil, err
	}
	q := &logoutRequest{params: p, state: p["state"], confirm: p["confirm"]}
	fault, err := c.judge(q)
	if err != nil {
		return nil, err
	}
	if fault != nil {
		q.fault, q.hint, q.redirect = fault, nil, ""
	}
	return q, nil
}

// judge fills in who asks and where the person goes from here, or says what is wrong.
func (c *call) judge(q *logoutRequest) (fault *problem.Error, err error) {
	ctx, p := c.r.Context(), q.params
	id := p["client_id"]
	if hint := p["id_token_hint"]; hint != "" {
		q.hint, err = c.verifyHint(ctx, c.issuer, hint)
		if errors.Is(err, errToken) {
			return invalidRequest("The 'id_token_hint' parameter is not an ID token of this authorization server."), nil
		}
		if err != nil {
			return nil, err
		}
		if id != "" && id != q.hint.Audience {
			return invalidRequest("The 'client_id' parameter differs from the audience of the 'id_token_hint'."), nil
		}
		id = q.hint.Audience
	}
	if id != "" {
		q.client, err = c.clients.get(ctx, id)
		if problem.KindOf(err) == problem.Unauthenticated {
			return errClientID, nil
		}
		if err != nil {
			return nil, err
		}
	}
	if len(q.state) > maxOpaque {
		return invalidRequest("The 'state' parameter is longer than %d characters.", maxOpaque), nil
	}
	switch uri := p["post_logout_redirect_uri"]; {
	case uri == "":
	case q.client == nil:
		return invalidRequest("The 'post_logout_redirect_uri' parameter needs an 'id_token_hint' or a 'client_id' beside it."), nil
	case !slices.Contains(q.client.PostLogoutRedirectURIs, uri): // byte by byte (SEC S-72)
		return invalidRequest("The 'post_logout_redirect_uri' parameter must be a Logout redirect URI in the client app settings."), nil
	default:
		q.redirect = uri
	}
	return nil, nil
}

// browserSession returns the live session of a cookie, nil if there is none.
func (c *call) browserSession(cookie string) (*session.Session, error) {
	id, ok := c.sessions.SessionID(cookie)
	if cookie == "" || !ok {
		return nil, nil
	}
	row, err := c.store.Session(c.r.Context(), id)
	if problem.KindOf(err) == problem.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !row.Live(c.now()) {
		return nil, nil
	}
	c.userID = row.UserID
	return &row, nil
}

// endHinted ends the grant that an ID token was issued under, where the browser
// has no session: apps that embed the sign-in are given none.
func (c *call) endHinted(hint *idClaims) error {
	ctx := c.r.Context()
	grant, ok := grantIn(hint.ID, idPrefix)
	if !ok {
		return nil
	}
	c.userID = hint.Subject
	if void, err := c.revocations.has(ctx, grant); void || err != nil {
		return err
	}
	return c.end(ctx, hint.Subject, "", grant, c.event("app.oauth2.token.revoke", hint.Subject, grant, ""))
}

// confirmation is the token of the form of a browser's page (SEC S-67).
func (s *Server) confirmation(cookie string) string {
	mac := s.keyring.MAC("oauth/logout", cookie)
	return base64.RawURLEncoding.EncodeToString(mac[:])
}

// fromOurPage reports whether a form was sent by the page that asks this browser.
// A browser that does not say where a form comes from is not believed.
func (c *call) fromOurPage(confirm, cookie string) bool {
	if site := c.r.Header.Get("Sec-Fetch-Site"); site != "" {
		if site != "same-origin" {
			return false
		}
	} else if c.r.Header.Get("Origin") != edge.OriginOf(c.publicURL) {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(confirm), []byte(c.confirmation(cookie))) == 1
}

// leave sends the person on, or tells them that they are signed out.
func (c *call) leave(q *logoutRequest) error {
	switch {
	case q.fault != nil:
		return c.donePage(q, http.StatusBadRequest)
	case q.redirect != "":
		var state url.Values
		if q.state != "" {
			state = url.Values{"state": {q.state}}
		}
		return c.seeOther(q.redirect, state)
	case c.r.Method == http.MethodPost: // so that a reload sends nothing again (UX G6)
		var client url.Values
		if q.client != nil {
			client = url.Values{"client_id": {q.client.ID}}
		}
		return c.seeOther(c.issuer.endpoint("logout"), client)
	}
	return c.donePage(q, http.StatusOK)
}

// seeOther redirects so that the next request is a GET (SEC S-80). A query that
// the target has stays as it was registered.
func (c *call) seeOther(target string, query url.Values) error {
	if len(query) > 0 {
		separator := "?"
		if strings.Contains(target, "?") {
			separator = "&"
		}
		target += separator + query.Encode()
	}
	c.w.Header().Set("Location", target)
	c.w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (p params) values() url.Values {
	v := url.Values{}
	for name, value := range p {
		v.Set(name, value)
	}
	return v
}
