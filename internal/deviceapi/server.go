// Package deviceapi is the HTTP edge for people's devices: what a device that
// approves sign-ins asks and answers, and the web app that makes one of a phone.
package deviceapi

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
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
)

// A Statement is what a device says, of which its signature was checked.
type Statement struct {
	Token   string // of the link by which it enrols
	Name    string // of the device
	Unique  []byte // of a device that enrols: what tells it from all others
	Request string // that it answers
	Approve bool
	// Subscription is where it can be woken from now on; null: nowhere.
	Subscription json.RawMessage
}

// The refusals of a statement.
var (
	ErrStatement = errors.New("deviceapi: not a statement of this device")
	ErrClock     = errors.New("deviceapi: the statement's time is not now")
)

// Codes is how a device makes one-time codes (RFC 6238).
type Codes struct {
	Secret string // base32
	Digits int
	Period time.Duration
}

// Authenticator is the one whose enrollments are devices. The errors of its
// methods are ErrStatement, ErrClock and faults.
type Authenticator interface {
	Key() string
	// Link reads a genuine link's token.
	Link(token string) (transaction, challenge string, expiresAt time.Time, ok bool)
	// Enrolling reads the statement of a device that enrols, signed with the key that it shows.
	Enrolling(text string) (Statement, error)
	// Device tells which device a statement says it is from; nothing is verified.
	Device(text string) (id string, ok bool)
	// Said reads a statement made for a path, signed with the key of a credential.
	Said(c authenticator.Credential, text, path string) (Statement, error)
	Codes(authenticator.Credential) (Codes, error)
	// Rename is ok for a name that a device can have.
	Rename(c authenticator.Credential, name string) (_ authenticator.Credential, ok bool)
	// Wake keeps where a device can be woken; nil: nowhere.
	Wake(c authenticator.Credential, subscription json.RawMessage) (authenticator.Credential, error)
	// WokenBy is what Wake keeps; nil: nothing.
	WokenBy(authenticator.Credential) []byte
}

// A Waker wakes devices by what their browsers subscribe with.
type Waker interface {
	Key() string
	// Read checks a subscription, and returns it as it is kept.
	Read(subscription []byte) ([]byte, error)
	// Wakes reports whether what Read returned once is of use now.
	Wakes(kept []byte) bool
}

// Config is what a Server is made of.
type Config struct {
	Engine        *flow.Engine
	Accounts      *account.Accounts
	Authenticator Authenticator
	Waker         Waker             // nil: nothing wakes devices
	Brand         func() edge.Brand // of the web app
	PublicURL     string
	// Agent names the browser and the system of a User-Agent header.
	Agent     func(userAgent string) (browser, system string)
	Rules     limit.Rules
	Admission *edge.Admission
	Now       func() time.Time
	Logger    *slog.Logger
}

// A Server answers /device/v1/*, /auth/push/link and /phone*.
type Server struct {
	Config
	local *limit.Local
	mux   *http.ServeMux
}

// New returns a Server.
func New(c Config) (*Server, error) {
	s := &Server{Config: c, local: limit.NewLocal(), mux: http.NewServeMux()}
	for path, h := range map[string]func(context.Context, string) (any, error){
		"/device/v1/enroll": s.enroll, "/device/v1/requests": s.requests, "/device/v1/answer": s.answer,
		"/device/v1/rename": s.rename, "/device/v1/leave": s.leave,
		"/device/v1/wake": s.wake,
	} {
		class := edge.Answer
		if path == "/device/v1/requests" { // it comes again by itself
			class = edge.Step
		}
		s.mux.Handle(path, c.Admission.Handler(edge.Always(class), s.fail, edge.Methods{http.MethodPost: s.take(h)}))
	}
	return s, s.pages()
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// StatementType is the media type of a request's body: a statement and nothing else.
const StatementType = "application/jose"

const maxStatement = 4 << 10

// take reads the statement that a request consists of, and answers in JSON.
func (s *Server) take(act func(context.Context, string) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != StatementType {
			refuse(w, http.StatusUnsupportedMediaType, "invalid_request", "The body must be a statement, of type "+StatementType+".")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxStatement))
		if err != nil {
			refuse(w, http.StatusRequestEntityTooLarge, "invalid_request", "The statement is too long.")
			return
		}
		out, err := act(r.Context(), strings.TrimSpace(string(body)))
		if err != nil {
			s.fail(w, r, err)
			return
		}
		edge.WriteJSON(w, http.StatusOK, out)
	}
}

func refuse(w http.ResponseWriter, status int, code, text string) {
	edge.WriteJSON(w, status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, text})
}

// The refusals of this edge.
var (
	errDevice = problem.New(problem.NotFound, "unknown_device", "This device is not registered, or was removed.")
	errGone   = problem.New(problem.Expired, "gone", "This is not waited for any more.")
	errName   = problem.New(problem.Invalid, "invalid_name", "The name is empty, too long, or has characters that cannot be shown.")
	errWake   = problem.New(problem.Invalid, "invalid_subscription", "This is not a subscription at a push service that devices are woken by.")
	errAsleep = problem.New(problem.Forbidden, "not_offered", "No device is woken here.")
	errTaken  = problem.New(problem.Conflict, "not_enrolled", "This device cannot be added.")
)

// statuses is this edge's table from kinds.
var statuses = map[problem.Kind]int{
	problem.Invalid: http.StatusBadRequest, problem.Forbidden: http.StatusForbidden, problem.NotFound: http.StatusNotFound,
	problem.Conflict: http.StatusConflict, problem.Expired: http.StatusGone, problem.Throttled: http.StatusTooManyRequests,
	problem.Unavailable: http.StatusServiceUnavailable,
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	err = edge.InTime(r, err)
	var p *problem.Error
	switch {
	case errors.Is(err, ErrStatement):
		refuse(w, http.StatusUnauthorized, "invalid_statement", "The statement is not signed by this device for this address.")
	case errors.Is(err, ErrClock):
		refuse(w, http.StatusUnauthorized, "wrong_time", "The statement's time is more than a minute from that of the Date header.")
	case errors.As(err, &p) && statuses[p.Kind] != 0:
		if p.RetryAfter > 0 || p.Kind == problem.Unavailable {
			edge.SetRetryAfter(w, max(p.RetryAfter, time.Second))
		}
		refuse(w, statuses[p.Kind], p.Code, p.Detail)
	default:
		s.Logger.ErrorContext(r.Context(), "request of a device failed", "request", edge.RequestID(r.Context()), "err", err)
		refuse(w, http.StatusInternalServerError, "server_error", "Something went wrong. Request "+edge.RequestID(r.Context()))
	}
}
