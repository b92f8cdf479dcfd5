package signin_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	clientID = "0oa1acmeweb0000000"
	secret   = "a secret of the app's own"
)

// A clock is moved by the test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// An engine speaks the wire for the pages' tests: it has no rules of its own but
// those that its fields set.
type engine struct {
	t     testing.TB
	srv   *httptest.Server
	clock *clock

	mu       sync.Mutex
	closed   bool             // sign-up
	required bool             // the password may not be skipped
	optional []string         // what the list offers after the proof; default: a password
	tell     bool             // known and unknown addresses show (decision D41)
	users    map[string]bool  // by address
	delivery string           // of mails
	wait     time.Duration    // before a resend
	offline  bool             // refresh tokens
	expires  time.Duration    // life of access tokens
	answers  map[string]reply // by path, instead of the engine's own
	hold     chan struct{}    // requests to /challenge/answer, enroll/new and identify wait for it
	asks     []m              // more fields of sign-up
	unknown  string           // document of a step that nobody knows, after the proof
	redirect string

	flows    map[string]*transaction // by state handle
	mails    []mail
	calls    []string
	headers  []http.Header
	codes    map[string]*transaction // interaction codes
	redeemed map[string]int
	refresh  map[string]bool // refresh token: used
	revoked  []string
	serial   int
}

type reply struct {
	status int
	header http.Header
	body   string
}

type mail struct{ to, code, state string }

type transaction struct {
	handle, state, nonce, scope string
	step                        string // identify, profile, enroll-email, challenge-email, list, password, unknown, done, transferred
	identifier, first, last     string
	profile                     map[string]any // as sent
	known                       bool
	codes                       map[string]time.Time
	tries                       int
	resendAt                    time.Time
	enrolled                    []string
	code                        string
	message                     string // key of a message on the field
}

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newEngine(t testing.TB, c *clock) *engine {
	e := &engine{
		t: t, clock: c, users: map[string]bool{}, delivery: "sent", expires: time.Hour, wait: 30 * time.Second,
		answers: map[string]reply{}, optional: []string{"okta_password"}, flows: map[string]*transaction{},
		codes: map[string]*transaction{}, redeemed: map[string]int{}, refresh: map[string]bool{},
	}
	e.srv = httptest.NewServer(e)
	t.Cleanup(e.srv.Close)
	return e
}

func (e *engine) issuer() string { return e.srv.URL + "/oauth2/default" }

func (e *engine) lastMail(to string) mail {
	e.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := len(e.mails) - 1; i >= 0; i-- {
		if e.mails[i].to == to {
			return e.mails[i]
		}
	}
	e.t.Fatalf("no mail to %s among %d", to, len(e.mails))
	return mail{}
}

func (e *engine) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

func (e *engine) count(path string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, c := range e.calls {
		if strings.HasSuffix(c, path) {
			n++
		}
	}
	return n
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.Path, "/oauth2/default")
	e.mu.Lock()
	hold := e.hold
	e.mu.Unlock()
	if hold != nil && (strings.HasSuffix(path, "/answer") || strings.HasSuffix(path, "/new") || strings.HasSuffix(path, "/identify")) {
		<-hold
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.serial++
	e.calls = append(e.calls, r.Method+" "+path)
	e.headers = append(e.headers, r.Header.Clone())
	w.Header().Set("X-Okta-Request-Id", fmt.Sprintf("req%d", e.serial))
	if a, ok := e.answers[path]; ok {
		for name := range a.header {
			w.Header().Set(name, a.header.Get(name))
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		io.WriteString(w, a.body)
		return
	}
	if strings.HasPrefix(path, "/idp/idx/") {
		var in map[string]any
		if err := json.Unmarshal(body, &in); err != nil {
			e.t.Errorf("%s: %v", path, err)
		}
		e.idx(w, strings.TrimPrefix(path, "/idp/idx/"), in)
		return
	}
	form, _ := url.ParseQuery(string(body))
	w.Header().Set("Content-Type", "application/json")
	switch path {
	case "/.well-known/openid-configuration":
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, e.issuer(), e.issuer()+"/v1/keys")
	case "/v1/keys":
		n := base64.RawURLEncoding.EncodeToString(signingKey().N.Bytes())
		fmt.Fprintf(w, `{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"k1","e":"AQAB","n":%q}]}`, n)
	case "/v1/interact":
		tx := &transaction{
			handle: fmt.Sprintf("02.id.%d", e.serial), state: form.Get("state"), nonce: form.Get("nonce"),
			scope: form.Get("scope"), step: "identify", codes: map[string]time.Time{},
		}
		e.flows[tx.handle] = tx
		fmt.Fprintf(w, `{"interaction_handle":%q}`, tx.handle)
	case "/v1/token":
		e.token(w, form)
	case "/v1/revoke":
		e.revoked = append(e.revoked, form.Get("token"))
	default:
		http.NotFound(w, r)
	}
}

func (e *engine) idx(w http.ResponseWriter, path string, in map[string]any) {
	str := func(names ...string) string {
		m := in
		for _, n := range names[:len(names)-1] {
			m, _ = m[n].(map[string]any)
		}
		s, _ := m[names[len(names)-1]].(string)
		return s
	}
	tx := e.flows[str("stateHandle")+str("interactionHandle")]
	if tx == nil {
		e.say(w, 401, map[string]any{"version": "1.0.0", "messages": messages("idx.session.expired", "You have been logged out due to inactivity.")})
		return
	}
	tx.message = ""
	status := 200
	switch path {
	case "introspect", "challenge/poll":
	case "cancel":
		*tx = transaction{handle: tx.handle, state: tx.state, nonce: tx.nonce, scope: tx.scope, step: "identify", codes: map[string]time.Time{}}
	case "enroll":
		tx.step = "profile"
	case "identify":
		tx.identifier = str("identifier")
		tx.known = e.users[tx.identifier]
		if e.tell && !tx.known {
			tx.message, status = "idx.unknown.user", 200
			break
		}
		tx.step = "challenge-email"
		e.send(tx)
	case "enroll/new":
		tx.first, tx.last, tx.identifier = str("userProfile", "firstName"), str("userProfile", "lastName"), str("userProfile", "email")
		tx.profile, _ = in["userProfile"].(map[string]any)
		tx.known = e.users[tx.identifier]
		if e.tell && tx.known {
			tx.message, status = "registration.error.notUniqueWithinOrg", 400
			break
		}
		tx.step = "enroll-email"
		e.send(tx)
	case "challenge/resend":
		if tx.tries >= 5 {
			tx.tries, tx.codes = 0, map[string]time.Time{}
		}
		e.send(tx)
	case "challenge/answer":
		status = e.answer(tx, str("credentials", "passcode"))
	case "credential/enroll":
		if str("authenticator", "id") == "aut1okta_password" {
			tx.step = "password"
		}
	case "skip":
		tx.step = "done"
	}
	e.say(w, status, e.document(tx))
}

func (e *engine) send(tx *transaction) {
	e.serial++
	code := fmt.Sprintf("%06d", 482000+e.serial)
	tx.codes[code] = e.clock.Now().Add(10 * time.Minute)
	tx.resendAt = e.clock.Now().Add(e.wait)
	e.mails = append(e.mails, mail{tx.identifier, code, tx.state})
}

func (e *engine) answer(tx *transaction, passcode string) int {
	switch tx.step {
	case "enroll-email", "challenge-email":
		ends, ok := tx.codes[passcode]
		if !ok || tx.tries >= 5 || !e.clock.Now().Before(ends) || tx.step == "challenge-email" && !tx.known {
			tx.tries++
			tx.message = "api.authn.error.PASSCODE_INVALID"
			return 401
		}
		e.users[tx.identifier] = true
		tx.enrolled = []string{"okta_email"}
		switch {
		case e.unknown != "":
			tx.step = "unknown"
		case tx.step == "enroll-email" && !tx.known && len(e.optional) > 0:
			tx.step = "list"
		default:
			tx.step = "done"
		}
	case "password":
		if len(passcode) < 8 {
			tx.message = "password.passwordRequirementsNotMet"
			return 400
		}
		tx.enrolled = append(tx.enrolled, "okta_password")
		tx.step = "done"
		if len(e.optional) > 1 {
			tx.step = "list"
		}
	case "unknown":
		tx.step = "done"
	}
	return 200
}

// lastTransaction is the one that the newest mail belongs to.
func (e *engine) lastTransaction() *transaction {
	state := e.mails[len(e.mails)-1].state
	for _, tx := range e.flows {
		if tx.state == state {
			return tx
		}
	}
	e.t.Fatal("no transaction")
	return nil
}
