package oauth

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// signOutEverywhere writes what the flow and the app write for it.
func (r *memoryRows) signOutEverywhere(s *Server, user string, at time.Time) {
	a := r.accounts[user]
	a.SignedOutAt = at
	r.accounts[user] = a
	r.void[user] = s.Revocation(user, at)
	for id, f := range r.families {
		if f.UserID == user && f.RevokedAt.IsZero() {
			f.RevokedAt = at
			r.families[id] = f
		}
	}
}

func (e *env) setStatus(s directory.Status) {
	e.store.edit(func(r *memoryRows) {
		a := r.accounts[userID]
		a.Status = s
		r.accounts[userID] = a
	})
}

// The cascade as far as tokens go: what still works after each event, on the
// node that it happened on and on another.
func TestSEC_S104_Cascade(t *testing.T) {
	type works struct {
		access     bool // for services that act for the person
		userinfo   bool
		introspect bool // of the access token
		id         bool // introspection of the ID token
		refresh    bool
		family     bool // introspection of the refresh token
	}
	all, none := works{true, true, true, true, true, true}, works{}
	withoutRefresh := works{true, true, true, true, false, false}
	offline, online := scopes("openid", "offline_access"), scopes("openid")
	for _, c := range []struct {
		name  string
		scope func(*Interaction)
		event func(t *testing.T, e *env, tokens *reply, cookie []string)
		want  works
	}{
		{"nothing", offline, func(*testing.T, *env, *reply, []string) {}, all},
		{"nothing, without offline_access", online, func(*testing.T, *env, *reply, []string) {}, withoutRefresh},
		{"session ended by the app", online, func(_ *testing.T, e *env, r *reply, cookie []string) {
			e.logout(form("id_token_hint", r.text("id_token")), cookie...)
		}, works{}},
		{"session ended by the person", online, func(t *testing.T, e *env, _ *reply, cookie []string) {
			e.post(logoutPath, form("confirm", confirmOf(t, e.logout(nil, cookie...).Raw)), append(cookie, "Sec-Fetch-Site", "same-origin")...)
		}, works{id: true}}, // an ID token opens nothing, and has no session in it
		{"session ended by a service", online, func(t *testing.T, e *env, _ *reply, _ []string) {
			if err := e.server.EndSession(t.Context(), userID, "ses"+userID); err != nil {
				t.Error(err)
			}
		}, works{id: true}},
		{"session ended, with offline_access", offline, func(_ *testing.T, e *env, r *reply, cookie []string) {
			e.logout(form("id_token_hint", r.text("id_token")), cookie...)
		}, all},
		{"hint without a session", online, func(_ *testing.T, e *env, r *reply, _ []string) {
			e.logout(form("id_token_hint", r.text("id_token")))
		}, none},
		{"hint without a session, with offline_access", offline, func(_ *testing.T, e *env, r *reply, _ []string) {
			e.logout(form("id_token_hint", r.text("id_token")))
		}, all},
		{"another session ended", online, func(t *testing.T, e *env, _ *reply, _ []string) {
			e.store.edit(func(r *memoryRows) {
				s := r.sessions["ses"+userID]
				s.ID = "sesOther"
				r.sessions[s.ID] = s
			})
			if err := e.server.EndSession(t.Context(), userID, "sesOther"); err != nil {
				t.Error(err)
			}
		}, withoutRefresh},
		{"session ended, of a family that ends with it", offline, func(_ *testing.T, e *env, r *reply, cookie []string) {
			e.store.edit(func(r *memoryRows) {
				for id, f := range r.families {
					f.Scopes = []string{"openid"}
					r.families[id] = f
				}
			})
			e.logout(form("id_token_hint", r.text("id_token")), cookie...)
		}, none},
		{"family revoked", offline, func(t *testing.T, e *env, _ *reply, _ []string) {
			for id := range e.store.families {
				if err := e.server.RevokeFamily(t.Context(), userID, id); err != nil {
					t.Error(err)
				}
			}
		}, none},
		{"refresh token reused", offline, func(_ *testing.T, e *env, r *reply, _ []string) {
			e.refresh(e.refresh(r.text("refresh_token")).text("refresh_token"))
			e.refresh(r.text("refresh_token"))
		}, none},
		{"access token revoked", offline, func(_ *testing.T, e *env, r *reply, _ []string) {
			e.post(revokePath, form("token", r.text("access_token")))
		}, works{id: true, refresh: true, family: true}},
		{"user signed out everywhere", offline, func(_ *testing.T, e *env, _ *reply, _ []string) {
			e.store.edit(func(r *memoryRows) { r.signOutEverywhere(e.server, userID, e.clock.Now()) })
		}, none},
		{"user signed out everywhere, families not reached", offline, func(_ *testing.T, e *env, _ *reply, _ []string) {
			e.signOutBut()
		}, none},
		{"user signed out of all but this session", online, func(_ *testing.T, e *env, _ *reply, _ []string) {
			e.signOutBut("ses" + userID)
		}, works{access: true, userinfo: true, introspect: true}}, // an ID token has no session in it
		{"user signed out of all but another session", online, func(_ *testing.T, e *env, _ *reply, _ []string) {
			e.signOutBut("sesOther")
		}, none},
		{"user signed out of all but this grant", offline, func(_ *testing.T, e *env, _ *reply, _ []string) {
			for _, f := range e.store.families {
				e.signOutBut("", f.Grant)
			}
		}, all},
		{"user signed out of all but another grant", offline, func(_ *testing.T, e *env, _ *reply, _ []string) {
			e.signOutBut("", "grOther")
		}, none},
		{"user disabled", offline, func(_ *testing.T, e *env, _ *reply, _ []string) {
			e.setStatus(directory.Disabled)
			e.store.edit(func(r *memoryRows) { r.signOutEverywhere(e.server, userID, e.clock.Now()) })
		}, none},
		// Why whoever disables a user signs them out as well: introspection reads no user (decision D36).
		{"status of the user alone", offline, func(_ *testing.T, e *env, _ *reply, _ []string) { e.setStatus(directory.Disabled) }, works{introspect: true, id: true}},
		{"user deleted", offline, func(_ *testing.T, e *env, _ *reply, _ []string) {
			e.store.edit(func(r *memoryRows) {
				r.signOutEverywhere(e.server, userID, e.clock.Now())
				delete(r.accounts, userID)
				clear(r.families)
			})
		}, none},
		{"client disabled", offline, func(t *testing.T, e *env, _ *reply, _ []string) { e.switchClient() }, none},
		{"client disabled and enabled again", offline, func(t *testing.T, e *env, _ *reply, _ []string) {
			for range 2 {
				e.switchClient()
			}
		}, none},
		{"client's secret known to others", offline, func(t *testing.T, e *env, _ *reply, _ []string) {
			e.endClient(spaID)
		}, none},
		{"client deleted, and another made with its id", offline, func(t *testing.T, e *env, _ *reply, _ []string) {
			e.clock.Move(time.Second)
			e.store.edit(func(r *memoryRows) {
				c := r.clients[spaID]
				c.CreatedAt = e.clock.Now()
				r.clients[spaID] = c
				clear(r.families)
			})
		}, none},
		{"another client ended", offline, func(t *testing.T, e *env, _ *reply, _ []string) { e.endClient(otherID) }, all},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t)
			nodes := map[string]*env{"here": e, "on another node": e.second()}
			id, cookie := e.signIn(userID)
			tokens := e.redeem(c.scope, inSession(id))
			for _, n := range nodes {
				n.userinfo(tokens.text("access_token")) // all sets are fresh
			}
			e.clock.Move(time.Second)
			c.event(t, e, tokens, cookie)
			e.clock.Move(revocationsAge) // a node reads them again, and its clients, at the latest
			for where, n := range nodes {
				active := func(token string) bool {
					r := n.post(introspectPath, form("client_id", spaID, "token", tokens.text(token)))
					return r.Status == http.StatusOK && r.Body["active"] == true
				}
				_, err := n.server.CheckAccessToken(t.Context(), tokens.text("access_token"), "openid")
				if err != nil && err.(*problem.Error).Code != "invalid_token" {
					t.Error(err)
				}
				got := works{
					access: err == nil, userinfo: n.userinfo(tokens.text("access_token")).Status == http.StatusOK,
					introspect: active("access_token"), id: active("id_token"),
				}
				if tokens.text("refresh_token") != "" {
					got.family = active("refresh_token")
					got.refresh = n.refresh(tokens.text("refresh_token")).Status == http.StatusOK
				}
				if got != c.want {
					t.Errorf("%s: works %+v, want %+v", where, got, c.want)
				}
			}
		})
	}
}

// signOutBut signs the user out of all but what has one of the ids.
func (e *env) signOutBut(kept ...string) {
	e.store.edit(func(r *memoryRows) {
		a := r.accounts[userID]
		a.SignOut(e.clock.Now(), kept...)
		r.accounts[userID] = a
		r.void[userID] = e.server.Revocation(userID, e.clock.Now(), a.Kept...)
	})
}

// switchClient switches the single-page app off or on.
func (e *env) switchClient() {
	e.t.Helper()
	c := e.store.clients[spaID]
	c.Disabled = !c.Disabled
	if err := e.server.UpdateClient(e.t.Context(), c); err != nil {
		e.t.Error(err)
	}
}

// endClient writes what an operator's change of an app does that ends what the app has.
func (e *env) endClient(id string) {
	e.store.edit(func(r *memoryRows) {
		c := r.clients[id]
		c.EndedAt = e.clock.Now()
		r.clients[id] = c
	})
}

// What an app had begun ends with what was issued to it, and what it begins then
// is in force at once.
func TestSEC_S104_ClientEnded(t *testing.T) {
	e := newEnv(t)
	e.clock.Move(400 * time.Millisecond)
	code := e.finish()
	e.clock.Move(100 * time.Millisecond)
	e.endClient(spaID)
	e.clock.Move(registryAge)
	if r := e.post(tokenPath, redemption(code)); r.Status != http.StatusBadRequest || r.text("error") != "invalid_grant" {
		t.Errorf("a code of before: %d %s", r.Status, r.Raw)
	}
	e.endClient(spaID)
	e.server.clients.forget()
	code = e.finish(func(i *Interaction) { i.BegunAt = e.clock.Now().Add(time.Microsecond) })
	tokens := e.post(tokenPath, redemption(code)) // in the same second
	if r := e.userinfo(tokens.text("access_token")); r.Status != http.StatusOK {
		t.Errorf("a token of after: %d %s", r.Status, r.Raw)
	}
}

// A node goes by what a client was before for a second, and so does whoever stole
// its secret: what it gives them in that time ends too.
func TestSEC_S104_ClientEndedUnseen(t *testing.T) {
	e := newEnv(t)
	n := e.second()
	n.redeem() // it has read its clients
	e.switchClient()
	e.switchClient()
	e.clock.Move(registryAge - time.Millisecond)
	tokens := n.redeem(scopes("openid", "offline_access"), func(i *Interaction) { i.BegunAt = e.clock.Now() })
	e.clock.Move(revocationsAge)
	if r := n.userinfo(tokens.text("access_token")); r.Status == http.StatusOK {
		t.Error("the access token is good")
	}
	n.refused(t, tokens.text("refresh_token"))
}

// A revocation whose time is long ago when it is written, as by a node whose clock
// was not set yet, is found all the same.
func TestSEC_S104_REL_R15_RevokedInThePast(t *testing.T) {
	for name, wait := range map[string]func(e *env){
		"at once after the clock was set": func(e *env) { e.server.ForgetRevocations() },
		"within a minute":                 func(e *env) { e.clock.Move(revocationsWhole) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.clock.Move(time.Hour)
			tokens := e.redeem()
			e.userinfo(tokens.text("access_token"))
			late := e.server.Revocation(payload(t, tokens.text("access_token"))["jti"].(string), e.clock.Now().Add(-2*revocationsOverlap))
			e.store.edit(func(r *memoryRows) { r.void[late.ID] = late })
			wait(e)
			if r := e.post(introspectPath, form("client_id", spaID, "token", tokens.text("access_token"))); r.Body["active"] == true {
				t.Error("the token is active")
			}
		})
	}
}

// An iat has whole seconds: what may have been issued before a sign-out is void,
// and what is issued right after it is not.
func TestSEC_S104_SignOutEverywhereInASecond(t *testing.T) {
	e := newEnv(t)
	e.clock.Move(100 * time.Millisecond)
	before := e.redeem(scopes("openid", "offline_access"))
	signOut := func() {
		e.store.edit(func(r *memoryRows) { r.signOutEverywhere(e.server, userID, e.clock.Now()) })
		e.server.Revoked(e.server.Revocation(userID, e.clock.Now())) // as whoever commits it does
	}
	e.clock.Move(400 * time.Millisecond)
	signOut()
	after := e.redeem(scopes("openid", "offline_access")) // at the same instant
	if iat := payload(t, after.text("access_token"))["iat"]; iat != float64(start.Unix()+1) {
		t.Errorf("iat %v", iat)
	}
	check := func(name string, tokens *reply, access, refresh bool) {
		t.Helper()
		if _, err := e.server.CheckAccessToken(t.Context(), tokens.text("access_token"), "openid"); (err == nil) != access {
			t.Errorf("%s: access token: %v", name, err)
		}
		if r := e.post(introspectPath, form("client_id", spaID, "token", tokens.text("access_token"))); (r.Body["active"] == true) != access {
			t.Errorf("%s: introspection %s", name, r.Raw)
		}
		if r := e.refresh(tokens.text("refresh_token")); (r.Status == http.StatusOK) != refresh {
			t.Errorf("%s: refresh %s", name, r.Raw)
		}
	}
	check("before", before, false, false)
	check("after", after, true, true)
	e.clock.Move(10 * time.Second)
	later := e.redeem(scopes("openid", "offline_access"))
	check("later", later, true, true)
	e.clock.Move(time.Second)
	signOut() // a second time, which has to count like the first
	e.clock.Move(revocationsAge)
	check("after, signed out again", after, false, false)
	check("later, signed out again", later, false, false)
	check("new", e.redeem(scopes("openid", "offline_access")), true, true)
}

// What a node issued whose clock is ahead of that of the node where the person signs
// out everywhere ends all the same: clocks by the database's are never the same.
func TestSEC_S104_REL_R15_SignOutAtANodeThatIsBehind(t *testing.T) {
	e := newEnv(t)
	e.clock.Move(time.Minute + apart/2) // a second begins while the other node's has not
	before := e.redeem(scopes("openid", "offline_access"))
	e.clock.Move(-apart)
	e.store.edit(func(r *memoryRows) { r.signOutEverywhere(e.server, userID, e.clock.Now()) })
	e.server.Revoked(e.server.Revocation(userID, e.clock.Now()))
	after := e.redeem(scopes("openid", "offline_access"))
	e.clock.Move(2 * time.Second)
	for name, tt := range map[string]struct {
		tokens *reply
		live   bool
	}{"before": {before, false}, "after": {after, true}} {
		access := tt.tokens.text("access_token")
		if _, err := e.server.CheckAccessToken(t.Context(), access, "openid"); (err == nil) != tt.live {
			t.Errorf("%s: access token: %v", name, err)
		}
		if r := e.post(introspectPath, form("client_id", spaID, "token", access)); (r.Body["active"] == true) != tt.live {
			t.Errorf("%s: introspection %s", name, r.Raw)
		}
		if r := e.refresh(tt.tokens.text("refresh_token")); (r.Status == http.StatusOK) != tt.live {
			t.Errorf("%s: refresh %s", name, r.Raw)
		}
	}
}

// Nobody is given a token of the future: what is in force a moment later comes then. What
// the sign-out has kept is in force at once.
func TestSEC_S104_NoTokenOfTheFuture(t *testing.T) {
	for name, tt := range map[string]struct {
		kept bool
		want time.Duration
	}{"what ended": {false, 1100 * time.Millisecond}, "what was kept": {true, 0}} {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t)
			e.clock.Move(900 * time.Millisecond)
			first := e.redeem(scopes("openid", "offline_access"))
			e.store.edit(func(r *memoryRows) {
				r.signOutEverywhere(e.server, userID, e.clock.Now())
				if grant, _ := grantIn(payload(t, first.text("access_token"))["jti"].(string), accessPrefix); tt.kept {
					u := r.accounts[userID]
					u.Kept = []string{grant}
					r.accounts[userID] = u
					for id, f := range r.families {
						f.RevokedAt = time.Time{}
						r.families[id] = f
					}
				}
			})
			began := time.Now()
			if tt.kept {
				if r := e.refresh(first.text("refresh_token")); r.Status != http.StatusOK {
					t.Fatalf("%s: %s", name, r.Raw)
				}
			} else {
				e.redeem(scopes("openid", "offline_access"))
			}
			if got := time.Since(began); got != tt.want {
				t.Errorf("%s: the answer comes after %v, want %v", name, got, tt.want)
			}
		})
	}
}

// A sign-out that comes while a code is redeemed, after its user was read, ends
// what the code gives.
func TestSEC_S104_SignOutWhileRedeeming(t *testing.T) {
	e := newEnv(t)
	e.flow.spending = func(tx memoryTx) {
		e.clock.Move(5 * time.Second)
		tx.m.signOutEverywhere(e.server, userID, e.clock.Now())
	}
	tokens := e.redeem(scopes("openid", "offline_access"))
	e.clock.Move(revocationsAge)
	if r := e.post(introspectPath, form("client_id", spaID, "token", tokens.text("access_token"))); r.Body["active"] == true {
		t.Error("the access token is active")
	}
	e.refused(t, tokens.text("refresh_token"))
}

func TestRefreshFamilyKnowsItsDevice(t *testing.T) {
	e := newEnv(t)
	tokens := e.redeem(scopes("openid", "offline_access"), func(i *Interaction) { i.IP, i.UserAgent, i.Session = "192.0.2.7", "Browser/1", "sesA" })
	for _, f := range e.store.families {
		if f.IP != "192.0.2.7" || f.UserAgent != "Browser/1" || f.Session != "sesA" {
			t.Errorf("%+v", f)
		}
	}
	if sid := payload(t, tokens.text("access_token"))["sid"]; sid != nil {
		t.Errorf("sid %v of a token that outlives the session", sid)
	}
	if sid := payload(t, e.redeem(inSession("sesA")).text("access_token"))["sid"]; sid != "sesA" {
		t.Errorf("sid %v", sid)
	}
}

func TestSEC_S66_OnlyTheirOwn(t *testing.T) {
	e := newEnv(t)
	id, _ := e.signIn(userID)
	token := e.firstRefreshToken()
	family, _, _ := e.server.parseRefreshToken(token)
	writes := e.store.writes
	for name, err := range map[string]error{
		"session of another": e.server.EndSession(t.Context(), "00uOther", id),
		"no session":         e.server.EndSession(t.Context(), userID, "sesNone"),
		"family of another":  e.server.RevokeFamily(t.Context(), "00uOther", family),
		"no family":          e.server.RevokeFamily(t.Context(), userID, "rfNone"),
	} {
		if problem.KindOf(err) != problem.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if e.store.writes != writes || !e.live(id) || e.refresh(token).Status != http.StatusOK {
		t.Error("something was changed")
	}
	for range 2 {
		if err := e.server.RevokeFamily(t.Context(), userID, family); err != nil {
			t.Error(err)
		}
	}
	events := 0
	for _, name := range e.store.events() {
		if name == "app.oauth2.token.revoke" {
			events++
		}
	}
	if events != 1 {
		t.Errorf("%d events", events)
	}
}
