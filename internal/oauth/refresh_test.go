package oauth

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/directory"
)

const errRefreshText = "The refresh token is invalid or expired."

func (e *env) refresh(token string) *reply {
	e.t.Helper()
	return e.post(tokenPath, refreshing(token))
}

func (e *env) refused(t testing.TB, token string) {
	t.Helper()
	wantRefusal(t, e.refresh(token), 400, "invalid_grant", errRefreshText)
}

func (e *env) firstRefreshToken(more ...string) string {
	e.t.Helper()
	return e.redeem(scopes(append([]string{"openid", "profile", "offline_access"}, more...)...)).text("refresh_token")
}

func TestRefresh(t *testing.T) {
	e := newEnv(t)
	first := e.redeem(scopes("openid", "profile", "offline_access"), func(i *Interaction) { i.Nonce = "n" })
	e.clock.Move(time.Hour)
	r := e.post(tokenPath, with(refreshing(first.text("refresh_token")), "scope", "openid profile offline_access"))
	if r.Status != http.StatusOK {
		t.Fatalf("%d %s", r.Status, r.Raw)
	}
	before, after := payload(t, first.text("id_token")), payload(t, r.text("id_token"))
	for _, same := range []string{"sub", "iss", "aud", "auth_time", "name", "amr"} {
		if !cmp.Equal(before[same], after[same]) {
			t.Errorf("%s: %v, was %v", same, after[same], before[same])
		}
	}
	if after["iat"] == before["iat"] || after["nonce"] != nil { // OIDC Core §12.2
		t.Errorf("iat %v, nonce %v", after["iat"], after["nonce"])
	}
	if r.text("refresh_token") == first.text("refresh_token") || r.text("scope") != "openid profile offline_access" {
		t.Error(r.Raw)
	}
	if e.userinfo(r.text("access_token")).Status != 200 {
		t.Error("the new access token does not work")
	}
}

func TestRefreshScopes(t *testing.T) {
	e := newEnv(t)
	token := e.firstRefreshToken()
	r := e.post(tokenPath, with(refreshing(token), "scope", "openid"))
	if r.text("scope") != "openid" || r.Status != 200 {
		t.Fatal(r.Raw)
	}
	wantRefusal(t, e.post(tokenPath, with(refreshing(r.text("refresh_token")), "scope", "openid email")), 400, "invalid_scope", "")
	again := e.refresh(r.text("refresh_token"))
	if again.text("scope") != "openid profile offline_access" { // narrowing holds for one answer (RFC 6749 §6)
		t.Error(again.Raw)
	}
}

func TestSEC_S81_ParallelRefreshes(t *testing.T) {
	e := newEnv(t)
	nodes := []*env{e, e.second()}
	token := e.firstRefreshToken()
	successors := map[string]bool{}
	for _, r := range parallel(100, func(i int) *reply { return nodes[i%2].refresh(token) }) {
		if r.Status != 200 {
			t.Fatalf("%d %s", r.Status, r.Raw)
		}
		successors[r.text("refresh_token")] = true
	}
	if len(successors) != 1 || len(e.store.void) != 0 {
		t.Errorf("%d successors, %d revocations", len(successors), len(e.store.void))
	}
	for successor := range successors {
		if r := e.refresh(successor); r.Status != 200 {
			t.Error(r.Raw)
		}
	}
}

// The answer to a refresh was lost: repeating it gives the same successor, and
// each repetition its own access token.
func TestSEC_S81_Grace(t *testing.T) {
	e := newEnv(t)
	token := e.firstRefreshToken()
	e.clock.Move(time.Hour)
	one := e.refresh(token)
	e.clock.Move(30 * time.Second)
	writes := e.store.writes
	two := e.refresh(token)
	if two.Status != 200 || two.text("refresh_token") != one.text("refresh_token") || two.text("access_token") == one.text("access_token") {
		t.Errorf("%d %s", two.Status, two.Raw)
	}
	if e.store.writes != writes {
		t.Error("a repetition writes")
	}
	if r := e.refresh(one.text("refresh_token")); r.Status != 200 {
		t.Error(r.Raw)
	}
}

func TestSEC_S82_Reuse(t *testing.T) {
	for name, play := range map[string]func(e *env, t0 string) (reused, newest string){
		"after the grace time": func(e *env, t0 string) (string, string) {
			t1 := e.refresh(t0).text("refresh_token")
			e.clock.Move(30*time.Second + time.Microsecond)
			return t0, t1
		},
		"two generations old within the grace time": func(e *env, t0 string) (string, string) {
			t2 := e.refresh(e.refresh(t0).text("refresh_token")).text("refresh_token")
			return t0, t2
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			other := e.second()
			grant := e.redeem(scopes("openid", "offline_access"))
			other.userinfo(grant.text("access_token"))
			reused, newest := play(e, grant.text("refresh_token"))
			e.refused(t, reused)
			e.refused(t, newest)
			e.clock.Move(revocationsAge)
			for _, node := range []*env{e, other} {
				if r := node.userinfo(grant.text("access_token")); r.Status != 401 {
					t.Errorf("an access token of the family lives: %d", r.Status)
				}
			}
			var reuse int
			for _, ev := range e.store.events() {
				if ev == "app.oauth2.token.detect_reuse" {
					reuse++
				}
			}
			if reuse != 1 {
				t.Errorf("%d events of reuse", reuse)
			}
		})
	}
	t.Run("no grace", func(t *testing.T) {
		e := newEnv(t, func(c *Config) { c.Servers = []AuthorizationServer{{ID: DefaultServer, RefreshGrace: -1}} })
		token := e.firstRefreshToken()
		next := e.refresh(token).text("refresh_token")
		e.refused(t, token)
		e.refused(t, next)
	})
}

func TestRefreshLife(t *testing.T) {
	e := newEnv(t)
	token := e.firstRefreshToken()
	e.clock.Move(7*24*time.Hour - time.Second)
	token = e.refresh(token).text("refresh_token")
	if token == "" {
		t.Fatal("ended before its idle life")
	}
	e.clock.Move(7 * 24 * time.Hour)
	e.refused(t, token)

	token = e.firstRefreshToken()
	for range 15 {
		e.clock.Move(6 * 24 * time.Hour) // 90 days in all
		if token = e.refresh(token).text("refresh_token"); token == "" {
			break
		}
	}
	if token != "" {
		t.Error("lives longer than 90 days")
	}
	if len(e.store.void) != 0 {
		t.Error("an ended token is no reuse")
	}
}

func TestSEC_S83_RefreshChecksAgain(t *testing.T) {
	ctx := t.Context()
	for _, c := range []struct {
		name string
		edit func(e *env)
		form []string
		want string
	}{
		{name: "user suspended", edit: func(e *env) {
			e.store.edit(func(r *memoryRows) {
				a := r.accounts[userID]
				a.Status = directory.Disabled
				r.accounts[userID] = a
			})
		}, want: "invalid_grant"},
		{name: "user gone", edit: func(e *env) { e.store.edit(func(r *memoryRows) { delete(r.accounts, userID) }) }, want: "invalid_grant"},
		{name: "client disabled", edit: func(e *env) {
			cl, _ := e.server.Client(ctx, spaID)
			cl.Disabled = true
			_ = e.server.UpdateClient(ctx, cl)
		}, want: "invalid_client"},
		{name: "client lost the grant", edit: func(e *env) {
			cl, _ := e.server.Client(ctx, spaID)
			cl.GrantTypes = []string{"interaction_code"}
			_ = e.server.UpdateClient(ctx, cl)
		}, want: "unauthorized_client"},
		{name: "another client", form: []string{"client_id", otherID}, want: "invalid_grant"},
		{name: "more scopes", form: []string{"scope", "openid email"}, want: "invalid_scope"},
		{name: "no token", form: []string{"refresh_token", ""}, want: "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t)
			token := e.firstRefreshToken()
			if c.edit != nil {
				c.edit(e)
			}
			r := e.post(tokenPath, with(refreshing(token), c.form...))
			if r.text("error") != c.want {
				t.Errorf("%d %s", r.Status, r.Raw)
			}
			if len(e.store.void) != 0 {
				t.Error("revoked")
			}
		})
	}
	t.Run("another server", func(t *testing.T) {
		e := newEnv(t)
		wantRefusal(t, e.post("/oauth2/v1/token", refreshing(e.firstRefreshToken())), 400, "invalid_grant", errRefreshText)
	})
	t.Run("confidential client needs its secret", func(t *testing.T) {
		e := newEnv(t)
		code := e.finish(scopes("offline_access"), func(i *Interaction) { i.ClientID = webID })
		r := e.post(tokenPath, with(redemption(code), "client_id", webID, "client_secret", webSecret))
		f := with(refreshing(r.text("refresh_token")), "client_id", webID)
		wantRefusal(t, e.post(tokenPath, f), 401, "invalid_client", "")
		again := e.post(tokenPath, f, "Authorization", "Basic "+b64(webID+":"+webSecret))
		if again.Status != 200 || again.text("refresh_token") == r.text("refresh_token") {
			t.Errorf("%d %s", again.Status, again.Raw)
		}
	})
}

// Every byte of a refresh token counts, and its length too.
func TestSEC_S20_RefreshTokenBytes(t *testing.T) {
	e := newEnv(t)
	token := e.firstRefreshToken()
	if len(token) != refreshLength {
		t.Errorf("length %d", len(token))
	}
	for i := range len(token) {
		for _, other := range []string{"A", "B", "0", ".", "~"} {
			if other != token[i:i+1] {
				e.refused(t, token[:i]+other+token[i+1:])
			}
		}
		e.refused(t, token[:max(i, 1)])
		e.refused(t, token[:i]+"A"+token[i:])
	}
	e.refused(t, token+"A")
	e.refused(t, token+"=")
	family, generation, ok := e.server.parseRefreshToken(token)
	if !ok || generation != 1 {
		t.Fatalf("%s %d %v", family, generation, ok)
	}
	e.refused(t, e.server.refreshToken(family, 2)) // made with the right key, never handed out
	e.refused(t, e.server.refreshToken("rf0000000000000000000000", 1))
	if r := e.refresh(token); r.Status != 200 {
		t.Error(r.Raw)
	}
}

// A refresh is one row and its audit row.
func TestREL_R22_RefreshBudget(t *testing.T) {
	e := newEnv(t)
	token := e.firstRefreshToken()
	reads, writes := e.store.readRows, e.store.writes
	e.refresh(token)
	if got := [2]int{e.store.readRows - reads, e.store.writes - writes}; got != [2]int{2, 2} {
		t.Errorf("%d reads, %d writes", got[0], got[1])
	}
}
