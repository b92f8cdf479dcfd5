package myaccount

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// needsMore is what a client reads to sign the person in anew (AUTH §12.2, RFC
// 9470). okta-auth-js takes these bytes apart by a regular expression: no
// parenthesis, no equals sign, no question mark in a quoted value.
const needsMore = `Bearer realm="IdpMyAccountAPI", error="insufficient_authentication_context", ` +
	`error_description="The access token requires additional assurance to access the resource", max_age=%d, acr_values="` +
	policy.ACRTwoFactorsIfPossible + `"`

// fail is this edge's table from errors to answers (AUTH §14.4).
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if err = edge.InTime(r, err); edge.Gone(r) {
		return
	}
	var done refusal
	var stepUp *account.StepUp
	var invalid *account.Invalid
	var rejected *authenticator.Rejected
	switch {
	case errors.As(err, &done):
		done.Write(w, r)
		return
	case errors.As(err, &stepUp):
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(needsMore, int(stepUp.MaxAge.Seconds())))
		e := edge.Forbidden
		e.Summary = "The access token requires additional assurance to access the resource"
		e.Write(w, r)
		return
	case errors.As(err, &invalid):
		e := notValid("forUpdate")
		for _, f := range invalid.Faults {
			e.Causes = append(e.Causes, f.Name+": "+f.Text)
		}
		e.Write(w, r)
		return
	case errors.As(err, &rejected):
		e := notValid("password")
		for _, m := range rejected.Messages {
			e.Causes = append(e.Causes, "password: "+m.Text)
		}
		e.Write(w, r)
		return
	}
	var p *problem.Error
	if !errors.As(err, &p) {
		p = &problem.Error{Kind: problem.Internal}
	}
	s.refuse(w, r, p, err)
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, p *problem.Error, err error) {
	e := edge.APIError{Causes: []string{p.Detail}}
	switch p.Kind {
	case problem.Unauthenticated:
		e.Status = http.StatusUnauthorized
		switch p.Code {
		case "invalid_token":
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			e.Code, e.Summary, e.Causes = "E0000011", "Invalid token provided", nil
		case "currentPassword":
			e.Status, e.Code, e.Summary = http.StatusForbidden, "E0000014", "Update of credentials failed"
		default:
			e.Code, e.Summary = "E0000004", "Authentication failed"
		}
	case problem.Forbidden:
		if p.Code == "insufficient_scope" {
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
			e = edge.Forbidden
			break
		}
		if p.Code == account.SMSLimit || p.Code == account.CallLimit { // AUTH §1.4
			e = edge.APIError{Status: http.StatusForbidden, Code: "E0000150", Summary: p.Detail}
			if p.Code == account.CallLimit {
				e.Code = "E0000151"
			}
			break
		}
		e.Status, e.Code, e.Summary = http.StatusForbidden, "E0000038", "This operation is not allowed in the user's current status."
	case problem.Invalid:
		causes := e.Causes
		e = notValid(p.Code)
		e.Causes = causes
	case problem.NotFound:
		e = edge.NotFound
	case problem.Conflict:
		e.Status, e.Code, e.Summary = http.StatusConflict, "E0000157", "The operation conflicts with what is there already."
	case problem.Throttled:
		e = edge.TooManyRequests
		edge.SetTooMany(w, p.RetryAfter)
	case problem.Unavailable:
		e = edge.APIError{Status: http.StatusServiceUnavailable, Code: "E0000010", Summary: "Service is in read only mode"}
		edge.SetRetryAfter(w, max(p.RetryAfter, time.Second))
	default: // a fault: told by its id alone
		s.log.ErrorContext(r.Context(), "request failed", "request", edge.RequestID(r.Context()), "err", err)
		e = edge.APIError{Status: http.StatusInternalServerError, Code: "E0000009", Summary: "Internal Server Error"}
	}
	e.Write(w, r)
}

func notValid(what string) edge.APIError {
	return edge.APIError{Status: http.StatusBadRequest, Code: "E0000001", Summary: "Api validation failed: " + what}
}
