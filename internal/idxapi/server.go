// Package idxapi is the HTTP edge of the flow: /idp/idx/*, the links of mailed
// codes, and those of operators' invitations and recoveries.
package idxapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/ion"
	"github.com/stile-id/stile/internal/problem"
)

// Config is what a Server is made of.
type Config struct {
	Engine    *flow.Engine
	PublicURL string // the org URL, without a trailing slash
	// TokenURL is the token endpoint of an authorization server.
	TokenURL func(server string) string
	// LinkTransaction finds the transaction that a link's token names.
	LinkTransaction func(token string) (id string, ok bool)
	// Tickets finds where a mailed ticket leads; ok is false for one that is of no
	// use any more. Nil: there are none.
	Tickets func(ctx context.Context, token string) (target string, ok bool, err error)
	// Brand is how pages look where no app says otherwise; nil: as the engine's own.
	Brand func() edge.Brand
	// Agent names the browser and the system of a User-Agent header, in words of a fixed list.
	Agent  func(userAgent string) (browser, os string)
	Cookie edge.SessionCookie
	// Admission lets requests in; nil: all of them.
	Admission *edge.Admission
	Logger    *slog.Logger
}

// A Server answers /idp/idx/*, /email/verify/* and, where there are tickets, /t/*.
// Headers and CORS are put around it by the app, the same as around OAuth's endpoints.
type Server struct {
	engine          *flow.Engine
	publicURL       string
	tokenURL        func(string) string
	linkTransaction func(string) (string, bool)
	tickets         func(context.Context, string) (string, bool, error)
	brand           func() edge.Brand
	agent           func(string) (string, string)
	cookie          edge.SessionCookie
	log             *slog.Logger
	names           map[string][]string // path -> offers
	acts            http.Handler        // what a known action does, once it is let in
	mux             *http.ServeMux
}

// New returns a Server.
func New(c Config) *Server {
	s := &Server{
		engine: c.Engine, publicURL: c.PublicURL, tokenURL: c.TokenURL, linkTransaction: c.LinkTransaction, agent: c.Agent, cookie: c.Cookie,
		tickets: c.Tickets, brand: c.Brand,
		log: c.Logger, names: map[string][]string{}, mux: http.NewServeMux(),
	}
	for _, offer := range slices.Sorted(maps.Keys(paths)) {
		s.names[paths[offer]] = append(s.names[paths[offer]], offer)
	}
	s.names["skip"] = []string{"skip", "skip-change", "skip-password", "skip-profile"} // for who posts to the recorded path, whatever the form says
	if s.brand == nil {
		s.brand = func() edge.Brand { return edge.Brand{} }
	}
	s.acts = c.Admission.Handler(class, s.fail, http.HandlerFunc(s.act))
	s.mux.HandleFunc("/idp/idx/{action...}", s.action)
	page := func(h http.HandlerFunc) http.Handler {
		return c.Admission.Handler(edge.Always(edge.Answer), s.failPage, h)
	}
	if s.tickets != nil {
		s.mux.Handle("GET /t/{token}", page(s.ticket))
	}
	s.mux.Handle("GET /email/verify/{token}", page(s.link))
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// class is what an action is worth when there are too many: whoever is near the
// end goes before those who begin (REL R-18). Some clients introspect before each
// step, so it is worth as much as the dearest of those but the last.
func class(r *http.Request) edge.Class {
	switch r.PathValue("action") {
	case "skip", "skip/change", "skip/password", "skip/profile":
		return edge.Finish
	case "identify", "identify/select", "enroll", "enroll/new", "recover", "unlock-account":
		return edge.Step
	}
	return edge.Answer
}

func (s *Server) action(w http.ResponseWriter, r *http.Request) {
	action := r.PathValue("action")
	if s.names[action] == nil && action != "introspect" {
		e := edge.NotFound
		e.Summary += ": " + printable(action) + " (path)"
		e.Write(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, OPTIONS")
		edge.MethodNotAllowed.Write(w, r)
		return
	}
	s.acts.ServeHTTP(w, r)
}

func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	action := r.PathValue("action")
	body, status := readBody(w, r)
	if status != 0 {
		s.badRequest(w, status)
		return
	}
	h := flow.Handle{State: body.Values["stateHandle"]}
	if action == "introspect" {
		h = flow.Handle{Interaction: body.Values["interactionHandle"], State: body.Values["stateToken"]}
	}
	if h.Interaction == "" && h.State == "" {
		if action != "introspect" || body.Values["stateHandle"] == "" {
			s.badRequest(w, http.StatusBadRequest)
			return
		}
		h.State = body.Values["stateHandle"]
	}
	if slices.ContainsFunc(body.Arrays, known) {
		s.badRequest(w, http.StatusBadRequest)
		return
	}

	var v *flow.View
	var err error
	var browser flow.Browser
	browser.Cookie, browser.Keeps = s.cookie.Read(r)
	switch action {
	case "introspect":
		v, err = s.engine.Introspect(r.Context(), h, browser)
	case "challenge/poll":
		v, err = s.engine.Poll(r.Context(), h, browser)
	default:
		delete(body.Values, "stateHandle")
		v, err = s.engine.Answer(r.Context(), flow.Answer{Handle: h, Names: s.names[action], Input: body.Values, Browser: browser})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if v.RetryAfter > 0 {
		edge.SetTooMany(w, v.RetryAfter)
	}
	if v.Cookie != "" {
		s.cookie.Set(w, v.Cookie, v.CookieEnds)
	}
	if rerenders(r) && v.Current != nil {
		v.Current.Sent = nil
	}
	s.write(w, statusOf(v.Kind), s.document(v))
}

// rerenders tells the Sign-In Widget by what it says of itself. It draws the page
// anew, and empties the field that a person types in, whenever a poll differs in
// anything but a few names: so it is not told what changes by itself (IDX §2.9).
func rerenders(r *http.Request) bool {
	return strings.Contains(r.Header.Get("X-Okta-User-Agent-Extended"), "okta-signin-widget")
}

// known tells whether a path belongs to a field of the protocol: there an array
// is an unknown field type (IDX E24); elsewhere unknown members are ignored.
func known(path string) bool {
	first, _, _ := strings.Cut(path, ".")
	switch first {
	case "identifier", "credentials", "userProfile", "authenticator", "stateHandle", "rememberMe", "interactionHandle", "stateToken":
		return true
	}
	return false
}

// readBody returns a status other than 0 for a request that cannot be read.
func readBody(w http.ResponseWriter, r *http.Request) (ion.Body, int) {
	mt, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ion.Body{}, http.StatusUnsupportedMediaType
	}
	switch mt {
	case "application/json", "application/ion+json", "application/vnd.okta.v1+json":
	default:
		return ion.Body{}, http.StatusUnsupportedMediaType
	}
	if v, ok := params["okta-version"]; ok && v != ion.Version {
		return ion.Body{}, http.StatusBadRequest
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, edge.MaxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return ion.Body{}, http.StatusRequestEntityTooLarge
	}
	if err != nil {
		return ion.Body{}, http.StatusBadRequest
	}
	body, err := ion.Decode(data)
	if err != nil {
		return ion.Body{}, http.StatusBadRequest
	}
	return body, 0
}

func (s *Server) write(w http.ResponseWriter, status int, d *ion.Document) {
	data, err := d.Encode()
	if err != nil {
		s.log.Error("document cannot be encoded", "err", err)
		status, data = http.StatusInternalServerError, []byte(`{"version":"1.0.0"}`)
	}
	t := ion.Type
	if status >= 400 {
		t = ion.ErrorType
	}
	w.Header().Set("Content-Type", t)
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client has gone away
}

// statusOf is this edge's table from kinds to statuses (IDX §4.2).
func statusOf(k problem.Kind) int {
	switch k {
	case problem.None:
		return http.StatusOK
	case problem.Invalid:
		return http.StatusBadRequest
	case problem.Unauthenticated, problem.Expired:
		return http.StatusUnauthorized
	case problem.Forbidden:
		return http.StatusForbidden
	case problem.NotFound:
		return http.StatusNotFound
	case problem.Conflict, problem.Stale:
		return http.StatusConflict
	case problem.Throttled:
		return http.StatusTooManyRequests
	case problem.Unavailable:
		return http.StatusServiceUnavailable
	case problem.Internal:
	}
	return http.StatusInternalServerError
}
