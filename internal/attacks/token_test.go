package attacks

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"

	"github.com/stile-id/stile/stiletest"
)

var raw64 = base64.RawURLEncoding

// T-14: a code or refresh token is of use to its own client alone, with its own proof.
func TestSEC_T14_CodeOfAnotherClient(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	code := w.signedUp("stolen@example.com").code()
	for name, change := range map[string]func(url.Values){
		"another client, with its secret": func(v url.Values) { v.Set("client_id", e.ClientID); v.Set("client_secret", e.ClientSecret) },
		"another client, without":         func(v url.Values) { v.Set("client_id", e.ClientID) },
		"a secret that is not":            func(v url.Values) { v.Set("client_secret", e.ClientSecret) },
		"no client":                       func(v url.Values) { v.Del("client_id") },
		"an unknown client":               func(v url.Values) { v.Set("client_id", "0oaunknown") },
		"no verifier":                     func(v url.Values) { v.Del("code_verifier") },
		"an empty verifier":               func(v url.Values) { v.Set("code_verifier", "") },
		"another verifier":                func(v url.Values) { v.Set("code_verifier", strings.Repeat("x", 43)) },
		"the challenge as verifier": func(v url.Values) {
			sum := sha256.Sum256([]byte(w.verifier))
			v.Set("code_verifier", raw64.EncodeToString(sum[:]))
		},
		"a cut verifier":         func(v url.Values) { v.Set("code_verifier", w.verifier[:len(w.verifier)-1]) },
		"a longer verifier":      func(v url.Values) { v.Set("code_verifier", w.verifier+"A") },
		"two verifiers":          func(v url.Values) { v.Add("code_verifier", w.verifier) },
		"two codes":              func(v url.Values) { v.Add("interaction_code", code) },
		"two clients":            func(v url.Values) { v.Add("client_id", e.ClientID) },
		"another redirect URI":   func(v url.Values) { v.Set("redirect_uri", "https://evil.example/") },
		"another grant":          func(v url.Values) { v.Set("grant_type", "authorization_code"); v.Set("code", code) },
		"the password grant":     func(v url.Values) { v.Set("grant_type", "password") },
		"the code for a refresh": func(v url.Values) { v.Set("grant_type", "refresh_token"); v.Set("refresh_token", code) },
	} {
		if a := w.redeem(code, change); a.status < 400 || a.status >= 500 || a.str("access_token") != "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := w.form(e.URL+"/oauth2/v1/token", url.Values{ // another authorization server
		"grant_type": {"interaction_code"}, "interaction_code": {code}, "code_verifier": {w.verifier}, "client_id": {e.PublicClientID},
	}); a.status != 400 {
		t.Errorf("at another authorization server: %d %s", a.status, a.body)
	}
	tokens := w.redeem(code, nil)
	if tokens.status != 200 {
		t.Fatalf("none of it used the code up, yet: %d %s", tokens.status, tokens.body)
	}

	refresh := func(token string, change func(url.Values)) answer {
		v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {e.PublicClientID}}
		if change != nil {
			change(v)
		}
		return w.form(e.Issuer+"/v1/token", v)
	}
	token := tokens.str("refresh_token")
	for i := range len(token) {
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		if a := refresh(token[:i]+string(c)+token[i+1:], nil); a.status != 400 {
			t.Errorf("refresh token changed at %d: %d", i, a.status)
		}
		if a := refresh(token[:i], nil); a.status != 400 {
			t.Errorf("refresh token cut at %d: %d", i, a.status)
		}
	}
	for name, a := range map[string]answer{
		"longer":         refresh(token+"A", nil),
		"access token":   refresh(tokens.str("access_token"), nil),
		"ID token":       refresh(tokens.str("id_token"), nil),
		"state handle":   refresh(w.state, nil),
		"another client": refresh(token, func(v url.Values) { v.Set("client_id", e.ClientID); v.Set("client_secret", e.ClientSecret) }),
		"more scopes":    refresh(token, func(v url.Values) { v.Set("scope", "openid admin") }),
		"another server": w.form(e.URL+"/oauth2/v1/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {e.PublicClientID}}),
	} {
		if a.status < 400 || a.status >= 500 {
			t.Errorf("refresh, %s: %d %s", name, a.status, a.body)
		}
	}
	if a := refresh(token, nil); a.status != 200 {
		t.Errorf("the refresh token itself: %d %s", a.status, a.body)
	}
}

// T-16: the header of a token chooses neither key nor algorithm, and nothing but
// the bytes that were signed is the token.
func TestSEC_T16_TokenConfusion(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	tokens := w.tokens("jwt@example.com")
	token := tokens.str("access_token")
	if a := w.userinfo(token); a.status != 200 {
		t.Fatalf("the token itself: %d %s", a.status, a.body)
	}
	parts := strings.Split(token, ".")
	header := map[string]any{}
	plainHeader, err := raw64.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(plainHeader, &header); err != nil {
		t.Fatal(err)
	}
	keys := w.do("GET", e.Issuer+"/v1/keys", "", "")
	kid, _ := header["kid"].(string)
	var modulus, jwk string
	for i := 0; keys.at("keys", i) != nil; i++ {
		if keys.str("keys", i, "kid") == kid {
			modulus = keys.str("keys", i, "n")
			b, _ := json.Marshal(keys.at("keys", i))
			jwk = string(b)
		}
	}
	n, err := raw64.DecodeString(modulus)
	if err != nil || len(n) == 0 {
		t.Fatalf("no key %q: %s", kid, keys.body)
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	mineJWK, _ := json.Marshal(map[string]string{"kty": "RSA", "kid": kid, "n": raw64.EncodeToString(mine.N.Bytes()), "e": "AQAB"})

	enc := func(s string) string { return raw64.EncodeToString([]byte(s)) }
	hs := func(h string, secret []byte) string {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(enc(h) + "." + parts[1]))
		return enc(h) + "." + parts[1] + "." + raw64.EncodeToString(mac.Sum(nil))
	}
	rs := func(h, payload string) string {
		sum := sha256.Sum256([]byte(enc(h) + "." + payload))
		sig, err := rsa.SignPKCS1v15(rand.Reader, mine, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return enc(h) + "." + payload + "." + raw64.EncodeToString(sig)
	}
	k := `"kid":"` + kid + `"`
	corpus := map[string]string{
		"empty": "", "dots": "..", "no signature": parts[0] + "." + parts[1] + ".", "two parts": parts[0] + "." + parts[1],
		"four parts": token + ".x", "five parts": token + ".x.y", "padding": token + "=", "a line end": token + "%0a", "standard alphabet": strings.ReplaceAll(strings.ReplaceAll(token, "-", "+"), "_", "/") + "!",
		"ID token": tokens.str("id_token"), "refresh token": tokens.str("refresh_token"),
		"key as HMAC secret, DER":      hs(`{"alg":"HS256",`+k+`}`, der),
		"key as HMAC secret, PEM":      hs(`{"alg":"HS256",`+k+`}`, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"key as HMAC secret, modulus":  hs(`{"alg":"HS256",`+k+`}`, n),
		"key as HMAC secret, JWK":      hs(`{"alg":"HS256",`+k+`}`, []byte(jwk)),
		"empty HMAC secret":            hs(`{"alg":"HS256",`+k+`}`, nil),
		"own key under the same kid":   rs(`{"alg":"RS256",`+k+`}`, parts[1]),
		"own key in the header":        rs(`{"alg":"RS256",`+k+`,"jwk":`+string(mineJWK)+`}`, parts[1]),
		"own key by address":           rs(`{"alg":"RS256",`+k+`,"jku":"https://evil.example/keys"}`, parts[1]),
		"own certificate":              rs(`{"alg":"RS256",`+k+`,"x5u":"https://evil.example/c"}`, parts[1]),
		"crit":                         rs(`{"alg":"RS256",`+k+`,"crit":["exp"]}`, parts[1]),
		"kid is a path":                rs(`{"alg":"RS256","kid":"../../../../dev/null"}`, parts[1]),
		"kid is SQL":                   rs(`{"alg":"RS256","kid":"x' UNION SELECT 'key"}`, parts[1]),
		"no kid":                       rs(`{"alg":"RS256"}`, parts[1]),
		"kid twice":                    rs(`{"alg":"RS256","kid":"x",`+k+`}`, parts[1]),
		"huge header":                  rs(`{"alg":"RS256",`+k+`,"x":"`+strings.Repeat("x", 15_000)+`"}`, parts[1]),
		"genuine signature, blank":     enc(" "+string(plainHeader)) + "." + parts[1] + "." + parts[2],
		"genuine signature, PS256":     enc(`{"alg":"PS256",`+k+`}`) + "." + parts[1] + "." + parts[2],
		"genuine signature, at+jwt":    enc(`{"alg":"RS256",`+k+`,"typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"genuine signature of another": parts[0] + "." + parts[1] + "." + strings.Split(tokens.str("id_token"), ".")[2],
		"payload of the ID token":      parts[0] + "." + strings.Split(tokens.str("id_token"), ".")[1] + "." + parts[2],
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", "", "HS256", "HS512"} {
		for _, sig := range []string{"", parts[2]} {
			corpus["alg "+none+" signed "+sig[:min(len(sig), 3)]] = enc(`{"alg":"`+none+`",`+k+`}`) + "." + parts[1] + "." + sig
		}
	}
	var claims map[string]any
	payload, err := raw64.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{"sub": "00uvictim", "uid": "00uvictim", "exp": 1 << 40, "scp": []string{"admin"}, "cid": "0oaother"} {
		changed := map[string]any{}
		for k, v := range claims {
			changed[k] = v
		}
		changed[name] = v
		b, _ := json.Marshal(changed)
		corpus["changed "+name] = parts[0] + "." + raw64.EncodeToString(b) + "." + parts[2]
	}
	for i := 0; i < len(token); i += 7 {
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		corpus["byte "+itoa(i)] = token[:i] + string(c) + token[i+1:]
	}
	corpus["last character of the signature"] = token[:len(token)-1] + string(next(token[len(token)-1]))
	for name, forged := range corpus {
		if strings.ContainsAny(forged, "\r\n") {
			continue
		}
		if a := w.userinfo(forged); a.status != 401 && a.status != 400 {
			t.Errorf("%s at userinfo: %d %s", name, a.status, a.body)
		}
		if forged == tokens.str("id_token") || forged == tokens.str("refresh_token") || forged == "" {
			continue // introspection knows the first two for what they are
		}
		a := w.form(e.Issuer+"/v1/introspect", url.Values{"token": {forged}, "client_id": {e.PublicClientID}})
		if a.status != 200 || a.at("active") != false {
			t.Errorf("%s at introspection: %d %s", name, a.status, a.body)
		}
	}
}

// next is a neighbour in the alphabet: it differs in bits that a lenient decoder drops.
func next(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, c)
	return alphabet[i^1]
}

// T-17: each kind of token at each place that takes another kind, issuer or client.
func TestSEC_T17_CrossUseOfTokens(t *testing.T) {
	e := stiletest.Start(t)
	w := begin(t, e)
	tokens := w.tokens("kinds@example.com")
	access, id := tokens.str("access_token"), tokens.str("id_token")

	if a := w.userinfo(id); a.status != 401 {
		t.Errorf("ID token at userinfo: %d %s", a.status, a.body)
	}
	foreign := w.do("POST", e.URL+"/oauth2/v1/userinfo", "application/x-www-form-urlencoded", url.Values{"access_token": {access}}.Encode())
	if foreign.status != 401 {
		t.Errorf("access token at another server's userinfo: %d %s", foreign.status, foreign.body)
	}
	for name, token := range map[string]string{"access": access, "ID": id, "refresh": tokens.str("refresh_token")} {
		a := w.form(e.Issuer+"/v1/introspect", url.Values{"token": {token}, "client_id": {e.ClientID}, "client_secret": {e.ClientSecret}})
		if a.status != 200 || len(a.doc) != 1 || a.at("active") != false {
			t.Errorf("%s token introspected by another client: %d %s", name, a.status, a.body)
		}
		a = w.form(e.URL+"/oauth2/v1/introspect", url.Values{"token": {token}, "client_id": {e.PublicClientID}})
		if a.status != 200 || a.at("active") != false {
			t.Errorf("%s token introspected at another server: %d %s", name, a.status, a.body)
		}
		w.form(e.Issuer+"/v1/revoke", url.Values{"token": {token}, "client_id": {e.ClientID}, "client_secret": {e.ClientSecret}})
		if a := w.userinfo(access); a.status != 200 {
			t.Errorf("another client revoked with the %s token: %d", name, a.status)
		}
	}
	for name, handle := range map[string]string{"access token": access, "ID token": id, "state handle": w.state, "interaction handle": w.interaction} {
		if name == "access token" {
			continue
		}
		if a := w.userinfo(handle); a.status != 401 {
			t.Errorf("%s at userinfo: %d", name, a.status)
		}
	}
	if a := w.post("introspect", map[string]any{"stateToken": access}); a.status == 200 {
		t.Errorf("access token as a state handle: %d", a.status)
	}
	both := w.do("POST", e.Issuer+"/v1/userinfo?access_token="+url.QueryEscape(access), "application/x-www-form-urlencoded", "")
	if both.status != 401 {
		t.Errorf("access token in the query: %d %s", both.status, both.body)
	}
}
