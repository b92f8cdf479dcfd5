package oauth

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/pool"
)

// Where nothing more can be signed, nothing is consumed: the code and the refresh
// token that were turned away are good when there is room again.
func TestREL_R19_RefusedBeforeAnythingIsSpent(t *testing.T) {
	signing := pool.New(1, 0)
	e := newEnv(t, func(c *Config) { c.Signing = signing })
	refresh := e.redeem(scopes("openid", "offline_access")).text("refresh_token")
	code := e.finish()
	place, err := signing.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for _, f := range []map[string][]string{redemption(code), refreshing(refresh)} {
			r := e.post(tokenPath, f)
			wantRefusal(t, r, http.StatusServiceUnavailable, "temporarily_unavailable", "")
			if r.Header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After: %q", r.Header.Get("Retry-After"))
			}
		}
	}
	// What signs nothing goes on.
	if r := e.get("/oauth2/default/v1/keys"); r.Status != http.StatusOK {
		t.Errorf("keys: %d %s", r.Status, r.Raw)
	}
	place.Release()
	for _, f := range []map[string][]string{redemption(code), refreshing(refresh)} {
		if r := e.post(tokenPath, f); r.Status != http.StatusOK {
			t.Errorf("when there is room again: %d %s", r.Status, r.Raw)
		}
	}
	if signing.Busy() != 0 || signing.Refused() != 6 {
		t.Errorf("%d places taken, %d refused, want 0 and 6", signing.Busy(), signing.Refused())
	}
}

// stuck is a store that answers when the context ends, once it is switched on.
type stuck struct {
	*memory
	on bool
}

func (s *stuck) Keys(ctx context.Context) ([]Key, error) {
	if s.on {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return s.memory.Keys(ctx)
}

// While the database does not answer one request waits for it, no longer than its
// deadline allows; all others have the keys from memory at once.
func TestREL_R12_KeysDoNotWaitForTheStore(t *testing.T) {
	testKeys() // outside of the bubble: they are for all tests
	synctest.Test(t, func(t *testing.T) {
		var s *stuck
		e := newEnv(t, func(c *Config) {
			s = &stuck{memory: c.Store.(*memory)}
			c.Store, c.Admission = s, edge.NewAdmission(nil, nil)
		})
		get := func() (took time.Duration) {
			begin := time.Now()
			if r := e.get("/oauth2/default/v1/keys"); r.Status != http.StatusOK || !strings.Contains(r.Raw, `"kty":"RSA"`) {
				t.Errorf("keys: %d %s", r.Status, r.Raw)
			}
			return time.Since(begin)
		}
		get()
		s.on = true
		e.clock.Move(keysAge)
		first := make(chan time.Duration)
		go func() { first <- get() }()
		synctest.Wait()
		for range 50 {
			if took := get(); took != 0 {
				t.Errorf("one of the others waited for %v", took)
			}
		}
		if took := <-first; took > edge.Longest {
			t.Errorf("the one that looked waited for %v", took)
		}
	})
}

// slowJourneys knows of no code before the context ends.
type slowJourneys struct{ *journeys }

func (s slowJourneys) Finished(ctx context.Context, _ string) (Interaction, error) {
	<-ctx.Done()
	return Interaction{}, context.Cause(ctx)
}

// A request whose time is up is answered, and told to come again.
func TestREL_I10_TokenDeadline(t *testing.T) {
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, func(c *Config) {
			c.Admission = edge.NewAdmission(nil, nil)
			c.Interactions = slowJourneys{c.Interactions.(*journeys)}
		})
		begin := time.Now()
		r := e.post(tokenPath, redemption("x"))
		wantRefusal(t, r, http.StatusServiceUnavailable, "temporarily_unavailable", "")
		if took := time.Since(begin); took > edge.Longest || r.Header.Get("Retry-After") == "" {
			t.Errorf("after %v, with Retry-After %q", took, r.Header.Get("Retry-After"))
		}
	})
}
