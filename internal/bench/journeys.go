package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
)

var (
	stateHandle     = regexp.MustCompile(`"stateHandle":"([^"]+)"`)
	interactionCode = regexp.MustCompile(`"name":"interaction_code","required":true,"value":"([^"]+)"`)
)

// begin is interact and introspect.
func (v *visitor) begin() (handle string, err error) {
	begun, err := v.form("/oauth2/default/v1/interact", url.Values{
		"client_id": {v.client}, "scope": {"openid profile email offline_access"}, "redirect_uri": {redirectURI},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "state": {"s"}, "nonce": {"n"},
	})
	if err != nil {
		return "", err
	}
	doc, err := v.idx("introspect", `{"interactionHandle":%q}`, begun["interaction_handle"])
	if err != nil {
		return "", err
	}
	return found(stateHandle, doc)
}

func (v *visitor) idx(action, format string, args ...any) ([]byte, error) {
	return v.post("/idp/idx/"+action, "application/json", fmt.Sprintf(format, args...))
}

func found(what *regexp.Regexp, doc []byte) (string, error) {
	m := what.FindSubmatch(doc)
	if m == nil {
		return "", fmt.Errorf("no %s in %s", what, doc)
	}
	return string(m[1]), nil
}

// signUp is a whole sign-up with an emailed code, nothing more set up, and the tokens.
func (v *visitor) signUp(ctx context.Context, address string) (map[string]any, error) {
	h, err := v.begin()
	if err != nil {
		return nil, err
	}
	if _, err = v.idx("enroll", `{"stateHandle":%q}`, h); err != nil {
		return nil, err
	}
	if _, err = v.idx("enroll/new", `{"stateHandle":%q,"userProfile":{"firstName":"Ada","lastName":"Lovelace","email":%q}}`, h, address); err != nil {
		return nil, err
	}
	if _, err = v.prove(ctx, h, address); err != nil {
		return nil, err
	}
	doc, err := v.idx("skip", `{"stateHandle":%q}`, h)
	if err != nil {
		return nil, err
	}
	return v.redeem(doc)
}

// signIn is a sign-in of a known person by an emailed code.
func (v *visitor) signIn(ctx context.Context, address string) (map[string]any, error) {
	h, err := v.begin()
	if err != nil {
		return nil, err
	}
	if _, err = v.idx("identify", `{"stateHandle":%q,"identifier":%q}`, h, address); err != nil {
		return nil, err
	}
	doc, err := v.prove(ctx, h, address)
	if err != nil {
		return nil, err
	}
	return v.redeem(doc)
}

func (v *visitor) prove(ctx context.Context, handle, address string) ([]byte, error) {
	code, err := v.code(ctx, address)
	if err != nil {
		return nil, err
	}
	return v.idx("challenge/answer", `{"stateHandle":%q,"credentials":{"passcode":%q}}`, handle, code)
}

func (v *visitor) redeem(doc []byte) (map[string]any, error) {
	code, err := found(interactionCode, doc)
	if err != nil {
		return nil, err
	}
	return v.form("/oauth2/default/v1/token", url.Values{
		"grant_type": {"interaction_code"}, "interaction_code": {code}, "client_id": {v.client}, "code_verifier": {verifier},
	})
}

// floorSignUp is the floor's six requests.
func (v *visitor) floorSignUp(ctx context.Context) error {
	address := v.address()
	var begun struct{ Handle string }
	data, err := v.post("/interact", "application/json", "{}")
	if err == nil {
		err = json.Unmarshal(data, &begun)
	}
	for _, step := range []string{"introspect", "identify", "challenge", "answer", "token"} {
		if err != nil {
			return err
		}
		code := ""
		if step == "answer" {
			if code, err = v.code(ctx, address); err != nil {
				return err
			}
		}
		_, err = v.post("/"+step, "application/json", fmt.Sprintf(`{"handle":%q,"email":%q,"code":%q}`, begun.Handle, address, code))
	}
	return err
}
