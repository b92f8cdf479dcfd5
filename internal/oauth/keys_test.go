package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/problem"
)

func (e *env) jwks() *reply { e.t.Helper(); return e.get("/oauth2/default/v1/keys") }

func (e *env) kids() []string {
	e.t.Helper()
	var out []string
	for _, k := range e.jwks().Body["keys"].([]any) {
		out = append(out, k.(map[string]any)["kid"].(string))
	}
	return out
}

func headerOf(t testing.TB, token string) map[string]any {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(b, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestJWKS(t *testing.T) {
	e := newEnv(t)
	r := e.jwks()
	if r.Status != http.StatusOK || r.Header.Get("Cache-Control") != "public, max-age=3600" {
		t.Errorf("%d %v", r.Status, r.Header)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(r.Raw), &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if kid, err := thumbprint(k.Key); err != nil || kid != k.KeyID || !k.IsPublic() {
			t.Errorf("kid %s, thumbprint %s, public %v (%v)", k.KeyID, kid, k.IsPublic(), err)
		}
	}
	for _, k := range r.Body["keys"].([]any) { // the bytes differ with each test run
		k := k.(map[string]any)
		k["n"], k["kid"] = "…", "…"
	}
	golden(t, "jwks", r.Body)
	if slices.Equal(e.kids(), []string{e.get("/oauth2/v1/keys").Body["keys"].([]any)[0].(map[string]any)["kid"].(string)}) {
		t.Error("two servers share a key")
	}
}

func TestSEC_S101_Rotation(t *testing.T) {
	e := newEnv(t)
	other := e.second()
	ctx := context.Background()
	old := e.kids()[0]
	tokenOf := func(e *env) (string, string) {
		token := e.redeem().text("access_token")
		return token, headerOf(t, token)["kid"].(string)
	}
	other.kids() // the other node has the old keys in memory
	if err := e.server.Rotate(ctx, DefaultServer, PublishBefore); err != nil {
		t.Fatal(err)
	}
	kids := e.kids()
	if len(kids) != 2 || !slices.Contains(kids, old) {
		t.Fatalf("published %v, want %s and its next", kids, old)
	}
	next := kids[0]
	if _, kid := tokenOf(e); kid != old {
		t.Error("the next key signs before its time")
	}
	e.clock.Move(PublishBefore - time.Second)
	if !slices.Contains(other.kids(), next) {
		t.Error("the other node does not publish the next key")
	}
	last, kid := tokenOf(e)
	if kid != old {
		t.Error("the next key signs before its time")
	}
	e.clock.Move(time.Second)
	for _, node := range []*env{e, other} {
		if token, kid := tokenOf(node); kid != next || node.userinfo(token).Status != 200 {
			t.Error("the next key does not sign")
		}
		if node.userinfo(last).Status != 200 {
			t.Error("a token of the old key is refused")
		}
	}
	e.clock.Move(time.Hour + publishAfter - time.Second)
	if !slices.Contains(e.kids(), old) {
		t.Error("the old key is gone too early")
	}
	e.clock.Move(time.Second)
	if kids := e.kids(); !slices.Equal(kids, []string{next}) {
		t.Errorf("published %v, want %s alone", kids, next)
	}
	if !slices.Contains(e.store.events(), "app.oauth2.key.rollover") {
		t.Error("no audit event")
	}
	if err := e.server.Rotate(ctx, "nowhere", 0); err == nil {
		t.Error("an unknown server was rotated")
	}
}

// An emergency: within a minute all nodes sign with the new key, and a next key
// that was already published never signs.
func TestSEC_S101_EmergencyRotation(t *testing.T) {
	e := newEnv(t)
	other := e.second()
	old := e.kids()[0]
	other.kids()
	if err := e.server.Rotate(context.Background(), DefaultServer, PublishBefore); err != nil {
		t.Fatal(err)
	}
	planned := e.kids()[0]
	if err := e.server.Rotate(context.Background(), DefaultServer, 0); err != nil {
		t.Fatal(err)
	}
	e.clock.Move(keysAge)
	if got := other.kids(); slices.Contains(got, planned) || !slices.Contains(got, old) || len(got) != 2 {
		t.Errorf("other node publishes %v", got)
	}
	e.clock.Move(time.Minute - keysAge)
	for _, node := range []*env{e, other} {
		if kid := headerOf(t, node.redeem().text("access_token"))["kid"]; kid == old || kid == planned {
			t.Errorf("signs with %v", kid)
		}
	}
	e.clock.Move(PublishBefore)
	if kid := headerOf(t, e.redeem().text("access_token"))["kid"]; kid == planned {
		t.Error("the key that was planned before the emergency signs")
	}
}

// Two nodes start on an empty store at the same time: one key.
func TestFirstKeys(t *testing.T) {
	a := newEnv(t)
	clear(a.store.keys)
	b := a.second()
	var wg sync.WaitGroup
	for _, e := range []*env{a, b, a, b} {
		wg.Go(func() {
			if _, err := e.server.keys.signer(context.Background(), DefaultServer, algES256); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(a.store.keys) != 1 {
		t.Fatalf("%d keys", len(a.store.keys))
	}
	for _, e := range []*env{a, b} {
		k, err := e.server.keys.signer(context.Background(), DefaultServer, algES256)
		if err != nil || a.store.keys[k.ID].ID == "" {
			t.Errorf("%v %v", k, err)
		}
	}
	for kid, k := range a.store.keys {
		if k.Alg != algES256 || strings.Contains(string(k.Private), "PRIVATE") {
			t.Error("the key is not sealed")
		}
		if _, err := a.keyring.Open("keys/private", kid, k.Private); err != nil {
			t.Error(err)
		}
	}
}

func TestRunMakesKeysAndStops(t *testing.T) {
	e := newEnv(t, func(c *Config) { c.Servers = []AuthorizationServer{{ID: DefaultServer, AccessTokenAlg: algES256}} })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.server.Run(ctx, func(work func() error) error { return work() }) }()
	if r := e.jwks(); r.Status != 200 || len(r.Body["keys"].([]any)) != 2 {
		t.Errorf("%d %s", r.Status, r.Raw)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSEC_S102_SealedKeys(t *testing.T) {
	t.Run("another master key", func(t *testing.T) {
		e := newEnv(t, func(c *Config) { c.Keyring, _ = keyring.New(keyring.Generate()) })
		_, err := e.server.keys.signer(context.Background(), DefaultServer, algRS256)
		if !errors.Is(err, keyring.ErrSealed) {
			t.Errorf("got %v", err)
		}
		if r := e.jwks(); r.Status != http.StatusInternalServerError || strings.Contains(r.Raw, "sealed") {
			t.Errorf("%d %s", r.Status, r.Raw)
		}
		if len(e.store.keys) != 2 {
			t.Error("keys were made again")
		}
	})
	t.Run("moved to another row", func(t *testing.T) {
		e := newEnv(t)
		ids := slices.Collect(maps.Keys(e.store.keys))
		k := e.store.keys[ids[0]]
		k.Private = e.store.keys[ids[1]].Private
		e.store.keys[ids[0]] = k
		if r := e.jwks(); r.Status != http.StatusInternalServerError {
			t.Errorf("%d", r.Status)
		}
	})
	t.Run("algorithm of the row changed", func(t *testing.T) {
		e := newEnv(t)
		for id, k := range e.store.keys {
			k.Alg = algES256
			e.store.keys[id] = k
		}
		if r := e.jwks(); r.Status != http.StatusInternalServerError {
			t.Errorf("%d", r.Status)
		}
	})
	t.Run("dump", func(t *testing.T) {
		e := newEnv(t)
		secret := e.redeem(scopes("openid", "offline_access")).text("refresh_token")
		dump, err := json.Marshal([]any{e.store.keys, e.store.families, e.store.clients, e.store.audit, e.store.void})
		if err != nil {
			t.Fatal(err)
		}
		for _, canary := range []string{secret, secret[len(secret)-43:], webSecret} {
			if strings.Contains(string(dump), canary) {
				t.Errorf("the store holds %s", canary)
			}
		}
	})
}

func TestKeyConflictIsNoError(t *testing.T) {
	e := newEnv(t)
	ctx := context.Background()
	if err := e.server.keys.create(ctx, DefaultServer, algRS256, firstActive, nil); problem.KindOf(err) != problem.Conflict {
		t.Errorf("a second first key: %v", err)
	}
}

// The header that a token is recognised by is the one that go-jose writes.
func TestHeaderText(t *testing.T) {
	e := newEnv(t)
	for _, alg := range []string{algRS256, algES256} {
		k, err := e.server.keys.signer(context.Background(), DefaultServer, alg)
		if err != nil {
			t.Fatal(err)
		}
		for typ, typed := range map[string]bool{"": false, typeAccess: true} {
			token, err := k.sign(typed, accessClaims{})
			if err != nil {
				t.Fatal(err)
			}
			if got, _, _ := strings.Cut(token, "."); got != header(k.Key, typ) {
				t.Errorf("%s %s: header %v", alg, typ, headerOf(t, token))
			}
		}
	}
}

// An engine whose database is away at its first start has its keys soon after that is
// back, though nobody asks for them.
func TestREL_R30_KeysOnceTheDatabaseIsBack(t *testing.T) {
	testKeys() // outside of the bubble: they are for all tests
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		clear(e.store.keys)
		away := func(err error) { e.store.mu.Lock(); defer e.store.mu.Unlock(); e.store.fail = err }
		away(errors.New("away"))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan error)
		go func() { ended <- e.server.Run(ctx, func(work func() error) error { return work() }) }()
		time.Sleep(time.Minute) // of the bubble
		if e.server.Ready(t.Context()) == nil {
			t.Error("ready without a database")
		}
		away(nil)
		e.clock.Move(keysAge)
		time.Sleep(2 * keysAgain) // of the bubble
		synctest.Wait()
		if err := e.server.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		if n := strings.Count(e.logs.String(), "no signing keys yet"); n != 1 {
			t.Errorf("told %d times of one outage", n)
		}
		stop()
		<-ended
	})
}
