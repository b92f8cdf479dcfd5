package idx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// An Account is what a person may see and change of their own account, with the
// access token of the app that they are signed in to. Each method names the scope
// that the token needs; whoever may manage something may read it.
//
// Refusals are a *ResponseError, whose Causes name the values that are wrong, or a
// *StepUpError where the person must first prove anew who they are. A token that
// has ended is a *ResponseError of Status 401 and Code E0000011, a missing scope
// one of Status 403 and Code E0000006, too many calls one of Status 429 with
// RetryAfter.
//
// An Account keeps nothing but the token, and may be used by many goroutines.
type Account struct {
	c     *Client
	token string
}

// Account gives the account of the person whom the token was issued for. It makes
// no request.
func (c *Client) Account(accessToken string) *Account { return &Account{c, accessToken} }

// The scopes of an account, to be asked for in Config.Scopes.
const (
	ScopeProfileRead    = "okta.myAccount.profile.read"
	ScopeProfileManage  = "okta.myAccount.profile.manage"
	ScopeEmailRead      = "okta.myAccount.email.read"
	ScopeEmailManage    = "okta.myAccount.email.manage"
	ScopePasswordRead   = "okta.myAccount.password.read"
	ScopePasswordManage = "okta.myAccount.password.manage"
	ScopeSessionsManage = "okta.myAccount.sessions.manage"
)

// A StepUpError says that the call needs a newer or stronger proof than the token
// tells of (RFC 9470). Nothing was changed. Sign the person in with StartOptions
// and make the call again with the new token.
type StepUpError struct {
	MaxAge    time.Duration // how old the proof may be
	ACRValues []string      // the assurances that are enough, the most wanted first

	response *ResponseError
}

func (e *StepUpError) Error() string {
	return fmt.Sprintf("idx: a proof of the last %v is needed", e.MaxAge)
}

// Unwrap gives the engine's answer, a *ResponseError.
func (e *StepUpError) Unwrap() error {
	if e.response == nil {
		return nil
	}
	return e.response
}

// StartOptions begin a sign-in that gives a token that is enough.
func (e *StepUpError) StartOptions() StartOptions {
	age := e.MaxAge
	return StartOptions{MaxAge: &age, ACRValues: e.ACRValues}
}

// challengeAge reads max_age, which the engine writes as a bare number (RFC 9470 §3).
var challengeAge = regexp.MustCompile(`[ ,]max_age="?([0-9]{1,9})"?(?:,|\s|$)`)

// refusal makes an error of an answer that is none of those asked for.
func (r *response) refusal() error {
	e := r.failure()
	if e.Code == "" {
		e.Code, e.Description = challengeParam(r.challenge, "error"), challengeParam(r.challenge, "error_description")
	}
	name := challengeParam(r.challenge, "error")
	if name != "insufficient_authentication_context" && name != "insufficient_user_authentication" {
		return e
	}
	up := &StepUpError{ACRValues: strings.Fields(challengeParam(r.challenge, "acr_values")), response: e}
	if m := challengeAge.FindStringSubmatch(r.challenge); m != nil {
		n, _ := strconv.Atoi(m[1]) // digits, by the expression
		up.MaxAge = time.Duration(n) * time.Second
	}
	return up
}

// call makes one request. body and into may be nil. The answer must be of the
// class 2xx.
func (a *Account) call(ctx context.Context, method, path string, body, into any) error {
	res, err := a.send(ctx, method, path, body, maxBody)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(res.body, into); err != nil {
		return fmt.Errorf("idx: %s: %w", path, err)
	}
	return nil
}

func (a *Account) send(ctx context.Context, method, path string, body any, limit int) (*response, error) {
	if a.token == "" {
		return nil, errors.New("idx: no access token")
	}
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("idx: %s: %w", path, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, a.c.idx+"/idp/myaccount"+path, bytes.NewReader(sent))
	if err != nil {
		return nil, fmt.Errorf("idx: %w", err)
	}
	// The engine's own clients name the version; without it some engines refuse.
	req.Header.Set("Accept", "application/json; okta-version=1.0.0")
	req.Header.Set("Authorization", "Bearer "+a.token)
	if body != nil {
		req.Header.Set("Content-Type", jsonType)
	}
	res, err := a.c.doUpTo(req, limit)
	if err != nil {
		return nil, err
	}
	if res.status < 200 || res.status > 299 {
		return nil, res.refusal()
	}
	return res, nil
}

// Proof tells whether a change that needs a proof no older than maxAge would go
// through: nil, or a *StepUpError. It changes nothing. Ask before a person fills a
// form in, for what they typed would be lost on the way through another sign-in.
// Of the engine's changes UpdateProfile and Data need 15 minutes, the others 5 (the
// scope okta.myAccount.profile.read).
func (a *Account) Proof(ctx context.Context, maxAge time.Duration) error {
	return a.call(ctx, http.MethodGet, "/proof?max_age="+strconv.Itoa(int(maxAge/time.Second)), nil, nil)
}

// RemovalProof tells whether RemoveMethod would go through: nil, or what it would be
// refused with. It changes nothing. What a sign-in has set up it may remove again for
// five minutes, though Proof asks for more (the scope okta.myAccount.profile.read).
func (a *Account) RemovalProof(ctx context.Context, id string) error {
	// An engine that does not know "remove" goes by the age.
	return a.call(ctx, http.MethodGet, "/proof?max_age=300&remove="+url.QueryEscape(id), nil, nil)
}

// An AccountProfile is what an account says of its person.
type AccountProfile struct {
	CreatedAt, ModifiedAt time.Time

	// Values are by property: a string, a json.Number, a bool, or nil where there is none.
	Values map[string]any
}

// Text gives a value as text, "" where there is none.
func (p *AccountProfile) Text(name string) string {
	if v := p.Values[name]; v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

type profileBody struct {
	CreatedAt  time.Time      `json:"createdAt"`
	ModifiedAt time.Time      `json:"modifiedAt"`
	Profile    map[string]any `json:"profile"`
}

func (a *Account) profile(ctx context.Context, method string, body any) (*AccountProfile, error) {
	res, err := a.send(ctx, method, "/profile", body, maxBody)
	if err != nil {
		return nil, err
	}
	var got profileBody
	d := json.NewDecoder(bytes.NewReader(res.body))
	d.UseNumber() // a number must go back as it came
	if err := d.Decode(&got); err != nil {
		return nil, fmt.Errorf("idx: /profile: %w", err)
	}
	return &AccountProfile{CreatedAt: got.CreatedAt, ModifiedAt: got.ModifiedAt, Values: got.Profile}, nil
}

// Profile reads the profile (okta.myAccount.profile.read).
func (a *Account) Profile(ctx context.Context) (*AccountProfile, error) {
	return a.profile(ctx, http.MethodGet, nil)
}

// UpdateProfile puts values in the place of the profile's: all that Profile gives,
// as read or changed. One that is left out or is read only and changed is refused,
// nil empties one. If anything is refused nothing is changed, and Causes has one
// for each fault (okta.myAccount.profile.manage).
func (a *Account) UpdateProfile(ctx context.Context, values map[string]any) (*AccountProfile, error) {
	return a.profile(ctx, http.MethodPut, map[string]any{"profile": values})
}

// A ProfileProperty describes one value of the profile.
type ProfileProperty struct {
	Name, Title string
	Type        string // "string", "number" or "boolean"
	Required    bool
	ReadOnly    bool
	MinLength   int
	MaxLength   int      // 0: not told
	Enum        []string // the values that may be chosen; none: any
}

// Schema describes the values of the profile, in the order of the engine's answer
// (okta.myAccount.profile.read).
func (a *Account) Schema(ctx context.Context) ([]ProfileProperty, error) {
	var body struct {
		Properties json.RawMessage `json:"properties"`
	}
	if err := a.call(ctx, http.MethodGet, "/profile/schema", nil, &body); err != nil {
		return nil, err
	}
	var all []ProfileProperty
	d := json.NewDecoder(bytes.NewReader(body.Properties))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("idx: /profile/schema: no properties")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("idx: /profile/schema: %w", err)
		}
		var one struct {
			Title       string            `json:"title"`
			Type        string            `json:"type"`
			Required    bool              `json:"required"`
			MinLength   int               `json:"minLength"`
			MaxLength   int               `json:"maxLength"`
			Enum        []string          `json:"enum"`
			Permissions map[string]string `json:"permissions"`
		}
		if err := d.Decode(&one); err != nil {
			return nil, fmt.Errorf("idx: /profile/schema: %w", err)
		}
		all = append(all, ProfileProperty{
			Name: fmt.Sprint(name), Title: one.Title, Type: one.Type, Required: one.Required, MinLength: one.MinLength,
			MaxLength: one.MaxLength, Enum: one.Enum, ReadOnly: one.Permissions["SELF"] == "READ_ONLY",
		})
	}
	return all, nil
}

func escape(id string) string { return url.PathEscape(id) }
