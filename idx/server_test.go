package idx_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
)

//go:embed testdata/*.json
var documents embed.FS

// start is the time of every test's clock.
var start = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

const (
	clientID = "0oa1acmeweb0000000"
	secret   = "s3cr3t/of+the app"
	redirect = "https://app.example.org/login/callback"
)

// An answer of the scripted engine: a document of testdata with an HTTP status,
// or a handler.
type reply struct {
	status  int
	file    string
	header  http.Header
	handler http.HandlerFunc
}

func ok(file string) reply                { return reply{status: 200, file: file} }
func refused(code int, file string) reply { return reply{status: code, file: file} }

// A script holds the answers to each IDX path, in the order of the requests.
type script map[string][]reply

// An engine plays a script; interact, token, discovery and keys work by themselves.
type engine struct {
	*httptest.Server
	Issuer string

	mu           sync.Mutex
	script       script
	wrong        []string // what requests had wrong
	calls        []string // method and path, in order
	bodies       []map[string]any
	headers      []http.Header
	forms        []url.Values
	interactions []url.Values
	redeemed     int
	claims       func(claims map[string]any)
	token        func(body map[string]any)
	now          time.Time
	keys         []signer
}

type signer struct {
	kid, alg string
	key      crypto.Signer
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

var ecKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

func newEngine(s script) *engine {
	e := &engine{script: s, now: start, keys: []signer{{"k1", "RS256", rsaKey()}}}
	e.Server = httptest.NewServer(e)
	e.Issuer = e.URL + "/oauth2/default"
	return e
}

// serve starts an engine for a test, which fails if the script was not played to its end.
func serve(t testing.TB, s script) *engine {
	t.Helper()
	e := newEngine(s)
	t.Cleanup(func() {
		e.Close()
		for _, w := range e.wrong {
			t.Error(w)
		}
		for path, left := range e.script {
			if len(left) > 0 {
				t.Errorf("%s was not called %d more times", path, len(left))
			}
		}
	})
	return e
}

func (e *engine) config() idx.Config {
	return idx.Config{
		Issuer: e.Issuer, ClientID: clientID, ClientSecret: secret, RedirectURI: redirect,
		Now: func() time.Time { return start },
	}
}

func (e *engine) client(t testing.TB, change ...func(*idx.Config)) *idx.Client {
	t.Helper()
	cfg := e.config()
	for _, f := range change {
		f(&cfg)
	}
	c, err := idx.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func public(cfg *idx.Config) { cfg.ClientSecret = "" }

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	e.calls = append(e.calls, r.Method+" "+r.URL.Path)
	e.headers = append(e.headers, r.Header.Clone())
	form, _ := url.ParseQuery(string(body))
	e.forms = append(e.forms, form)
	w.Header().Set("X-Okta-Request-Id", fmt.Sprintf("req%d", len(e.calls)))
	if queue, scripted := e.script[r.URL.Path]; scripted {
		if len(queue) == 0 {
			e.wrong = append(e.wrong, r.URL.Path+" was called too often")
			http.Error(w, "no answer left", http.StatusTeapot)
			return
		}
		e.script[r.URL.Path] = queue[1:]
		e.play(w, r, queue[0], body)
		return
	}
	switch r.URL.Path {
	case "/oauth2/default/v1/interact":
		e.interactions = append(e.interactions, form)
		fmt.Fprintf(w, `{"interaction_handle":"ih.%d"}`, len(e.interactions))
	case "/oauth2/default/v1/token":
		e.tokenEndpoint(w, form)
	case "/oauth2/default/.well-known/openid-configuration":
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, e.Issuer, e.Issuer+"/v1/keys")
	case "/oauth2/default/v1/keys":
		json.NewEncoder(w).Encode(map[string]any{"keys": e.jwks()})
	default:
		e.wrong = append(e.wrong, r.URL.Path+" is not in the script")
		http.NotFound(w, r)
	}
}

func (e *engine) play(w http.ResponseWriter, r *http.Request, a reply, body []byte) {
	if strings.HasPrefix(r.URL.Path, "/idp/idx/") {
		var sent map[string]any
		if err := json.Unmarshal(body, &sent); err != nil {
			e.wrong = append(e.wrong, r.URL.Path+": "+err.Error())
		}
		e.bodies = append(e.bodies, sent)
	}
	if a.handler != nil {
		a.handler(w, r)
		return
	}
	for name := range a.header {
		w.Header().Set(name, a.header.Get(name))
	}
	w.Header().Set("Content-Type", "application/ion+json; okta-version=1.0.0")
	w.WriteHeader(a.status)
	io.WriteString(w, e.document(a.file))
}

// document gives a file of testdata with this engine's address in it.
func (e *engine) document(file string) string {
	b, err := documents.ReadFile("testdata/" + file + ".json")
	if err != nil {
		panic(err)
	}
	return strings.ReplaceAll(string(b), "https://id.example.com", e.URL)
}

// tokenEndpoint redeems a code for whoever knows the verifier of an interaction.
func (e *engine) tokenEndpoint(w http.ResponseWriter, form url.Values) {
	e.redeemed++
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	nonce := ""
	for _, i := range e.interactions {
		if i.Get("code_challenge") == challenge && i.Get("client_id") == form.Get("client_id") {
			nonce = i.Get("nonce")
		}
	}
	if form.Get("grant_type") == "interaction_code" && (nonce == "" || form.Get("interaction_code") != "Zk9cX1r7T2m") {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant","error_description":"PKCE verification failed."}`)
		return
	}
	access := "an-access-token"
	sum = sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": e.Issuer, "aud": form.Get("client_id"), "sub": "00u1johndoe0000000", "ver": 1,
		"iat": e.now.Unix(), "exp": e.now.Add(time.Hour).Unix(), "auth_time": e.now.Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
		"email":   "john.doe@example.org", "email_verified": true, "name": "John Doe", "amr": []string{"otp"},
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if e.claims != nil {
		e.claims(claims)
	}
	body := map[string]any{
		"token_type": "Bearer", "expires_in": 3600, "scope": "openid profile email", "access_token": access,
		"id_token": e.keys[0].sign(map[string]any{"alg": e.keys[0].alg, "kid": e.keys[0].kid}, claims),
	}
	if e.token != nil {
		e.token(body)
	}
	json.NewEncoder(w).Encode(body)
}

func (e *engine) jwks() []map[string]any {
	var all []map[string]any
	for _, k := range e.keys {
		all = append(all, k.jwk())
	}
	return all
}

func (e *engine) lastBody() map[string]any {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.bodies[len(e.bodies)-1]
}

func (e *engine) callsTo(path string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, c := range e.calls {
		if strings.HasSuffix(c, " "+path) {
			n++
		}
	}
	return n
}

func (k signer) jwk() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	switch pub := k.key.Public().(type) {
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "kid": k.kid, "alg": k.alg, "use": "sig",
			"n": b64(pub.N.Bytes()), "e": b64(big.NewInt(int64(pub.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, _ := pub.Bytes()
		return map[string]any{"kty": "EC", "crv": "P-256", "kid": k.kid, "alg": k.alg, "use": "sig",
			"x": b64(point[1:33]), "y": b64(point[33:])}
	}
	return nil
}

func (k signer) sign(header, claims any) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	return k.signRaw(h, c)
}

func (k signer) signRaw(header, claims []byte) string {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64(header) + "." + b64(claims)
	sum := sha256.Sum256([]byte(signed))
	var sig []byte
	switch key := k.key.(type) {
	case *rsa.PrivateKey:
		sig, _ = rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		r, s, _ := ecdsa.Sign(rand.Reader, key, sum[:])
		sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	return signed + "." + b64(sig)
}
