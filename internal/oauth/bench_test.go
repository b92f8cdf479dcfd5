package oauth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkTokenMint signs an access and an ID token, as a redemption does.
func BenchmarkTokenMint(b *testing.B) {
	for _, c := range []struct{ name, access, id string }{{"RS256", algRS256, algRS256}, {"ES256", algES256, algES256}} {
		b.Run(c.name, func(b *testing.B) {
			e := newEnv(b, func(cfg *Config) { cfg.Servers = []AuthorizationServer{{ID: DefaultServer, AccessTokenAlg: c.access}} })
			a := e.store.accounts[userID]
			i := &issue{
				user: &a.User, client: &Client{ID: spaID, IDTokenAlg: c.id}, scopes: []string{"openid", "profile", "email"},
				grant: e.server.grantOf("tx"), authTime: start, amr: []string{"otp"}, nonce: "n", at: start,
			}
			if _, err := e.server.mint(context.Background(), e.server.issuers[0], i); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.server.mint(context.Background(), e.server.issuers[0], i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTokenCheck introspects an access token through the handler.
func BenchmarkTokenCheck(b *testing.B) {
	for _, alg := range []string{algRS256, algES256} {
		b.Run(alg, func(b *testing.B) {
			e := newEnv(b, func(cfg *Config) { cfg.Servers = []AuthorizationServer{{ID: DefaultServer, AccessTokenAlg: alg}} })
			body := form("client_id", spaID, "token", e.redeem().text("access_token")).Encode()
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				e.handler.ServeHTTP(w, request(http.MethodPost, introspectPath, body))
				if w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
