package oauth

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func enc(v any) string {
	b, ok := v.([]byte)
	if !ok {
		if s, isText := v.(string); isText {
			b = []byte(s)
		} else {
			b, _ = json.Marshal(v)
		}
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// accepted says which endpoints take a token for what it is not.
func (e *env) accepted(token string) []string {
	e.t.Helper()
	var out []string
	if e.userinfo(token).Status == 200 {
		out = append(out, "userinfo")
	}
	if e.post("/oauth2/default/v1/userinfo", form("access_token", token)).Status == 200 {
		out = append(out, "userinfo by form")
	}
	if e.post("/oauth2/default/v1/introspect", form("client_id", spaID, "token", token)).Body["active"] == true {
		out = append(out, "introspect")
	}
	if e.refresh(token).Status == 200 {
		out = append(out, "refresh")
	}
	if e.post(tokenPath, redemption(token)).Status == 200 {
		out = append(out, "code")
	}
	before := len(e.store.void)
	if e.post("/oauth2/default/v1/revoke", form("client_id", spaID, "token", token)); len(e.store.void) != before {
		out = append(out, "revoke")
	}
	return out
}

func (e *env) reallySign(claims any) string {
	e.t.Helper()
	k, err := e.server.keys.signer(context.Background(), DefaultServer, algRS256)
	if err != nil {
		e.t.Fatal(err)
	}
	token, err := k.sign(false, claims)
	if err != nil {
		e.t.Fatal(err)
	}
	return token
}

// Each kind of token is good for its own endpoints and no other.
func TestSEC_S84_CrossUse(t *testing.T) {
	e := newEnv(t)
	r := e.redeem(scopes("openid", "offline_access"))
	code := e.finish()
	org := e.post("/oauth2/v1/token", redemption(e.finish(func(i *Interaction) { i.Server = OrgServer })))
	check := func(name, path string, f func(path string) int, want int) {
		t.Helper()
		if got := f(path); got != want {
			t.Errorf("%s at %s: %d, want %d", name, path, got, want)
		}
	}
	userinfo := func(token string) func(string) int {
		return func(path string) int { return e.get(path, "Authorization", "Bearer "+token).Status }
	}
	refresh := func(token string) func(string) int {
		return func(path string) int { return e.post(path, refreshing(token)).Status }
	}
	redeem := func(token string) func(string) int {
		return func(path string) int { return e.post(path, redemption(token)).Status }
	}
	const here, there = "/oauth2/default/v1/", "/oauth2/v1/"
	for name, token := range map[string]string{
		"ID token": r.text("id_token"), "refresh token": r.text("refresh_token"), "code": code,
		"ID token of org": org.text("id_token"), "access token of org": org.text("access_token"),
		"client secret": webSecret, "client id": spaID, "jti": fmt.Sprint(payload(t, r.text("access_token"))["jti"]),
	} {
		check(name, here+"userinfo", userinfo(token), 401)
	}
	for name, token := range map[string]string{"ID token": r.text("id_token"), "access token": r.text("access_token"), "code": code} {
		check(name, here+"token", refresh(token), 400)
	}
	for name, token := range map[string]string{"ID token": r.text("id_token"), "access token": r.text("access_token"), "refresh token": r.text("refresh_token")} {
		check(name, here+"token", redeem(token), 400)
	}
	check("access token", there+"userinfo", userinfo(r.text("access_token")), 401)
	check("refresh token", there+"token", refresh(r.text("refresh_token")), 400)
	check("code", there+"token", redeem(code), 400)
	check("access token", here+"userinfo", userinfo(r.text("access_token")), 200)
	check("access token of org", there+"userinfo", userinfo(org.text("access_token")), 200)
	check("refresh token", here+"token", refresh(r.text("refresh_token")), 200)
	check("code", here+"token", redeem(code), 200)

	if _, err := e.server.verifyID(context.Background(), e.server.issuers[0], spaID, r.text("access_token")); !errors.Is(err, errToken) {
		t.Errorf("access token as ID token: %v", err)
	}
	if _, err := e.server.verifyID(context.Background(), e.server.issuers[0], webID, r.text("id_token")); !errors.Is(err, errToken) {
		t.Errorf("ID token of another client: %v", err)
	}
}

func TestSEC_S84_TypedAccessTokens(t *testing.T) {
	e := newEnv(t, func(c *Config) { c.Servers = []AuthorizationServer{{ID: DefaultServer, TypedAccessTokens: true}} })
	r := e.redeem()
	if e.userinfo(r.text("access_token")).Status != 200 {
		t.Error("typed access token refused")
	}
	claims := payload(t, r.text("access_token"))
	if got := e.accepted(e.reallySign(claims)); len(got) != 0 {
		t.Errorf("an access token without its type passes at %v", got)
	}
}

func TestSEC_S85_Confusion(t *testing.T) {
	e := newEnv(t)
	good := e.redeem().text("access_token")
	parts := strings.Split(good, ".")
	head, claims := headerOf(t, good), payload(t, good)
	k, err := e.server.keys.signer(context.Background(), DefaultServer, algRS256)
	if err != nil {
		t.Fatal(err)
	}
	public := k.public.Key.(*rsa.PublicKey)
	der, _ := x509.MarshalPKIXPublicKey(public)
	pub := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	jwk, _ := json.Marshal(k.public)
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs256 := func(input string, key *rsa.PrivateKey) string {
		h := sha256.Sum256([]byte(input))
		sig, _ := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, h[:])
		return input + "." + enc(sig)
	}
	hs256 := func(header any, key []byte) string {
		input := enc(header) + "." + parts[1]
		m := hmac.New(sha256.New, key)
		m.Write([]byte(input))
		return input + "." + enc(m.Sum(nil))
	}
	header := func(pairs ...any) map[string]any {
		h := maps.Clone(head)
		for i := 0; i+1 < len(pairs); i += 2 {
			h[pairs[i].(string)] = pairs[i+1]
		}
		return h
	}
	ownJWK := jose.JSONWebKey{Key: foreign.Public(), KeyID: "mine"}
	other, _ := e.server.keys.signer(context.Background(), OrgServer, algRS256)
	fromOrg, _ := other.sign(false, claims)

	corpus := map[string]string{
		"empty": "", "dots": "..", "one part": parts[0], "two parts": parts[0] + "." + parts[1], "four parts": good + ".x",
		"no signature": parts[0] + "." + parts[1] + ".", "huge": parts[0] + "." + strings.Repeat("A", maxToken) + "." + parts[2],
		"huge header": enc(header("x", strings.Repeat("y", maxToken/2))) + "." + parts[1] + "." + parts[2],
		"kid path":    rs256(enc(header("kid", "../../dev/null"))+"."+parts[1], foreign), "kid SQL": rs256(enc(header("kid", "' OR 1=1 --"))+"."+parts[1], foreign),
		"no kid": rs256(enc(map[string]any{"alg": "RS256"})+"."+parts[1], foreign), "foreign key": rs256(parts[0]+"."+parts[1], foreign),
		"key of another server": fromOrg,
		"hmac with PEM":         hs256(header("alg", "HS256"), pub), "hmac with DER": hs256(header("alg", "HS256"), der),
		"hmac with JWK": hs256(header("alg", "HS256"), jwk), "hmac with modulus": hs256(header("alg", "HS256"), public.N.Bytes()), "hmac under RS256": hs256(head, pub),
		"embedded jwk":    rs256(enc(header("jwk", ownJWK))+"."+parts[1], foreign),
		"jku":             rs256(enc(header("jku", "https://evil.example/keys"))+"."+parts[1], foreign),
		"x5u":             rs256(enc(header("x5u", "https://evil.example/cert"))+"."+parts[1], foreign),
		"x5c":             rs256(enc(header("x5c", []string{base64.StdEncoding.EncodeToString(der)}))+"."+parts[1], foreign),
		"crit":            enc(header("crit", []string{"exp"})) + "." + parts[1] + "." + parts[2],
		"b64":             enc(header("b64", false, "crit", []string{"b64"})) + "." + parts[1] + "." + parts[2],
		"typ":             enc(header("typ", "JWT")) + "." + parts[1] + "." + parts[2],
		"PS256":           enc(header("alg", "PS256")) + "." + parts[1] + "." + parts[2],
		"ES256":           enc(header("alg", "ES256")) + "." + parts[1] + "." + parts[2],
		"duplicate alg":   enc(fmt.Sprintf(`{"alg":"none","alg":"RS256","kid":%q}`, head["kid"])) + "." + parts[1] + "." + parts[2],
		"spaced header":   enc(fmt.Sprintf(`{"alg": "RS256", "kid": %q}`, head["kid"])) + "." + parts[1] + "." + parts[2],
		"not JSON":        enc("{") + "." + parts[1] + "." + parts[2],
		"padded":          parts[0] + "." + parts[1] + "." + parts[2] + "==",
		"leading space":   " " + good, // Bearer strips outer blanks; the form does not
		"newline":         parts[0] + "." + parts[1] + ".\n" + parts[2],
		"JSON":            `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"changed payload": parts[0] + "." + enc(strings.Replace(string(mustDecode(parts[1])), `"exp":1`, `"exp":9`, 1)) + "." + parts[2],
		"encrypted":       parts[0] + "." + parts[1] + "." + parts[2] + "." + parts[2] + "." + parts[2],
	}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", ""} {
		corpus["alg "+alg] = enc(header("alg", alg)) + "." + parts[1] + "."
		corpus["alg "+alg+" signed"] = enc(header("alg", alg)) + "." + parts[1] + "." + parts[2]
	}
	for name, token := range corpus {
		t.Run(name, func(t *testing.T) {
			if name == "leading space" {
				if e.post("/oauth2/default/v1/userinfo", form("access_token", token)).Status == 200 {
					t.Error("accepted")
				}
				return
			}
			if got := e.accepted(token); len(got) != 0 {
				t.Errorf("accepted at %v", got)
			}
		})
	}

	t.Run("claims", func(t *testing.T) { // rightly signed, but not what we make
		now := e.clock.Now().Unix()
		for name, change := range map[string][2]any{
			"expired": {"exp", now}, "no exp": {"exp", nil}, "from the future": {"iat", now + 61}, "exp as text": {"exp", "9999999999"},
			"another issuer": {"iss", issuerURL + "/"}, "no issuer": {"iss", nil}, "another audience": {"aud", "api://other"}, "audience list": {"aud", []string{"api://default"}},
			"no audience": {"aud", nil}, "no client": {"cid", nil}, "no jti": {"jti", nil}, "jti of an ID token": {"jti", "ID.x"}, "no grant": {"jti", "AT."}, "no user": {"uid", nil},
		} {
			c := maps.Clone(claims)
			if c[change[0].(string)] = change[1]; change[1] == nil {
				delete(c, change[0].(string))
			}
			if got := e.accepted(e.reallySign(c)); len(got) != 0 {
				t.Errorf("%s: accepted at %v", name, got)
			}
		}
		if e.userinfo(e.reallySign(claims)).Status != 200 {
			t.Error("the unchanged claims are refused: the cases above prove nothing")
		}
	})
	t.Run("each byte", func(t *testing.T) {
		for i := range len(good) {
			c := byte('A')
			if good[i] == c {
				c = 'B'
			}
			if e.userinfo(good[:i]+string(c)+good[i+1:]).Status != 401 {
				t.Errorf("byte %d does not count", i)
			}
		}
		last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", good[len(good)-1])
		for _, bit := range []int{1, 2, 3} { // RS256: 342 characters hold 2048 bits and four that must be zero
			sig := good[:len(good)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last^bit])
			if e.userinfo(sig).Status != 401 {
				t.Error("another text of the same signature is accepted")
			}
		}
	})
	if e.userinfo(good).Status != 200 {
		t.Error("the good token is refused")
	}
}

func mustDecode(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// A token signed by a key that another node has just made is accepted.
func TestUnknownKeyIsReadOnce(t *testing.T) {
	a := newEnv(t)
	b := a.second()
	b.jwks()
	if err := a.server.Rotate(t.Context(), DefaultServer, 0); err != nil {
		t.Fatal(err)
	}
	a.clock.Move(publishAtLeast)
	b.clock.Move(0)
	if r := b.userinfo(a.redeem().text("access_token")); r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Raw)
	}
	reads := a.store.readRows
	for range 20 {
		b.userinfo("eyJhbGciOiJSUzI1NiJ9.e30.AAAA")
	}
	if n := a.store.readRows - reads; n > 1 {
		t.Errorf("20 tokens of unknown keys cost %d reads", n)
	}
}

func TestTokenLife(t *testing.T) {
	e := newEnv(t)
	token := e.redeem().text("access_token")
	e.clock.Move(time.Hour - time.Second)
	if e.userinfo(token).Status != 200 {
		t.Error("ended early")
	}
	e.clock.Move(time.Second)
	if e.userinfo(token).Status != 401 {
		t.Error("lives on")
	}
}

func FuzzAccessToken(f *testing.F) {
	e := newEnv(f)
	good := e.redeem().text("access_token")
	f.Add(good)
	f.Add("..")
	f.Add(good[:len(good)-1])
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := e.server.verifyAccess(context.Background(), e.server.issuers[0], token); err == nil && token != good {
			t.Fatalf("accepted %q", token)
		} else if err != nil && !errors.Is(err, errToken) {
			t.Fatal(err)
		}
	})
}
