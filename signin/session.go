package signin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/stile-id/stile/idx"
)

// An Identity is who is signed in.
type Identity struct {
	Subject    string // the engine's id of the person; stable, unlike the address
	Email      string
	Name       string
	GivenName  string
	FamilyName string
	Claims     idx.Claims // of the ID token, with name and address as they are now
	Tokens     idx.Tokens // bearer secrets
}

type identityKey struct{}

// User gives who is signed in, inside handlers behind Require or Identify.
func User(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}

// Require lets signed-in people through to next, and refreshes their tokens. To
// others it answers GET and HEAD with 303 to sign-in, which leads back here, and
// other methods with 401. With asks it lets those through whose sign-in brings all
// of them; others sign in again, and methods other than GET and HEAD get 403.
//
//	mux.Handle("/delete", pages.Require(remove, signin.MaxAge(5*time.Minute)))
func (p *Pages) Require(next http.Handler, asks ...Ask) http.Handler {
	need := newAsks(asks)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := p.visit(r)
		s, err := p.session(v)
		back := strings.ReplaceAll(r.URL.RequestURI(), "@", "%40")
		if !localPath(back) || back == p.opt.Home {
			back = ""
		}
		switch get := r.Method == http.MethodGet || r.Method == http.MethodHead; {
		case err != nil:
			p.failure(v, nil, err).write(w)
		case s != nil && !need.metBy(s, v.now):
			p.askAgain(v, s, need, back).write(w)
		case s != nil:
			next.ServeHTTP(w, s.into(v, w, r))
		case get:
			v.redirect(p.to("", append(need.query(), "return_to", back)...)).write(w)
		default:
			a := v.answer(http.StatusUnauthorized)
			a.header.Set("Content-Type", "text/plain; charset=utf-8")
			a.body = []byte(v.words.T("error.not_signed_in") + "\n")
			a.write(w)
		}
	})
}

// Identify lets everyone through to next, where User tells who is signed in, if anyone.
func (p *Pages) Identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := p.visit(r)
		s, err := p.session(v)
		if err != nil {
			p.opt.Logger.LogAttrs(v.ctx, slog.LevelWarn, "signin: no answer to a refresh", slog.Any("error", err))
		}
		if s != nil {
			r = s.into(v, w, r)
		}
		next.ServeHTTP(w, r)
	})
}

// into sets what the session has renewed and makes the request carry the identity.
func (s *session) into(v *visit, w http.ResponseWriter, r *http.Request) *http.Request {
	for _, c := range v.setting {
		http.SetCookie(w, c)
	}
	return r.WithContext(context.WithValue(r.Context(), identityKey{}, s.identity()))
}

// A session is what the browser keeps of someone who is signed in: the tokens,
// each once; claims are read from the ID token, which was verified when it came.
type session struct {
	Access  string   `json:"a"`
	Ends    int64    `json:"e"` // of the access token, Unix seconds
	Scopes  []string `json:"s,omitempty"`
	ID      string   `json:"i,omitempty"`
	IDEnds  int64    `json:"x,omitempty"`
	Refresh string   `json:"r,omitempty"`
	Proven  int64    `json:"p,omitempty"` // Unix seconds of the proof; refreshing makes it no newer
	ACR     string   `json:"c,omitempty"` // assurance that was asked for and given
	Told    *told    `json:"t,omitempty"` // what has changed since the ID token came
	Since   int64    `json:"b,omitempty"` // Unix seconds of the access token
	Kept    int64    `json:"k,omitempty"` // Unix seconds until when it outlives the browser; 0: it does not
}

// keptIdle is how long a session that outlives the browser does so without being used.
const keptIdle = 14 * 24 * time.Hour

// keeps reports whether people can ask to stay signed in. Without a refresh token a
// session ends within the hour, whatever somebody ticks.
func (p *Pages) keeps() bool { return p.opt.KeepFor > 0 && p.offline }

// life is how long the browser keeps the session from now on; 0: until it is closed.
func (s *session) life(now time.Time) time.Duration {
	if s.Kept == 0 {
		return 0
	}
	return max(time.Second, min(keptIdle, time.Unix(s.Kept, 0).Sub(now)))
}

// over holds for a session that outlived the browser for long enough. The browser
// drops its cookie by then; whoever has copied it does not.
func (s *session) over(now time.Time) bool {
	return s.Kept > 0 && (now.Unix() >= s.Kept || now.Sub(time.Unix(s.Since, 0)) >= keptIdle)
}

const sessionCookie = "s"

func newSession(t *idx.Tokens, now time.Time) (*session, error) {
	if t == nil || t.AccessToken == nil {
		return nil, errors.New("signin: the engine gave no access token")
	}
	s := &session{
		Access: t.AccessToken.Value, Ends: t.AccessToken.ExpiresAt.Unix(), Scopes: t.AccessToken.Scopes, Since: now.Unix(),
	}
	if t.IDToken != nil {
		s.ID, s.IDEnds = t.IDToken.Value, t.IDToken.ExpiresAt.Unix()
		s.Proven = t.IDToken.Claims.AuthTime.Unix()
		s.ACR, _ = t.IDToken.Claims.All["acr"].(string)
	}
	if t.RefreshToken != nil {
		s.Refresh = t.RefreshToken.Value
	}
	return s, nil
}

func (s *session) identity() Identity {
	c := s.claims()
	id := Identity{Subject: c.Subject, Email: c.Email, Name: c.Name, GivenName: c.GivenName, FamilyName: c.FamilyName, Claims: c}
	id.Tokens.AccessToken = &idx.AccessToken{
		Value: s.Access, ExpiresAt: time.Unix(s.Ends, 0), TokenType: "Bearer", Scopes: s.Scopes,
	}
	if s.ID != "" {
		id.Tokens.IDToken = &idx.IDToken{Value: s.ID, ExpiresAt: time.Unix(s.IDEnds, 0), Claims: c}
	}
	if s.Refresh != "" {
		id.Tokens.RefreshToken = &idx.RefreshToken{Value: s.Refresh, Scopes: s.Scopes}
	}
	return id
}

func (s *session) claims() idx.Claims {
	var c idx.Claims
	_, rest, _ := strings.Cut(s.ID, ".")
	payload, _, _ := strings.Cut(rest, ".")
	if plain, err := base64.RawURLEncoding.DecodeString(payload); err == nil {
		_ = json.Unmarshal(plain, &c) // no claims then
	}
	s.Told.onto(&c)
	return c
}

// refreshed is what became of a refresh token.
type refreshed struct {
	tokens *idx.Tokens
	err    error
}

// refreshGrace is how long requests that still carry a used refresh token get
// what it gave. Using it again would revoke its whole family.
const refreshGrace = time.Minute

// session gives who is signed in, nil if nobody is. The error says that a refresh
// was needed and the engine did not answer.
func (p *Pages) session(v *visit) (*session, error) {
	s := new(session)
	if err := v.get(sessionCookie, s); err != nil {
		return nil, nil
	}
	if s.over(v.now) {
		p.revoke(v, s)
		v.remove(sessionCookie)
		return nil, nil
	}
	left := time.Unix(s.Ends, 0).Sub(v.now)
	if left > 0 && !p.holds(v, s) {
		left = 0
	}
	if left > p.opt.RefreshLeeway || s.Refresh == "" && left > 0 {
		return s, nil
	}
	if s.Refresh == "" {
		v.remove(sessionCookie)
		return nil, nil
	}
	used := sha256.Sum256([]byte(s.Refresh))
	got := p.refreshes.do(string(used[:]), func() (refreshed, time.Duration) {
		t, err := p.client.Refresh(v.ctx, s.Refresh)
		if err != nil && !errors.Is(err, idx.ErrInvalidGrant) {
			return refreshed{err: err}, 0
		}
		return refreshed{t, err}, refreshGrace
	})
	switch {
	case errors.Is(got.err, idx.ErrInvalidGrant):
		v.remove(sessionCookie)
		return nil, nil
	case got.err != nil && left > 0:
		return s, nil
	case got.err != nil:
		return nil, got.err
	}
	fresh, err := newSession(got.tokens, v.now)
	if err != nil {
		return nil, err
	}
	fresh.Proven, fresh.ACR, fresh.Kept = s.Proven, s.ACR, s.Kept
	if fresh.ID == "" {
		fresh.ID, fresh.IDEnds, fresh.Told = s.ID, s.IDEnds, s.Told
	}
	if fresh.Refresh == "" {
		fresh.Refresh = s.Refresh
	}
	if fresh.Scopes == nil {
		fresh.Scopes = s.Scopes
	}
	return fresh, v.put(sessionCookie, fresh, fresh.life(v.now))
}

// profileLanguage is the language that the signed-in person's profile names.
func (p *Pages) profileLanguage(v *visit) string {
	s := new(session)
	if v.get(sessionCookie, s) != nil {
		return ""
	}
	return s.claims().Locale
}

// finish signs the person in and sends them to what they asked for.
func (p *Pages) finish(v *visit, f *flow, t *idx.Tokens) *answer {
	p.steps.drop(f)
	before := new(session)
	replaced := v.get(sessionCookie, before) == nil
	s, err := newSession(t, v.now)
	if err == nil {
		switch {
		case f.Keep:
			s.Kept = v.now.Add(p.opt.KeepFor).Unix()
		case replaced && !before.over(v.now) && before.claims().Subject == s.claims().Subject && s.ID != "": // proven anew, and not asked again
			s.Kept = before.Kept
		}
		err = v.put(sessionCookie, s, s.life(v.now))
	}
	if err == nil {
		err = v.remember(f)
	}
	if err != nil {
		return p.failure(v, f, err)
	}
	if replaced && before.Access != s.Access {
		// Nobody has these any more: without this a browser that proves itself anew
		// would be listed twice among the devices.
		p.revoke(v, before)
	}
	// What stays of the flow lets its other tab, and its link, go on to the app.
	to := p.destination(f)
	*f = flow{ID: f.ID, Begun: f.Begun, State: f.State, ReturnTo: f.ReturnTo, Turn: f.Turn, Done: true}
	if err := v.save(f); err != nil {
		return p.failure(v, nil, err)
	}
	return v.redirect(to)
}

func (p *Pages) destination(f *flow) string {
	if f != nil && localPath(f.ReturnTo) {
		return f.ReturnTo
	}
	return p.opt.Home
}

func (p *Pages) showSignOut(v *visit) *answer {
	s, _ := p.session(v)
	if s == nil {
		return v.redirect(p.to("signed-out"))
	}
	return p.notice(v, http.StatusOK, "sign-out", notice{
		Heading: v.words.T("sign_out.heading"),
		Text:    p.signedInAs(v, s),
		Primary: &press{Label: v.words.T("sign_out.action"), Post: p.to("sign-out"), Action: "sign-out"},
		Second:  &press{Label: v.words.T("sign_out.stay"), Link: p.opt.Home},
	})
}

// signOut revokes the tokens and takes the cookies back. With action=switch it
// goes on to sign-in, else to return_to or the page that says so.
func (p *Pages) signOut(v *visit) *answer {
	s := new(session)
	if v.get(sessionCookie, s) == nil {
		p.revoke(v, s)
	}
	v.remove(sessionCookie)
	to := v.form("return_to")
	if !localPath(to) {
		to = ""
	}
	switch {
	case v.form("action") == "switch":
		return v.redirect(p.to("", "return_to", to))
	case to != "":
		return v.redirect(to)
	}
	return v.redirect(p.to("signed-out"))
}

// revoke ends a session at the engine. With a refresh token its access tokens go
// too (RFC 7009 §2.1).
func (p *Pages) revoke(v *visit, s *session) {
	token, hint := s.Access, "access_token"
	if s.Refresh != "" {
		token, hint = s.Refresh, "refresh_token"
	}
	if err := p.client.Revoke(v.ctx, token, hint); err != nil {
		p.opt.Logger.LogAttrs(v.ctx, slog.LevelWarn, "signin: tokens not revoked", slog.Any("error", err))
	}
}

func (p *Pages) showSignedOut(v *visit) *answer {
	return p.notice(v, http.StatusOK, "signed-out", notice{
		Heading: v.words.T("signed_out.heading"),
		Text:    v.words.H("signed_out.text", "app", p.opt.AppName),
		Primary: &press{Label: v.words.T("signed_out.again"), Link: p.to("")},
	})
}

// alreadySignedIn is the page for those who open sign-in while signed in (UX G54).
func (p *Pages) alreadySignedIn(v *visit, s *session, to string) *answer {
	if !localPath(to) {
		to = p.opt.Home
	}
	return p.notice(v, http.StatusOK, "already-signed-in", notice{
		Heading: v.words.T("signed_in.heading"),
		Text:    p.signedInAs(v, s),
		Primary: &press{Label: v.words.T("signed_in.continue"), Link: to},
		Second:  &press{Label: v.words.T("signed_in.switch"), Post: p.to("sign-out"), Action: "switch", Fields: map[string]string{"return_to": to}},
	})
}
