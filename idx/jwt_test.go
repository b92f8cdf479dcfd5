package idx_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
)

const discovery, jwksPath = "/oauth2/default/.well-known/openid-configuration", "/oauth2/default/v1/keys"

func (e *engine) claimSet(change map[string]any) map[string]any {
	c := map[string]any{
		"iss": e.Issuer, "aud": clientID, "sub": "00u1", "iat": start.Unix(), "exp": start.Add(time.Hour).Unix(),
	}
	for name, v := range change {
		if c[name] = v; v == nil {
			delete(c, name)
		}
	}
	return c
}

func header(change map[string]any) map[string]any {
	h := map[string]any{"alg": "RS256", "kid": "k1"}
	maps.Copy(h, change)
	return h
}

func TestSEC_S85_Verify(t *testing.T) {
	e := serve(t, nil)
	ec := signer{"k2", "ES256", ecKey()}
	rs := e.keys[0]
	e.keys = append(e.keys, ec)
	c := e.client(t)
	good := map[string]string{
		"RS256":              rs.sign(header(nil), e.claimSet(nil)),
		"ES256":              ec.sign(header(map[string]any{"alg": "ES256", "kid": "k2"}), e.claimSet(nil)),
		"typ":                rs.sign(header(map[string]any{"typ": "JWT"}), e.claimSet(nil)),
		"aud list of one":    rs.sign(header(nil), e.claimSet(map[string]any{"aud": []string{clientID}})),
		"aud list with azp":  rs.sign(header(nil), e.claimSet(map[string]any{"aud": []string{"x", clientID}, "azp": clientID})),
		"just expired":       rs.sign(header(nil), e.claimSet(map[string]any{"iat": start.Unix() - 100, "exp": start.Unix() - 60})),
		"clock 5 min behind": rs.sign(header(nil), e.claimSet(map[string]any{"iat": start.Unix() + 300})),
	}
	for name, raw := range good {
		if got, err := c.VerifyIDToken(t.Context(), raw); err != nil || got.Claims.Subject != "00u1" || got.Value != raw {
			t.Errorf("%s: %v", name, err)
		}
	}

	b64 := base64.RawURLEncoding.EncodeToString
	parts := strings.Split(good["RS256"], ".")
	asJSON := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	hs := func(key []byte) string {
		signed := b64(asJSON(header(map[string]any{"alg": "HS256"}))) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		io.WriteString(mac, signed)
		return signed + "." + b64(mac.Sum(nil))
	}
	unsigned := func(alg string) string {
		return b64(asJSON(header(map[string]any{"alg": alg}))) + "." + parts[1] + "."
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	evil := signer{"k1", "RS256", stranger}
	claim := func(name string, v any) string { return rs.sign(header(nil), e.claimSet(map[string]any{name: v})) }
	head := func(name string, v any) string {
		return rs.sign(header(map[string]any{name: v}), e.claimSet(nil))
	}
	flipped := []byte(good["RS256"])
	flipped[len(parts[0])+5] ^= 1
	bad := map[string]string{
		"empty":                        "",
		"two parts":                    parts[0] + "." + parts[1],
		"four parts":                   good["RS256"] + ".x",
		"five parts (JWE)":             good["RS256"] + ".x.y",
		"alg none":                     unsigned("none"),
		"alg None":                     unsigned("None"),
		"alg NONE":                     unsigned("NONE"),
		"alg empty":                    unsigned(""),
		"no alg":                       rs.signRaw([]byte(`{"kid":"k1"}`), asJSON(e.claimSet(nil))),
		"public key as HMAC secret":    hs(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"DER key as HMAC secret":       hs(der),
		"RS384":                        head("alg", "RS384"),
		"PS256":                        head("alg", "PS256"),
		"alg of another key":           rs.sign(header(map[string]any{"kid": "k2"}), e.claimSet(nil)),
		"ES256 with an RSA key":        ec.sign(header(map[string]any{"alg": "ES256"}), e.claimSet(nil)),
		"signature stripped":           parts[0] + "." + parts[1] + ".",
		"signature of another token":   parts[0] + "." + parts[1] + "." + strings.Split(claim("sub", "x"), ".")[2],
		"claims changed":               string(flipped),
		"stranger's key, our kid":      evil.sign(header(nil), e.claimSet(nil)),
		"stranger's key in jwk":        evil.sign(header(map[string]any{"jwk": evil.jwk()}), e.claimSet(nil)),
		"jwk":                          head("jwk", evil.jwk()),
		"jku":                          head("jku", "https://evil.example/keys"),
		"x5u":                          head("x5u", "https://evil.example/cert"),
		"x5c":                          head("x5c", []string{"MII"}),
		"crit":                         head("crit", []string{"exp"}),
		"empty crit":                   head("crit", []string{}),
		"b64":                          head("b64", false),
		"zip":                          head("zip", "DEF"),
		"at+jwt":                       head("typ", "at+jwt"),
		"logout+jwt":                   head("typ", "logout+jwt"),
		"typ no string":                head("typ", 1),
		"no kid":                       rs.signRaw([]byte(`{"alg":"RS256"}`), asJSON(e.claimSet(nil))),
		"kid no string":                head("kid", []string{"k1"}),
		"kid with SQL":                 head("kid", "k1' OR '1'='1"),
		"kid with a path":              head("kid", "../../../../dev/null"),
		"alg twice":                    rs.signRaw([]byte(`{"alg":"none","alg":"RS256","kid":"k1"}`), asJSON(e.claimSet(nil))),
		"sub twice":                    rs.signRaw(asJSON(header(nil)), []byte(strings.Replace(string(asJSON(e.claimSet(nil))), `"sub":`, `"sub":"admin","sub":`, 1))),
		"Sub for sub":                  rs.sign(header(nil), e.claimSet(map[string]any{"sub": nil, "Sub": "admin"})),
		"header no object":             rs.signRaw([]byte(`["RS256"]`), asJSON(e.claimSet(nil))),
		"claims no object":             rs.signRaw(asJSON(header(nil)), []byte(`"x"`)),
		"two JSON values":              rs.signRaw(asJSON(header(nil)), append(asJSON(e.claimSet(nil)), "{}"...)),
		"line end inside":              parts[0] + "\n." + parts[1] + "." + parts[2],
		"padding":                      parts[0] + "." + parts[1] + "." + parts[2] + "==",
		"another spelling of the last": parts[0] + "." + parts[1] + "." + respell(parts[2]),
		"space around":                 " " + good["RS256"],
		"over 16 KiB":                  claim("x", strings.Repeat("x", 16<<10)),
		"iss missing":                  claim("iss", nil),
		"iss of another server":        claim("iss", e.URL+"/oauth2/other"),
		"iss with a slash":             claim("iss", e.Issuer+"/"),
		"iss a list":                   claim("iss", []string{e.Issuer}),
		"aud missing":                  claim("aud", nil),
		"aud of an API":                claim("aud", "api://default"),
		"aud list without azp":         claim("aud", []string{"x", clientID}),
		"azp of another app":           rs.sign(header(nil), e.claimSet(map[string]any{"aud": []string{"x", clientID}, "azp": "x"})),
		"azp no string":                claim("azp", 1),
		"sub missing":                  claim("sub", nil),
		"sub empty":                    claim("sub", ""),
		"sub no string":                claim("sub", 7),
		"exp missing":                  claim("exp", nil),
		"exp a string":                 claim("exp", "4113561866"),
		"exp beyond time":              claim("exp", 1e300),
		"exp negative":                 claim("exp", -1),
		"iat missing":                  claim("iat", nil),
		"exp before iat":               rs.sign(header(nil), e.claimSet(map[string]any{"iat": start.Unix(), "exp": start.Unix()})),
		"expired 61 s ago":             rs.sign(header(nil), e.claimSet(map[string]any{"iat": start.Unix() - 100, "exp": start.Unix() - 61})),
		"issued in 301 s":              claim("iat", start.Unix()+301),
	}
	for name, raw := range bad {
		if got, err := c.VerifyIDToken(t.Context(), raw); !errors.Is(err, idx.ErrInvalidToken) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := e.callsTo(jwksPath); n != 1 {
		t.Errorf("the keys were read %d times within a minute", n)
	}
}

// respell changes the bits that the last character of base64url does not use.
func respell(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[i^1])
}

func TestSignInChecks(t *testing.T) {
	age := time.Minute
	for name, tt := range map[string]struct {
		change func(map[string]any)
		maxAge *time.Duration
		fails  bool
	}{
		"as issued":                      {func(map[string]any) {}, nil, false},
		"engine 5 min ahead":             {func(c map[string]any) { c["iat"], c["exp"] = start.Unix()+300, start.Unix()+3900 }, nil, false},
		"engine 5 min behind":            {func(c map[string]any) { c["iat"], c["exp"] = start.Unix()-3900, start.Unix()-300 }, nil, false},
		"engine further ahead":           {func(c map[string]any) { c["iat"] = start.Unix() + 301 }, nil, true},
		"engine further behind":          {func(c map[string]any) { c["iat"], c["exp"] = start.Unix()-3900, start.Unix()-301 }, nil, true},
		"no at_hash":                     {func(c map[string]any) { delete(c, "at_hash") }, nil, false},
		"at_hash differs":                {func(c map[string]any) { c["at_hash"] = "x" }, nil, true},
		"at_hash no string":              {func(c map[string]any) { c["at_hash"] = nil }, nil, true},
		"nonce differs":                  {func(c map[string]any) { c["nonce"] = "x" }, nil, true},
		"no nonce":                       {func(c map[string]any) { delete(c, "nonce") }, nil, true},
		"issued for another app":         {func(c map[string]any) { c["aud"] = "other" }, nil, true},
		"proof new enough":               {func(map[string]any) {}, &age, false},
		"proof too old":                  {func(c map[string]any) { c["auth_time"] = start.Unix() - 361 }, &age, true},
		"proof of unknown age":           {func(c map[string]any) { delete(c, "auth_time") }, &age, true},
		"unknown claims and odd members": {func(c map[string]any) { c["amr"], c["x"] = "otp", map[string]any{} }, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, script{"/idp/idx/introspect": {ok("success")}})
			e.claims = tt.change
			tx, err := e.client(t).Start(t.Context(), idx.StartOptions{MaxAge: tt.maxAge})
			if tt.fails {
				if !errors.Is(err, idx.ErrInvalidToken) {
					t.Errorf("err = %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			// However the clocks differ, the token lives as long as it was made for.
			want := start.Add(time.Hour)
			if got := tx.Tokens.IDToken.ExpiresAt; !got.Equal(want) {
				t.Errorf("ExpiresAt = %v", got)
			}
		})
	}
}

func TestKeyCache(t *testing.T) {
	e := serve(t, nil)
	now := start
	c := e.client(t, func(cfg *idx.Config) { cfg.Now = func() time.Time { return now } })
	old := e.keys[0]
	next := signer{"k9", "ES256", ecKey()}
	verify := func(k signer) error {
		_, err := c.VerifyIDToken(t.Context(), k.sign(map[string]any{"alg": k.alg, "kid": k.kid},
			e.claimSet(map[string]any{"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})))
		return err
	}
	reads := func(want int) {
		t.Helper()
		if got := e.callsTo(jwksPath); got != want {
			t.Errorf("the keys were read %d times, not %d", got, want)
		}
	}
	if err := verify(old); err != nil {
		t.Fatal(err)
	}
	reads(1)

	e.mu.Lock()
	e.keys = []signer{old, next}
	e.mu.Unlock()
	if err := verify(next); !errors.Is(err, idx.ErrInvalidToken) {
		t.Errorf("a key of the same minute: %v", err)
	}
	reads(1)
	now = now.Add(time.Minute)
	if err := verify(next); err != nil {
		t.Errorf("a rotated key: %v", err)
	}
	reads(2)
	if err := verify(old); err != nil {
		t.Errorf("the key before: %v", err)
	}

	// A key that was withdrawn is gone within the hour.
	e.mu.Lock()
	e.keys = []signer{next}
	e.mu.Unlock()
	now = now.Add(time.Hour + time.Second)
	if err := verify(old); !errors.Is(err, idx.ErrInvalidToken) {
		t.Errorf("a withdrawn key: %v", err)
	}
	reads(3)

	// An engine that is away does not sign anybody out at once.
	away := reply{handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }}
	e.mu.Lock()
	e.script = script{jwksPath: {away, away}}
	e.mu.Unlock()
	now = now.Add(2 * time.Hour)
	if err := verify(next); err != nil {
		t.Errorf("while the engine is away: %v", err)
	}
	now = now.Add(23 * time.Hour)
	if err := verify(next); err == nil {
		t.Error("keys of yesterday were used")
	}
	if n := e.callsTo(discovery); n != 2 {
		t.Errorf("discovery was read %d times", n)
	}
}

func TestOddKeysAreLeftOut(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak := signer{"weak", "RS256", small}
	e := serve(t, nil)
	rs, ec := e.keys[0], signer{"ec", "ES256", ecKey()}
	odd := func(k signer, kid string, change map[string]any) map[string]any {
		j := k.jwk()
		j["kid"] = kid
		for name, v := range change {
			if j[name] = v; v == nil {
				delete(j, name)
			}
		}
		return j
	}
	set := []any{
		"no object", map[string]any{"kty": 5}, weak.jwk(),
		map[string]any{"kty": "oct", "kid": "oct", "k": "c2VjcmV0", "alg": "HS256"},
		odd(rs, "enc", map[string]any{"use": "enc"}),
		odd(rs, "ops", map[string]any{"key_ops": []string{"sign"}}),
		odd(rs, "exponent", map[string]any{"e": "AQ"}),
		odd(rs, "RS512", map[string]any{"alg": "RS512"}),
		odd(ec, "P-521", map[string]any{"crv": "P-521"}),
		odd(ec, "off the curve", map[string]any{"x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}),
		odd(ec, "short", map[string]any{"x": "AA"}),
		odd(rs, "plain", map[string]any{"alg": nil, "use": nil}),
		odd(ec, "plain ec", map[string]any{"alg": nil, "key_ops": []string{"verify"}}),
	}
	body, err := json.Marshal(map[string]any{"keys": set})
	if err != nil {
		t.Fatal(err)
	}
	e.script = script{jwksPath: {{handler: func(w http.ResponseWriter, _ *http.Request) { w.Write(body) }}}}
	c := e.client(t)
	for kid, k := range map[string]signer{"plain": rs, "plain ec": ec} {
		if _, err := c.VerifyIDToken(t.Context(), k.sign(header(map[string]any{"alg": k.alg, "kid": kid}), e.claimSet(nil))); err != nil {
			t.Errorf("%s: %v", kid, err)
		}
	}
	for kid, k := range map[string]signer{
		"weak": weak, "oct": rs, "enc": rs, "ops": rs, "exponent": rs, "RS512": rs, "P-521": ec, "off the curve": ec, "short": ec,
	} {
		if _, err := c.VerifyIDToken(t.Context(), k.sign(header(map[string]any{"alg": k.alg, "kid": kid}), e.claimSet(nil))); !errors.Is(err, idx.ErrInvalidToken) {
			t.Errorf("%s: %v", kid, err)
		}
	}
}

func TestIDX_C02_DiscoveryMustBeTheIssuers(t *testing.T) {
	for name, doc := range map[string]string{
		"another issuer":       `{"issuer":"https://evil.example","jwks_uri":"BASE/oauth2/default/v1/keys"}`,
		"keys of another host": `{"issuer":"BASE/oauth2/default","jwks_uri":"https://evil.example/keys"}`,
		"no keys":              `{"issuer":"BASE/oauth2/default"}`,
		"no JSON":              `<html>`,
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, nil)
			e.script = script{discovery: {{handler: func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, strings.ReplaceAll(doc, "BASE", e.URL))
			}}}}
			_, err := e.client(t).VerifyIDToken(t.Context(), e.keys[0].sign(header(nil), e.claimSet(nil)))
			if err == nil || errors.Is(err, idx.ErrInvalidToken) {
				t.Errorf("err = %v", err)
			}
		})
	}
}
