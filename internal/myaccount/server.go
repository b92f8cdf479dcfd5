// Package myaccount is the HTTP edge of what people change about their account:
// /idp/myaccount/* for apps, and the pages of the links that are mailed about it.
package myaccount

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

// Tokens checks the access token of a request.
type Tokens interface {
	// CheckAccessToken returns whom a token that has a scope acts for. Refusals are
	// a *problem.Error of Code "invalid_token" or "insufficient_scope".
	CheckAccessToken(ctx context.Context, raw, scope string) (account.Actor, error)
}

// Config is what a Server is made of.
type Config struct {
	Accounts  *account.Accounts
	Tokens    Tokens
	PublicURL string // the org URL, without a trailing slash
	// LinkTicket finds the change of address that the token of a mailed link names.
	LinkTicket func(token string) (id string, ok bool)
	// Brand is how the pages look; nil: as the engine's own.
	Brand func() edge.Brand
	// Admission lets requests in; nil: all of them.
	Admission *edge.Admission
	Logger    *slog.Logger
}

// A Server answers /idp/myaccount/*. Headers and CORS are put around it by the
// app, for GET, POST, PUT and DELETE.
type Server struct {
	accounts *account.Accounts
	tokens   Tokens
	base     string // of the API, absolute
	origin   string
	link     func(string) (string, bool)
	brand    func() edge.Brand
	log      *slog.Logger
	admit    *edge.Admission
	api      *http.ServeMux
	pages    *http.ServeMux
}

// The scopes of AUTH §14.2. Whoever may manage something may read it.
const (
	profileRead    = "okta.myAccount.profile.read"
	profileManage  = "okta.myAccount.profile.manage"
	emailRead      = "okta.myAccount.email.read"
	emailManage    = "okta.myAccount.email.manage"
	phoneRead      = "okta.myAccount.phone.read"
	phoneManage    = "okta.myAccount.phone.manage"
	passwordRead   = "okta.myAccount.password.read"
	passwordManage = "okta.myAccount.password.manage"
	sessionsManage = "okta.myAccount.sessions.manage"
)

const prefix = "/idp/myaccount"

// New returns a Server.
func New(c Config) *Server {
	s := &Server{
		accounts: c.Accounts, tokens: c.Tokens, base: c.PublicURL + prefix, origin: edge.OriginOf(c.PublicURL),
		link: c.LinkTicket, brand: c.Brand, log: c.Logger, admit: c.Admission, api: http.NewServeMux(), pages: http.NewServeMux(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.route("/profile", operations{
		http.MethodGet: {profileRead, (*call).profile},
		http.MethodPut: {profileManage, (*call).updateProfile},
	})
	s.route("/profile/schema", operations{http.MethodGet: {profileRead, (*call).schema}})
	s.route("/emails", operations{
		http.MethodGet:  {emailRead, (*call).emails},
		http.MethodPost: {emailManage, (*call).addEmail},
	})
	s.route("/emails/{id}", operations{
		http.MethodGet:    {emailRead, (*call).email},
		http.MethodDelete: {emailManage, (*call).deleteEmail},
	})
	s.route("/emails/{id}/challenge", operations{http.MethodPost: {emailManage, (*call).challengeEmail}})
	// okta-auth-js polls by POST, what the document says is GET (AUTH §14.2).
	s.route("/emails/{id}/challenge/{challenge}", operations{
		http.MethodGet:  {emailManage, (*call).pollEmail},
		http.MethodPost: {emailManage, (*call).pollEmail},
	})
	s.route("/emails/{id}/challenge/{challenge}/verify", operations{http.MethodPost: {emailManage, (*call).verifyEmail}})
	s.route("/phones", operations{
		http.MethodGet:  {phoneRead, (*call).phones},
		http.MethodPost: {phoneManage, (*call).addPhone},
	})
	s.route("/phones/{id}", operations{
		http.MethodGet:    {phoneRead, (*call).phone},
		http.MethodDelete: {phoneManage, (*call).deletePhone},
	})
	s.route("/phones/{id}/challenge", operations{http.MethodPost: {phoneManage, (*call).challengePhone}})
	s.route("/phones/{id}/verify", operations{http.MethodPost: {phoneManage, (*call).verifyPhone}})
	s.route("/password", operations{
		http.MethodGet:    {passwordRead, (*call).password},
		http.MethodPost:   {passwordManage, (*call).setPassword},
		http.MethodPut:    {passwordManage, (*call).changePassword},
		http.MethodDelete: {passwordManage, (*call).removePassword},
	})
	s.route("/sessions", operations{http.MethodDelete: {sessionsManage, (*call).signOutEverywhere}})

	// Ours (docs/account.md).
	s.route("/devices", operations{
		http.MethodGet:    {sessionsManage, (*call).devices},
		http.MethodDelete: {sessionsManage, (*call).endOtherDevices},
	})
	s.route("/devices/{id}", operations{http.MethodDelete: {sessionsManage, (*call).endDevice}})
	s.route("/methods", operations{http.MethodGet: {profileRead, (*call).methods}})
	s.route("/methods/{id}", operations{
		http.MethodPut:    {profileManage, (*call).renameMethod},
		http.MethodDelete: {profileManage, (*call).removeMethod},
	})
	s.route("/proof", operations{http.MethodGet: {profileRead, (*call).proof}})
	s.route("/data", operations{http.MethodGet: {profileManage, (*call).data}})
	s.route("/deletion", operations{
		http.MethodGet:    {profileRead, (*call).deletion},
		http.MethodPost:   {profileManage, (*call).requestDeletion},
		http.MethodDelete: {profileManage, (*call).cancelDeletion},
	})
	s.api.HandleFunc("/", edge.NotFound.Write)
	s.routePages()
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.api.ServeHTTP(w, r) }

// An operation is what one method of a path does, and the scope that it needs.
type operation struct {
	scope string
	do    func(*call) error
}

type operations map[string]operation

// A call is one request of a person's app.
type call struct {
	*Server
	w  http.ResponseWriter
	r  *http.Request
	by account.Actor
}

func (s *Server) route(path string, all operations) {
	methods := edge.Methods{}
	for method, op := range all {
		methods[method] = func(w http.ResponseWriter, r *http.Request) {
			c := &call{Server: s, w: w, r: r}
			err := c.authorize(op.scope)
			if err == nil {
				err = op.do(c)
			}
			if err != nil {
				s.fail(w, r, err)
			}
		}
	}
	s.api.Handle(prefix+path, s.admit.Handler(edge.Always(edge.Answer), s.fail, methods))
}

var errNoToken = problem.New(problem.Unauthenticated, "invalid_token", "An access token is required.")

// authorize finds out for whom the request acts. A token is taken from the header
// alone: in a query or a form it would be logged (RFC 6750 §5.3).
func (c *call) authorize(scope string) error {
	headers := c.r.Header.Values("Authorization")
	if len(headers) != 1 {
		return errNoToken
	}
	scheme, raw, _ := strings.Cut(headers[0], " ")
	if raw = strings.TrimSpace(raw); !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return errNoToken
	}
	var err error
	c.by, err = c.tokens.CheckAccessToken(c.r.Context(), raw, scope)
	return err
}

var (
	errBody  = edge.APIError{Status: http.StatusBadRequest, Code: "E0000003", Summary: "The request body was not well-formed."}
	errMedia = edge.APIError{Status: http.StatusUnsupportedMediaType, Code: "E0000021", Summary: "Bad request.  Accept and/or Content-Type headers are likely not set."}
	errLarge = edge.APIError{Status: http.StatusRequestEntityTooLarge, Code: "E0000003", Summary: "The request body is too large."}
)

// refusal is an answer that is a finished error already.
type refusal struct{ edge.APIError }

func (r refusal) Error() string { return r.Summary }

// read decodes a JSON body. None at all leaves v as it is, where that is allowed.
// A member that stands twice in an object has no one meaning (SEC S-135).
func (c *call) read(v any, optional bool) error {
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, edge.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return refusal{errLarge}
	case err != nil:
		return refusal{errBody}
	case len(data) == 0 && optional:
		return nil
	}
	if mt, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || mt != "application/json" {
		return refusal{errMedia}
	}
	if !unambiguous(data) || json.Unmarshal(data, v) != nil {
		return refusal{errBody}
	}
	return nil
}

// unambiguous reports whether data is one JSON object without a member twice in
// any object, in whatever case, since the decoder does not tell case apart.
func unambiguous(data []byte) bool {
	d := json.NewDecoder(strings.NewReader(string(data)))
	var open []map[string]bool // nil for an array
	key := false               // the next string is a member's name
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return len(open) == 0
		}
		if err != nil {
			return false
		}
		inObject := func() bool { return len(open) > 0 && open[len(open)-1] != nil }
		switch t := t.(type) {
		case json.Delim:
			switch t {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
			key = inObject()
			if len(open) > maxDepth {
				return false
			}
		case string:
			if !key {
				key = inObject()
				continue
			}
			name := strings.ToLower(t)
			if open[len(open)-1][name] {
				return false
			}
			open[len(open)-1][name] = true
			key = false
		default:
			key = inObject()
		}
	}
}

// maxDepth is deeper than any body that is understood.
const maxDepth = 8

// at writes a time as the API does.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
