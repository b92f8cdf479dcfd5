package signin_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
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

func (e *engine) say(w http.ResponseWriter, status int, doc map[string]any) {
	kind := "application/ion+json; okta-version=1.0.0"
	if status >= 400 {
		kind = "application/json; okta-version=1.0.0"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(doc)
}

type m = map[string]any

func messages(key, text string) m {
	return m{"type": "array", "value": []m{{"message": text, "i18n": m{"key": key}, "class": "ERROR"}}}
}

// document is the envelope of where tx stands (idx-protocol §2, §3).
func (e *engine) document(tx *transaction) m {
	sh := m{"name": "stateHandle", "required": true, "value": tx.handle, "visible": false, "mutable": false}
	form := func(name, path string, fields ...m) m {
		return m{
			"rel": []string{"create-form"}, "name": name, "href": e.srv.URL + "/idp/idx/" + path, "method": "POST",
			"produces": "application/ion+json; okta-version=1.0.0", "accepts": "application/json; okta-version=1.0.0",
			"value": append(fields, sh),
		}
	}
	text := func(name, label string, more ...m) m {
		f := m{"name": name, "label": label, "required": true}
		for _, extra := range more {
			for k, v := range extra {
				f[k] = v
			}
		}
		return f
	}
	said := func(f m) m {
		if tx.message != "" {
			f["messages"] = messages(tx.message, "said by the engine")
		}
		return f
	}
	authenticator := func(key string) m {
		name := map[string]string{"okta_email": "Email", "okta_password": "Password", "okta_verify": "Okta Verify"}[key]
		kind := map[string]string{"okta_email": "email", "okta_password": "password", "okta_verify": "app"}[key]
		return m{"type": kind, "key": key, "id": "aut1" + key, "displayName": name, "methods": []m{{"type": kind}}}
	}
	var all []m
	option := func(key string) m {
		a := authenticator(key)
		all = append(all, a)
		return m{
			"label": a["displayName"], "relatesTo": fmt.Sprintf("$.authenticators.value[%d]", len(all)-1),
			"value": m{"form": m{"value": []m{{"name": "id", "required": true, "value": a["id"], "mutable": false}}}},
		}
	}
	list := func(name, path string, keys ...string) m {
		var options []m
		for _, k := range keys {
			options = append(options, option(k))
		}
		return form(name, path, m{"name": "authenticator", "type": "object", "options": options})
	}
	passcode := func(name, label string, secret bool) m {
		f := form(name, "challenge/answer", m{
			"name": "credentials", "type": "object", "required": true,
			"form": m{"value": []m{said(m{"name": "passcode", "label": label, "secret": secret})}},
		})
		f["relatesTo"] = []string{"$.currentAuthenticator"}
		return f
	}

	doc := m{
		"version": "1.0.0", "stateHandle": tx.handle, "intent": "LOGIN",
		"expiresAt": e.clock.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"cancel":    form("cancel", "cancel"),
		"app":       m{"type": "object", "value": m{"name": "oidc_client", "label": "Acme", "id": clientID}},
	}
	var remediations []m
	left := func() []string {
		var keys []string
		for _, k := range e.optional {
			if !strings.Contains(strings.Join(tx.enrolled, " "), k) {
				keys = append(keys, k)
			}
		}
		return keys
	}
	switch tx.step {
	case "identify":
		if tx.message != "" {
			doc["messages"] = messages(tx.message, "There is no account with the Username.")
		}
		remediations = append(remediations, form("identify", "identify", text("identifier", "Username")))
		if !e.closed {
			remediations = append(remediations, form("select-enroll-profile", "enroll"))
		}
	case "profile":
		remediations = append(remediations, form("enroll-profile", "enroll/new", m{"name": "userProfile", "form": m{"value": []m{
			text("firstName", "First name", m{"maxLength": 50}), text("lastName", "Last name", m{"maxLength": 50}), said(text("email", "Email")),
		}}}), form("select-identify", "identify/select"))
	case "enroll-email", "challenge-email":
		name, other, path := "enroll-authenticator", "select-authenticator-enroll", "credential/enroll"
		if tx.step == "challenge-email" {
			name, other, path = "challenge-authenticator", "select-authenticator-authenticate", "challenge"
		}
		remediations = append(remediations, passcode(name, "Enter code", false), list(other, path, "okta_email"))
		current := authenticator("okta_email")
		current["resend"] = form("resend", "challenge/resend")
		poll := form("poll", "challenge/poll")
		poll["refresh"] = 2000
		current["poll"] = poll
		var ends time.Time
		for _, at := range tx.codes {
			if at.After(ends) {
				ends = at
			}
		}
		current["contextualData"] = m{"stile": m{
			"codeExpiresAt": ends.UTC().Format(time.RFC3339), "resendAt": tx.resendAt.UTC().Format(time.RFC3339),
			"triesLeft": max(0, 5-tx.tries), "delivery": e.delivery,
		}}
		doc["currentAuthenticator"] = m{"type": "object", "value": current}
	case "list":
		remediations = append(remediations, list("select-authenticator-enroll", "credential/enroll", left()...))
		if !e.required {
			remediations = append(remediations, form("skip", "skip"))
		}
	case "password":
		remediations = append(remediations, passcode("enroll-authenticator", "Enter password", true),
			list("select-authenticator-enroll", "credential/enroll", left()...))
		if !e.required {
			remediations = append(remediations, form("skip", "skip"))
		}
		current := authenticator("okta_password")
		current["settings"] = m{"complexity": m{"minLength": 8, "minNumber": 1, "excludeUsername": true}}
		doc["currentAuthenticator"] = m{"type": "object", "value": current}
	case "unknown":
		var f m
		if err := json.Unmarshal([]byte(e.unknown), &f); err != nil {
			e.t.Error(err)
		}
		f["href"], f["value"] = e.srv.URL+"/idp/idx/challenge/answer", append(f["value"].([]any), sh)
		remediations = append(remediations, f)
	case "transferred":
		delete(doc, "cancel")
		doc["messages"] = m{"type": "array", "value": []m{{"message": "Flow continued in a new tab.", "i18n": m{"key": "idx.transferred.to.new.tab"}, "class": "INFO"}}}
		return doc
	case "done":
		if tx.code == "" {
			tx.code = fmt.Sprintf("ic-%d", e.serial)
			e.codes[tx.code] = tx
		}
		doc["successWithInteractionCode"] = m{
			"rel": []string{"create-form"}, "name": "issue", "href": e.issuer() + "/v1/token", "method": "POST",
			"value": []m{{"name": "interaction_code", "required": true, "value": tx.code}},
		}
		return doc
	}
	doc["remediation"] = m{"type": "array", "value": remediations}
	doc["authenticators"] = m{"type": "array", "value": all}
	doc["user"] = m{"type": "object", "value": m{"id": "00u1", "identifier": tx.identifier}}
	return doc
}

func (e *engine) token(w http.ResponseWriter, form url.Values) {
	var tx *transaction
	switch form.Get("grant_type") {
	case "interaction_code":
		code := form.Get("interaction_code")
		if tx = e.codes[code]; tx == nil || e.redeemed[code] > 0 {
			w.WriteHeader(400)
			io.WriteString(w, `{"error":"invalid_grant","error_description":"The interaction code is invalid or has expired."}`)
			return
		}
		e.redeemed[code]++
	case "refresh_token":
		used, known := e.refresh[form.Get("refresh_token")]
		if !known || used {
			w.WriteHeader(400)
			io.WriteString(w, `{"error":"invalid_grant","error_description":"The refresh token is invalid or expired."}`)
			return
		}
		e.refresh[form.Get("refresh_token")] = true
		tx = &transaction{identifier: "ada@example.com", first: "Ada", last: "Lovelace"}
	}
	access := fmt.Sprintf("access-%d-%s", e.serial, strings.Repeat("x", 900))
	sum := sha256.Sum256([]byte(access))
	now := e.clock.Now()
	claims := m{
		"iss": e.issuer(), "aud": clientID, "sub": "00u1ada", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"auth_time": now.Unix(), "email": tx.identifier, "email_verified": true, "name": tx.first + " " + tx.last,
		"given_name": tx.first, "family_name": tx.last, "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
	}
	if tx.nonce != "" {
		claims["nonce"] = tx.nonce
	}
	out := m{
		"token_type": "Bearer", "expires_in": int(e.expires / time.Second), "scope": "openid profile email",
		"access_token": access, "id_token": sign(claims),
	}
	if e.offline {
		e.serial++
		token := fmt.Sprintf("refresh-%d", e.serial)
		e.refresh[token] = false
		out["refresh_token"] = token
	}
	json.NewEncoder(w).Encode(out)
}

func sign(claims m) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := part(m{"alg": "RS256", "kid": "k1"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, signingKey(), crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}
