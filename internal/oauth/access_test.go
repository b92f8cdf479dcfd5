package oauth

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/problem"
)

func TestCheckAccessToken(t *testing.T) {
	e := newEnv(t)
	for _, server := range []string{DefaultServer, OrgServer} {
		code := e.finish(scopes("openid", ScopeProfileManage, ScopeEmailRead), inSession("sesA"), func(i *Interaction) {
			i.Server, i.ACR, i.AMR = server, "urn:example:two", []string{"pwd", "otp"}
		})
		path := map[string]string{DefaultServer: tokenPath, OrgServer: "/oauth2/v1/token"}[server]
		raw := e.post(path, redemption(code)).text("access_token")
		got, err := e.server.CheckAccessToken(t.Context(), raw, ScopeProfileManage)
		if err != nil {
			t.Fatal(err)
		}
		want := AccessToken{
			ID: payload(t, raw)["jti"].(string), UserID: userID, ClientID: spaID, Server: server,
			Scopes: []string{"openid", ScopeProfileManage, ScopeEmailRead}, AuthTime: start.Add(-10 * time.Second),
			AMR: []string{"pwd", "otp"}, ACR: "urn:example:two", Grant: e.server.grantOf("tx" + code), Session: "sesA",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for scope, ok := range map[string]bool{
			"openid": true, ScopeProfileRead: true, ScopeEmailRead: true,
			ScopeEmailManage: false, ScopePasswordRead: false, ScopeSessionsManage: false, "": false, "okta.myAccount.profile": false, "profile": false,
		} {
			_, err := e.server.CheckAccessToken(t.Context(), raw, scope)
			if (err == nil) != ok {
				t.Errorf("%s: %v", scope, err)
			}
			var p *problem.Error
			if !ok && (!errors.As(err, &p) || p.Code != "insufficient_scope" || p.Kind != problem.Forbidden) {
				t.Errorf("%s: %v", scope, err)
			}
		}
	}
}

func TestSEC_S84_CheckAccessTokenRefusals(t *testing.T) {
	e := newEnv(t)
	tokens := e.redeem(scopes("openid", "offline_access"))
	access := tokens.text("access_token")
	for name, raw := range map[string]string{
		"nothing": "", "garbage": "x.y.z", "cut": access[:len(access)-2], "ID token": tokens.text("id_token"), "refresh token": tokens.text("refresh_token"),
	} {
		_, err := e.server.CheckAccessToken(t.Context(), raw, "openid")
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != "invalid_token" || p.Kind != problem.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	e.store.setFail(errors.New("down"))
	if _, err := e.server.CheckAccessToken(t.Context(), access, "openid"); problem.KindOf(err) != problem.Unavailable {
		t.Errorf("without the store: %v", err)
	}
	e.store.setFail(nil)
	e.clock.Move(time.Hour)
	if _, err := e.server.CheckAccessToken(t.Context(), access, "openid"); problem.KindOf(err) != problem.Unauthenticated {
		t.Errorf("expired: %v", err)
	}
}

func TestAccountScopesAreKnown(t *testing.T) {
	e := newEnv(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/oauth2/default/.well-known/openid-configuration"} {
		listed := e.get(path).Body["scopes_supported"].([]any)
		for _, scope := range knownScopes {
			if !slices.Contains(listed, any(scope)) {
				t.Errorf("%s: %s is not listed", path, scope)
			}
		}
	}
	r := e.post("/oauth2/default/v1/interact", with(interaction(), "scope", "openid "+ScopeSessionsManage))
	if r.Status != 200 {
		t.Error(r.Raw)
	}
}
