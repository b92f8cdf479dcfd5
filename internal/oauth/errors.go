package oauth

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

// dialect is how the kinds of refusals look in OAuth (RFC 6749 §5.2, IDX §1.6):
// the status, and the error where the refusal does not name one itself.
var dialect = map[problem.Kind]struct {
	status int
	code   string
}{
	problem.Invalid:         {http.StatusBadRequest, "invalid_request"},
	problem.Unauthenticated: {http.StatusUnauthorized, "invalid_client"},
	problem.Forbidden:       {http.StatusBadRequest, "access_denied"},
	problem.NotFound:        {http.StatusBadRequest, "invalid_request"},
	problem.Conflict:        {http.StatusBadRequest, "invalid_request"},
	problem.Stale:           {http.StatusBadRequest, "invalid_grant"},
	problem.Expired:         {http.StatusBadRequest, "invalid_grant"},
	problem.Throttled:       {http.StatusTooManyRequests, "temporarily_unavailable"},
	problem.Unavailable:     {http.StatusServiceUnavailable, "temporarily_unavailable"},
	problem.Internal:        {http.StatusInternalServerError, "server_error"},
}

// The refusals of this package; each carries an OAuth error and a text that the
// client's developer reads.

func invalidRequest(format string, args ...any) *problem.Error {
	return problem.New(problem.Invalid, "invalid_request", format, args...)
}

func invalidClient(format string, args ...any) *problem.Error {
	return problem.New(problem.Unauthenticated, "invalid_client", format, args...)
}

var (
	errCode         = problem.New(problem.Invalid, "invalid_grant", "The interaction code is invalid or has expired.")
	errVerifier     = problem.New(problem.Invalid, "invalid_grant", "PKCE verification failed.")
	errRedirect     = problem.New(problem.Invalid, "invalid_grant", "The 'redirect_uri' does not match the redirection URI used in the authorization request.")
	errRefreshToken = problem.New(problem.Invalid, "invalid_grant", "The refresh token is invalid or expired.") // matched by okta-auth-js (IDX §1.8)
	errScope        = problem.New(problem.Invalid, "invalid_scope", "One or more scopes are not configured for the authorization server resource.")
	errNotActive    = problem.New(problem.Forbidden, "access_denied", "The user is not active.")
	errFeature      = problem.New(problem.Forbidden, "access_denied", "The requested feature is not enabled in this environment.")

	errClientID = invalidClient("Invalid value for 'client_id' parameter.")
	errNoClient = invalidClient("A client_id must be provided in the request.")
	errSecret   = invalidClient("The client secret supplied for a confidential client is invalid.")
	errNoSecret = invalidClient("A confidential client must authenticate with its client secret.")
)

func unauthorizedClient(c *Client) *problem.Error {
	return problem.New(problem.Invalid, "unauthorized_client",
		"The client is not authorized to use the provided grant type. Configured grant types: [%s].", strings.Join(c.GrantTypes, ", "))
}

// refusal returns err as the refusal to answer with. An error without an OAuth
// code, such as one of the store that nothing expected, is a fault.
func refusal(err error) *problem.Error {
	var p *problem.Error
	if errors.As(err, &p) && (p.Code != "" || p.Kind == problem.Unavailable || p.Kind == problem.Throttled) {
		return p
	}
	return &problem.Error{Kind: problem.Internal, Cause: err}
}

type errorBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// writeRefusal answers with an error. Both members are always there: okta-auth-js
// takes anything else for a failure without a message.
func writeRefusal(w http.ResponseWriter, r *http.Request, p *problem.Error) {
	d := dialect[p.Kind]
	body := errorBody{p.Code, p.Detail}
	if body.Error == "" {
		body.Error = d.code
	}
	switch p.Kind {
	case problem.Internal:
		body = errorBody{d.code, "Internal Server Error. Request id: " + edge.RequestID(r.Context())}
	case problem.Unavailable:
		body = errorBody{d.code, "Server is unable to respond at the moment."}
		edge.SetRetryAfter(w, max(p.RetryAfter, time.Second))
	case problem.Throttled:
		edge.SetTooMany(w, max(p.RetryAfter, time.Second))
		edge.TooManyRequests.Write(w, r)
		return
	}
	if body.Description == "" {
		body.Description = "The request was refused."
	}
	edge.WriteJSON(w, d.status, body)
}
