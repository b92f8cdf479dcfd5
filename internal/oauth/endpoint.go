package oauth

import (
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

// A call is one request to an endpoint of an authorization server.
type call struct {
	*Server
	issuer *issuer
	w      http.ResponseWriter
	r      *http.Request

	page          bool    // a person is answered, not a program
	client        *Client // as identify found it
	authenticated bool    // with its secret
	userID        string  // for the log
}

// An endpoint answers a call, or returns what it is refused with.
type endpoint func(*call) error

func (s *Server) serve(i *issuer, name string, e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := s.now()
		r.Body = http.MaxBytesReader(w, r.Body, edge.MaxBody)
		c := &call{Server: s, issuer: i, w: w, r: r}
		err := edge.InTime(r, e(c))
		if err != nil && edge.Gone(r) {
			return
		}
		c.record(name, s.now().Sub(start), err)
		if err == nil {
			return
		}
		p := refusal(err)
		if c.page {
			c.faultPage(p)
			return
		}
		if p.Kind == problem.Unauthenticated && triedBasic(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="`+i.URL+`"`) // due to whoever tried it (RFC 6749 §5.2)
		}
		writeRefusal(w, r, p)
	}
}

// record logs one line a request. No parameter is in it, nor the query, which may
// hold a secret.
func (c *call) record(name string, took time.Duration, err error) {
	level, outcome := slog.LevelDebug, "ok"
	attrs := []slog.Attr{
		slog.String("route", name), slog.String("server", c.issuer.ID),
		slog.String("request", edge.RequestID(c.r.Context())), slog.Float64("ms", float64(took)/float64(time.Millisecond)),
	}
	if c.client != nil {
		attrs = append(attrs, slog.String("client", c.client.ID))
	}
	if c.userID != "" {
		attrs = append(attrs, slog.String("user", c.userID))
	}
	if err != nil {
		p := refusal(err)
		switch outcome = p.Code; {
		case p.Kind == problem.Internal:
			level, outcome = slog.LevelError, "fault"
		case p.Kind == problem.Unavailable:
			level, outcome = slog.LevelWarn, "unavailable"
		default:
			level = slog.LevelInfo
		}
		attrs = append(attrs, slog.Any("err", err))
	}
	c.log.LogAttrs(c.r.Context(), level, "oauth", append(attrs, slog.String("outcome", outcome))...)
}

// params are the parameters of a request, each given once and not empty.
type params map[string]string

var parameterName = regexp.MustCompile(`^[a-z_]{1,40}$`)

// form reads the parameters of a form body and, with query, those of the URL
// too: okta-idx-golang sends its token request with an empty body (IDX §1.8).
// One that is given twice could be read differently by two parties, so it is
// refused (SEC S-76); an empty one counts as left out (RFC 6749 §3.1).
func (c *call) form(query bool) (params, error) {
	body, err := io.ReadAll(c.r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, invalidRequest("The request body is larger than %d bytes.", edge.MaxBody)
	}
	if err != nil {
		return nil, invalidRequest("The request body could not be read.")
	}
	if len(body) > 0 {
		mediaType, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
		if err != nil || mediaType != "application/x-www-form-urlencoded" {
			return nil, invalidRequest("The content type must be 'application/x-www-form-urlencoded'.")
		}
	}
	all, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("The request body is not a well-formed form.")
	}
	if query {
		more, err := url.ParseQuery(c.r.URL.RawQuery)
		if err != nil {
			return nil, invalidRequest("The query is malformed.")
		}
		for name, values := range more {
			all[name] = append(all[name], values...)
		}
	}
	p := params{}
	for name, values := range all {
		shown := "A parameter"
		if parameterName.MatchString(name) {
			shown = "The parameter '" + name + "'"
		}
		if len(values) > 1 {
			return nil, invalidRequest("%s is given more than once.", shown)
		}
		if !utf8.ValidString(values[0]) || strings.ContainsFunc(values[0], unicode.IsControl) {
			return nil, invalidRequest("%s has a control character or is not UTF-8.", shown)
		}
		if values[0] != "" {
			p[name] = values[0]
		}
	}
	return p, nil
}

// need returns a parameter that must be there.
func (p params) need(name string) (string, error) {
	if v := p[name]; v != "" {
		return v, nil
	}
	return "", invalidRequest("The '%s' parameter is missing.", name)
}
