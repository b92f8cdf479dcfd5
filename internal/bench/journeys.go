package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
)

var (
	stateHandle     = regexp.MustCompile(`"stateHandle":"([^"]+)"`)
	interactionCode = regexp.MustCompile(`"name":"interaction_code","required":true,"value":"([^"]+)"`)
)

// journey is what one person does, n times in all.
func (v *visitor) journey(ctx context.Context, s setting, n int) (func(context.Context) error, error) {
	if s.server == "floor" { // where a sign-in is a sign-up
		return func(ctx context.Context) error { return v.someone().floorSignUp(ctx) }, nil
	}
	switch s.what {
	case "signup":
		return func(ctx context.Context) error { _, err := v.someone().signUp(ctx); return err }, nil
	case "signin": // by somebody else each time: one person gets few mails an hour
		known, err := v.signedUp(ctx, n, s.clients)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { _, err := (<-known).signIn(ctx); return err }, nil
	case "refresh":
		known, err := v.signedUp(ctx, n, s.clients)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return (<-known).refresh(ctx) }, nil
	case "check":
		known, err := v.signedUp(ctx, 2*s.clients, s.clients)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			p := <-known
			defer func() { known <- p }()
			return p.check(ctx)
		}, nil
	}
	return nil, fmt.Errorf("-what %q", s.what)
}

// A holder is a person who has signed up, with their tokens.
type holder struct {
	*person
	tokens map[string]any
}

func (v *visitor) signedUp(ctx context.Context, n, clients int) (chan holder, error) {
	known := make(chan holder, n)
	_, _, err := drive(ctx, n, clients, func(ctx context.Context) error {
		p := v.someone()
		tokens, err := p.signUp(ctx)
		if err == nil {
			known <- holder{p, tokens}
		}
		return err
	})
	return known, err
}

func (h holder) refresh(ctx context.Context) error {
	answer, err := h.form(ctx, "/oauth2/default/v1/token", url.Values{
		"grant_type": {"refresh_token"}, "client_id": {h.client}, "refresh_token": {fmt.Sprint(h.tokens["refresh_token"])},
	})
	if err == nil && (answer["access_token"] == nil || answer["refresh_token"] == nil) {
		err = errors.New("no tokens")
	}
	return err
}

// check asks the engine about a token, as an app does that does not read it by itself.
func (h holder) check(ctx context.Context) error {
	answer, err := h.form(ctx, "/oauth2/default/v1/introspect", url.Values{"client_id": {h.client}, "token": {fmt.Sprint(h.tokens["access_token"])}})
	if err == nil && answer["active"] != true {
		err = errors.New("a token is not active")
	}
	return err
}

// begin is interact and introspect.
func (p *person) begin(ctx context.Context) (handle string, err error) {
	begun, err := p.form(ctx, "/oauth2/default/v1/interact", url.Values{
		"client_id": {p.client}, "scope": {"openid profile email offline_access"}, "redirect_uri": {redirectURI},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "state": {"s"}, "nonce": {"n"},
	})
	if err != nil {
		return "", err
	}
	doc, err := p.idx(ctx, "introspect", `{"interactionHandle":%q}`, begun["interaction_handle"])
	if err != nil {
		return "", err
	}
	return found(stateHandle, doc)
}

func (p *person) idx(ctx context.Context, action, format string, args ...any) ([]byte, error) {
	return p.post(ctx, "/idp/idx/"+action, "application/json", fmt.Sprintf(format, args...))
}

func found(what *regexp.Regexp, doc []byte) (string, error) {
	m := what.FindSubmatch(doc)
	if m == nil {
		return "", fmt.Errorf("no %s in %s", what, doc)
	}
	return string(m[1]), nil
}

// signUp is a whole sign-up with an emailed code, nothing more set up, and the tokens.
func (p *person) signUp(ctx context.Context) (map[string]any, error) {
	h, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	if _, err = p.idx(ctx, "enroll", `{"stateHandle":%q}`, h); err != nil {
		return nil, err
	}
	if _, err = p.idx(ctx, "enroll/new", `{"stateHandle":%q,"userProfile":{"firstName":"Ada","lastName":"Lovelace","email":%q}}`, h, p.address()); err != nil {
		return nil, err
	}
	if _, err = p.prove(ctx, h); err != nil {
		return nil, err
	}
	doc, err := p.idx(ctx, "skip", `{"stateHandle":%q}`, h)
	if err != nil {
		return nil, err
	}
	return p.redeem(ctx, doc)
}

// signIn is a sign-in of a known person by an emailed code.
func (p *person) signIn(ctx context.Context) (map[string]any, error) {
	h, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	if _, err = p.idx(ctx, "identify", `{"stateHandle":%q,"identifier":%q}`, h, p.address()); err != nil {
		return nil, err
	}
	doc, err := p.prove(ctx, h)
	if err != nil {
		return nil, err
	}
	return p.redeem(ctx, doc)
}

func (p *person) prove(ctx context.Context, handle string) ([]byte, error) {
	code, err := p.code(ctx)
	if err != nil {
		return nil, err
	}
	return p.idx(ctx, "challenge/answer", `{"stateHandle":%q,"credentials":{"passcode":%q}}`, handle, code)
}

func (p *person) redeem(ctx context.Context, doc []byte) (map[string]any, error) {
	code, err := found(interactionCode, doc)
	if err != nil {
		return nil, err
	}
	return p.form(ctx, "/oauth2/default/v1/token", url.Values{
		"grant_type": {"interaction_code"}, "interaction_code": {code}, "client_id": {p.client}, "code_verifier": {verifier},
	})
}

// floorSignUp is the floor's six requests.
func (p *person) floorSignUp(ctx context.Context) error {
	var begun struct{ Handle string }
	data, err := p.post(ctx, "/interact", "application/json", "{}")
	if err == nil {
		err = json.Unmarshal(data, &begun)
	}
	for _, step := range []string{"introspect", "identify", "challenge", "answer", "token"} {
		if err != nil {
			return err
		}
		code := ""
		if step == "answer" {
			if code, err = p.code(ctx); err != nil {
				return err
			}
		}
		_, err = p.post(ctx, "/"+step, "application/json", fmt.Sprintf(`{"handle":%q,"email":%q,"code":%q}`, begun.Handle, p.address(), code))
	}
	return err
}
