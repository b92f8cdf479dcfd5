// Package adminapi is the HTTP edge of what operators do: the field's management
// API as far as it goes, and the organisation's document.
//
// It knows nobody: who reaches it may do all of it. So it is served on a socket
// that the file system protects, never on the public listener (docs/operate.md).
package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/admin"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

const (
	maxBody = 256 << 10 // (SEC S-135)
	maxOrg  = 1 << 20
)

// Config is what a handler is made of; every field but Logger is required.
type Config struct {
	Admin *admin.Service
	// Data is the document of all that is held about a user, as JSON.
	Data      func(ctx context.Context, userID string) (any, error)
	PublicURL string
	Admission *edge.Admission // lets lists in; nil: all of them
	Logger    *slog.Logger
}

type server struct {
	admin *admin.Service
	data  func(ctx context.Context, userID string) (any, error)
	base  string // of the links in answers
	log   *slog.Logger
}

// New returns the handler of everything under /api/v1/.
func New(c Config) http.Handler {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{admin: c.Admin, data: c.Data, base: c.PublicURL + "/api/v1", log: c.Logger}
	mux := http.NewServeMux()
	list := func(h http.Handler) http.HandlerFunc {
		return c.Admission.Handler(edge.Always(edge.List), s.fail, h).ServeHTTP
	}
	for _, routes := range []map[string]endpoint{s.users(), s.groups(), s.apps(), s.org()} {
		paths := map[string]edge.Methods{}
		for pattern, e := range routes {
			method, path, _ := strings.Cut(pattern, " ")
			if paths[path] == nil {
				paths[path] = edge.Methods{}
			}
			paths[path][method] = s.serve(e)
			switch pattern { // what grows with the number of people, or with the audit log (REL)
			case "GET /users", "GET /groups", "GET /groups/{group}/users", "GET /apps", "GET /stile/users/{user}/data":
				paths[path][method] = list(paths[path][method])
			}
		}
		for path, m := range paths {
			mux.Handle("/api/v1"+path, m)
		}
	}
	mux.HandleFunc("/", edge.NotFound.Write)
	return sameOrigin(mux)
}

// An endpoint returns what to answer with: nil is 204, a *created is 201.
type endpoint func(w http.ResponseWriter, r *http.Request) (any, error)

type created struct{ body any }

func (s *server) serve(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := e(w, r)
		switch made, ok := body.(*created); {
		case err != nil:
			s.fail(w, r, err)
		case ok:
			edge.WriteJSON(w, http.StatusCreated, made.body)
		case body == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			edge.WriteJSON(w, http.StatusOK, body)
		}
	}
}

// sameOrigin refuses what a page in a browser sends, whosever it is (SEC S-129).
func sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			edge.Forbidden.Write(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fail answers with an error: this is the table from kinds to the wire (MGMT §2.3).
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var invalid *admin.Invalid
	var p *problem.Error
	err = edge.InTime(r, err)
	switch {
	case errors.As(err, &invalid):
		field, _, _ := strings.Cut(invalid.Causes[0], ":")
		edge.APIError{Status: http.StatusBadRequest, Code: "E0000001", Summary: "Api validation failed: " + field, Causes: invalid.Causes}.Write(w, r)
		return
	case !errors.As(err, &p):
		s.log.ErrorContext(r.Context(), "admin", "err", err, "request", edge.RequestID(r.Context()))
		edge.APIError{Status: http.StatusInternalServerError, Code: "E0000009", Summary: "Internal Server Error"}.Write(w, r)
		return
	}
	answer := edge.APIError{Code: p.Code, Summary: p.Detail}
	for _, row := range []struct {
		kind   problem.Kind
		status int
		code   string
	}{
		{problem.Invalid, http.StatusBadRequest, "E0000003"},
		{problem.Forbidden, http.StatusForbidden, "E0000006"},
		{problem.NotFound, http.StatusNotFound, "E0000007"},
		{problem.Conflict, http.StatusConflict, "E0000157"},
		{problem.Stale, http.StatusPreconditionFailed, "stale"},
		{problem.Unavailable, http.StatusServiceUnavailable, "E0000010"},
	} {
		if row.kind == p.Kind {
			answer.Status = row.status
			if answer.Code == "" {
				answer.Code = row.code
			}
		}
	}
	if answer.Status == 0 {
		s.log.ErrorContext(r.Context(), "admin", "err", err, "request", edge.RequestID(r.Context()))
		answer = edge.APIError{Status: http.StatusInternalServerError, Code: "E0000009", Summary: "Internal Server Error"}
	}
	if answer.Status == http.StatusServiceUnavailable {
		edge.SetRetryAfter(w, max(p.RetryAfter, time.Second))
	}
	answer.Write(w, r)
}

// read decodes a body, which may be empty. Members that it does not know are
// those of a resource that was read before (MGMT §1).
func read(w http.ResponseWriter, r *http.Request, into any) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return problem.New(problem.Invalid, "", "The request body was not well-formed: %v", err)
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return problem.New(problem.Invalid, "", "The request body was not well-formed: %v", err)
	}
	return nil
}

// A Time is written with milliseconds, and as null where there is none.
type Time time.Time

// MarshalJSON implements [json.Marshaler].
func (t Time) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(time.Time(t).UTC().Format("2006-01-02T15:04:05.000Z"))
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Time) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, (*time.Time)(t)) }

// A Link is one of _links.
type Link struct {
	Href   string `json:"href"`
	Method string `json:"method,omitempty"`
}

func flag(r *http.Request, name string, def bool) (bool, error) {
	switch v := r.URL.Query().Get(name); v {
	case "":
		return def, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return def, &admin.Invalid{Causes: []string{name + ": must be true or false, not '" + v + "'"}}
	}
}
