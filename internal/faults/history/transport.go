package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Transport writes all that passes through it into a journal. One is a client's.
type Transport struct {
	Journal *Journal
	Client  string
	IP      string // what the client says in X-Forwarded-For; empty: nothing
	Base    http.RoundTripper
}

// maxBody bounds what is read of an answer.
const maxBody = 1 << 20

// RoundTrip implements [http.RoundTripper]. It returns once the whole answer is there.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.GetBody = nil // net/http must not send it again by itself: the journal would miss it
	}
	if t.IP != "" {
		r.Header.Set("X-Forwarded-For", t.IP)
	}
	asked := requested(r, body)
	asked.Client, asked.At = t.Client, time.Now()
	n, err := t.Journal.Sent(asked)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	res, err := t.Base.RoundTrip(r)
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(res.Body, maxBody))
		err = errors.Join(err, res.Body.Close())
	}
	got := Answer{Took: time.Since(asked.At)}
	if err != nil {
		got.Lost = err.Error()
	} else {
		answered(&got, res.StatusCode, data)
		res.Body = io.NopCloser(bytes.NewReader(data))
	}
	if jerr := t.Journal.Got(n, got); jerr != nil {
		return nil, fmt.Errorf("journal: %w", jerr)
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}

func requested(r *http.Request, body []byte) Request {
	q := Request{Method: r.Method, Path: r.URL.Path}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		q.Secret = bearer
	}
	if hint := r.URL.Query().Get("id_token_hint"); hint != "" {
		q.Secret = hint
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, _ := url.ParseQuery(string(body))
		q.Grant = form.Get("grant_type")
		for _, name := range []string{"interaction_code", "refresh_token", "token"} {
			if v := form.Get(name); v != "" {
				q.Secret = v
			}
		}
		return q
	}
	var in struct {
		StateHandle string `json:"stateHandle"`
		Interaction string `json:"interactionHandle"`
		Identifier  string `json:"identifier"`
		UserProfile struct {
			Email string `json:"email"`
		} `json:"userProfile"`
		Credentials struct {
			Passcode string `json:"passcode"`
		} `json:"credentials"`
	}
	if json.Unmarshal(body, &in) == nil {
		q.Handle, q.Address, q.Passcode = in.StateHandle, in.UserProfile.Email, in.Credentials.Passcode
		if q.Address == "" {
			q.Address = in.Identifier
		}
		if q.Handle == "" {
			q.Handle = in.Interaction
		}
	}
	return q
}

// stages tells by the names of what is offered how far a transaction is.
var stages = map[string]Stage{
	"identify": Begun, "enroll-profile": Filling,
	"enroll-authenticator": Asked, "challenge-authenticator": Asked,
	"skip": Proven,
}

func answered(a *Answer, status int, body []byte) {
	a.Status = status
	if status >= 500 {
		a.Body = string(body)
	}
	type field struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	}
	var out struct {
		StateHandle string `json:"stateHandle"`
		Messages    struct {
			Value []struct {
				Class string `json:"class"`
				I18n  struct {
					Key string `json:"key"`
				} `json:"i18n"`
			} `json:"value"`
		} `json:"messages"`
		Remediation struct {
			Value []struct {
				Name  string          `json:"name"`
				Value json.RawMessage `json:"value"`
			} `json:"value"`
		} `json:"remediation"`
		User struct {
			Value struct {
				ID string `json:"id"`
			} `json:"value"`
		} `json:"user"`
		Success *struct {
			Value []field `json:"value"`
		} `json:"successWithInteractionCode"`

		Error     string            `json:"error"`
		ErrorCode string            `json:"errorCode"`
		Access    string            `json:"access_token"`
		Refresh   string            `json:"refresh_token"`
		ID        string            `json:"id_token"`
		Keys      []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(body, &out) != nil {
		return
	}
	a.Handle, a.User = out.StateHandle, out.User.Value.ID
	a.Access, a.Refresh, a.ID = out.Access, out.Refresh, out.ID
	for _, m := range out.Messages.Value {
		if m.Class == "ERROR" && a.Error == "" {
			a.Error = m.I18n.Key
		}
	}
	for _, e := range []string{out.Error, out.ErrorCode} {
		if e != "" {
			a.Error = e
		}
	}
	for i, r := range out.Remediation.Value {
		if s := stages[r.Name]; s > a.Stage && (i == 0 || r.Name == "skip") {
			a.Stage = s
		}
		if strings.Contains(string(r.Value), `"messages"`) && a.Error == "" { // at a field
			a.Error = "at a field of " + r.Name
		}
	}
	if out.Success != nil {
		a.Stage = Finished
		for _, f := range out.Success.Value {
			if v, ok := f.Value.(string); ok && f.Name == "interaction_code" {
				a.Code = v
			}
		}
	}
	if len(out.Keys) > 0 {
		a.JWKS = string(body)
		for _, raw := range out.Keys {
			var k struct {
				KID string `json:"kid"`
			}
			if json.Unmarshal(raw, &k) == nil {
				a.Keys = append(a.Keys, k.KID)
			}
		}
	}
}
