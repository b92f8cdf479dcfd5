package idxgo

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"

	idx "github.com/okta/okta-idx-golang"
)

func TestSignInByEmail(t *testing.T) {
	ctx := t.Context()
	p := signUp(t, engines.protect)

	r, err := newClient(t, engines.protect).InitLogin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// The client answers the code's step with an empty passcode of its own accord.
	if r, err = r.Identify(ctx, &idx.IdentifyRequest{Identifier: p.email}); err != nil {
		t.Fatal(err)
	}
	if !r.HasStep(idx.LoginStepEmailVerification) || r.HasStep(idx.LoginStepSkip) {
		t.Fatalf("after the username: steps are %v", r.AvailableSteps())
	}
	if r, err = r.VerifyEmail(ctx); err != nil {
		t.Fatal(err)
	}
	m := waitMail(t, engines.protect, p.email, p.mail)
	if n := len(listMails(t, engines.protect, p.email)); n != 2 {
		t.Errorf("sign-up and sign-in sent %d mails, want 2", n)
	}
	for range 4 { // the empty passcode was not a try: five are left
		if _, err := r.ConfirmEmail(ctx, wrongCode(m.Code)); err == nil || err.Error() != "Invalid code. Try again." {
			t.Fatalf("a wrong code: %v", err)
		}
	}
	if r, err = r.ConfirmEmail(ctx, m.Code); err != nil {
		t.Fatal(err)
	}
	if !r.IsAuthenticated() {
		t.Fatalf("after the code: steps are %v", r.AvailableSteps())
	}
	if was, is := judge(t, engines.protect, p.token, p.email), judge(t, engines.protect, r.Token(), p.email); was != is {
		t.Errorf("signed in as %s, signed up as %s", is, was)
	}
}

func TestSignInRestart(t *testing.T) {
	ctx := t.Context()
	p := signUp(t, engines.protect)
	r, err := newClient(t, engines.protect).InitLogin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.Identify(ctx, &idx.IdentifyRequest{Identifier: p.email}); err != nil {
		t.Fatal(err)
	}
	if r, err = r.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
	if !r.HasStep(idx.LoginStepIdentify) {
		t.Fatalf("after cancel: steps are %v", r.AvailableSteps())
	}
	if _, err = r.Identify(ctx, &idx.IdentifyRequest{Identifier: p.email}); err != nil {
		t.Error("the same interaction again:", err)
	}
}

// The redirect of the Sign-In Widget leaves the code to the app's server: the
// client redeems it with every parameter in the query string, and verifies the ID token.
func TestIDX_C73_RedeemInteractionCode(t *testing.T) {
	ctx := t.Context()
	c := newClient(t, engines.protect)
	begun, err := c.Interact(ctx)
	if err != nil {
		t.Fatal(err)
	}
	email := newAddress()
	d := post(t, engines.protect+"/idp/idx/introspect", map[string]any{"interactionHandle": begun.InteractionHandle.InteractionHandle})
	d = d.follow(t, "select-enroll-profile", nil)
	d = d.follow(t, "enroll-profile", map[string]any{"userProfile": johnDoe(email)})
	d = d.follow(t, "enroll-authenticator", map[string]any{"credentials": map[string]string{"passcode": waitMail(t, engines.protect, email, "").Code}})
	d = d.follow(t, "skip", nil)
	if d.code() == "" {
		t.Fatal("no interaction code")
	}

	token, err := c.RedeemInteractionCode(ctx, begun, d.code())
	if err != nil {
		t.Fatal(err)
	}
	judge(t, engines.protect, &idx.Token{AccessToken: token.AccessToken, IDToken: token.IDToken, TokenType: token.TokenType, ExpiresIn: token.ExpiresIn}, email)
	if _, err := c.RedeemInteractionCode(ctx, begun, d.code()); err == nil {
		t.Error("IDX_C74: the code gave tokens twice")
	}
}

func TestIDX_C78_RevokeWithoutClientAuthentication(t *testing.T) {
	p := signUp(t, engines.protect)
	c := newClient(t, engines.protect)
	judge(t, engines.protect, p.token, p.email)
	if err := c.RevokeToken(t.Context(), p.token.AccessToken); err != nil {
		t.Fatal(err)
	}
	if status := userinfoStatus(t, engines.protect, p.token.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("userinfo answers %d after the revocation", status)
	}
}

// A document is as much of an answer as it takes to walk on without the client.
type document struct {
	StateHandle string `json:"stateHandle"`
	Remediation struct {
		Value []struct{ Name, Href string } `json:"value"`
	} `json:"remediation"`
	Success struct {
		Value []field `json:"value"`
	} `json:"successWithInteractionCode"`
}

type field struct{ Name, Value string }

func (d document) code() string {
	i := slices.IndexFunc(d.Success.Value, func(f field) bool { return f.Name == "interaction_code" })
	if i < 0 {
		return ""
	}
	return d.Success.Value[i].Value
}

func (d document) follow(t *testing.T, name string, body map[string]any) document {
	t.Helper()
	return d.send(t, name, body, http.StatusOK)
}

// refuses follows with an answer that is wrong.
func (d document) refuses(t *testing.T, name string, body map[string]any) document {
	t.Helper()
	return d.send(t, name, body, http.StatusUnauthorized)
}

func (d document) send(t *testing.T, name string, body map[string]any, status int) document {
	t.Helper()
	for _, r := range d.Remediation.Value {
		if r.Name == name {
			in := map[string]any{"stateHandle": d.StateHandle}
			for k, v := range body {
				in[k] = v
			}
			return postFor(t, r.Href, in, status)
		}
	}
	t.Fatalf("%s is not offered", name)
	return document{}
}

func post(t *testing.T, url string, body map[string]any) document {
	t.Helper()
	return postFor(t, url, body, http.StatusOK)
}

func postFor(t *testing.T, url string, body map[string]any, status int) (d document) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(url, "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		t.Fatalf("%s: %s %v %s", url, res.Status, err, answer)
	}
	if err := json.Unmarshal(answer, &d); err != nil {
		t.Fatal(err)
	}
	return d
}
