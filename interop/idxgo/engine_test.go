// Package idxgo drives okta-idx-golang v0.2.2, as published, against a running
// engine, with go-oidc and okta-jwt-verifier-golang as judges of the tokens.
package idxgo

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	idx "github.com/okta/okta-idx-golang"
	verifier "github.com/okta/okta-jwt-verifier-golang"
	"golang.org/x/oauth2"
)

// engines differ in one thing each; interop/run says in what, and starts them.
var engines struct{ protect, disclose, requirePassword, passwordFirst, twoFactors, authenticators, secondFactors, phone string }

var app struct{ id, secret, redirect string }

func TestMain(m *testing.M) {
	for name, value := range map[string]*string{
		"STILE_PROTECT_URL": &engines.protect, "STILE_DISCLOSE_URL": &engines.disclose, "STILE_REQUIRE_PASSWORD_URL": &engines.requirePassword,
		"STILE_PASSWORD_FIRST_URL": &engines.passwordFirst, "STILE_TWO_FACTORS_URL": &engines.twoFactors,
		"STILE_AUTHENTICATORS_URL": &engines.authenticators, "STILE_SECOND_FACTORS_URL": &engines.secondFactors,
		"STILE_PHONE_URL": &engines.phone,
		"STILE_CLIENT_ID": &app.id, "STILE_CLIENT_SECRET": &app.secret, "STILE_REDIRECT_URI": &app.redirect,
	} {
		if *value = os.Getenv(name); *value == "" {
			fmt.Fprintf(os.Stderr, "%s is not set: start the suite with interop/run\n", name)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}

func issuer(engine string) string { return engine + "/oauth2/default" }

// newClient makes the client of one engine. The package keeps the one made last
// for all its flows, so tests here must not run in parallel.
func newClient(t *testing.T, engine string) *idx.Client {
	t.Helper()
	c, err := idx.NewClientWithSettings(
		idx.WithIssuer(issuer(engine)), idx.WithClientID(app.id), idx.WithClientSecret(app.secret),
		idx.WithRedirectURI(app.redirect), idx.WithScopes([]string{"openid", "profile", "email"}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// judge has two independent libraries verify the tokens, and returns the subject.
func judge(t *testing.T, engine string, token *idx.Token, email string) string {
	t.Helper()
	if token == nil || token.TokenType != "Bearer" || token.ExpiresIn <= 0 {
		t.Fatalf("tokens are %+v", token)
	}
	ctx := t.Context()
	provider, err := oidc.NewProvider(ctx, issuer(engine))
	if err != nil {
		t.Fatal(err)
	}
	id, err := provider.Verifier(&oidc.Config{ClientID: app.id}).Verify(ctx, token.IDToken)
	if err != nil {
		t.Fatal(err)
	}
	if id.AccessTokenHash == "" {
		t.Error("IDX_C76: the ID token has no at_hash")
	} else if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Error("IDX_C76:", err)
	}
	if id.Nonce != "" {
		t.Error("IDX_C76: the ID token has a nonce that nobody sent")
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token.AccessToken, TokenType: token.TokenType}))
	if err != nil {
		t.Fatal(err)
	}
	if info.Subject != id.Subject || info.Email != email || !info.EmailVerified {
		t.Errorf("IDX_C77: userinfo is %+v, the ID token's subject %s", info, id.Subject)
	}

	other := verifier.JwtVerifier{Issuer: issuer(engine), ClaimsToValidate: map[string]string{"aud": app.id}}
	if _, err := other.New().VerifyIdToken(token.IDToken); err != nil {
		t.Error("okta-jwt-verifier-golang:", err)
	}
	return id.Subject
}

func userinfoStatus(t *testing.T, engine, accessToken string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer(engine)+"/v1/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

type message struct{ ID, Code, Link string }

// waitMail returns the newest mail to an address that is newer than after.
func waitMail(t *testing.T, engine, to, after string) message {
	t.Helper()
	all := inbox(t, engine, url.Values{"to": {to}, "wait": {"10s"}, "after": {after}})
	if len(all) == 0 {
		t.Fatalf("no mail to %s in 10 seconds", to)
	}
	return all[0]
}

// listMails returns what was mailed to an address so far, newest first.
func listMails(t *testing.T, engine, to string) []message {
	t.Helper()
	return inbox(t, engine, url.Values{"to": {to}})
}

func inbox(t *testing.T, engine string, query url.Values) []message {
	t.Helper()
	if query.Get("after") == "" {
		query.Del("after")
	}
	res, err := http.Get(engine + "/dev/inbox/api/messages?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body struct {
		Messages []message `json:"messages"`
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("inbox: %s %v", res.Status, err)
	}
	return body.Messages
}

// newAddress returns an address that no other test uses.
func newAddress() string { return "john.doe." + strings.ToLower(rand.Text()[:12]) + "@example.com" }

func wrongCode(code string) string {
	n, _ := strconv.Atoi(code)
	return fmt.Sprintf("%06d", (n+1)%1_000_000)
}
