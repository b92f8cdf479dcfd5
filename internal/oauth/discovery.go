package oauth

import (
	"net/http"

	"github.com/stile-id/stile/internal/edge"
)

// metadata is what discovery says of an authorization server (RFC 8414 §2, OIDC
// Discovery §3). It lists what is there: no authorization endpoint, and so no
// response types.
type metadata struct {
	Issuer                 string   `json:"issuer"`
	TokenEndpoint          string   `json:"token_endpoint"`
	UserInfoEndpoint       string   `json:"userinfo_endpoint"`
	JWKSURI                string   `json:"jwks_uri"`
	IntrospectionEndpoint  string   `json:"introspection_endpoint"`
	RevocationEndpoint     string   `json:"revocation_endpoint"`
	EndSessionEndpoint     string   `json:"end_session_endpoint"` // OIDC RP-Initiated Logout §2.1
	GrantTypes             []string `json:"grant_types_supported"`
	SubjectTypes           []string `json:"subject_types_supported"`
	IDTokenAlgs            []string `json:"id_token_signing_alg_values_supported"`
	Scopes                 []string `json:"scopes_supported"`
	TokenAuthMethods       []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectAuthMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuthMethods  []string `json:"revocation_endpoint_auth_methods_supported"`
	Claims                 []string `json:"claims_supported"`
	ACRs                   []string `json:"acr_values_supported,omitempty"`
	CodeChallengeMethods   []string `json:"code_challenge_methods_supported"` // okta-auth-js stops without S256
	RequestURIParameter    bool     `json:"request_uri_parameter_supported"`  // left out it would mean true
	RequestObjectParameter bool     `json:"request_parameter_supported"`
}

var authMethods = []string{"client_secret_basic", "client_secret_post", "none"}

func (s *Server) discovery(i *issuer) http.HandlerFunc {
	at := func(name string) string { return s.publicURL + i.endpoint(name) }
	m := metadata{
		Issuer: i.URL, TokenEndpoint: at("token"), UserInfoEndpoint: at("userinfo"), JWKSURI: at("keys"),
		IntrospectionEndpoint: at("introspect"), RevocationEndpoint: at("revoke"), EndSessionEndpoint: at("logout"),
		GrantTypes: i.Grants, SubjectTypes: []string{"public"}, IDTokenAlgs: []string{algRS256, algES256}, Scopes: i.Scopes,
		TokenAuthMethods: authMethods, IntrospectAuthMethods: authMethods, RevocationAuthMethods: authMethods,
		Claims: claimsSupported, CodeChallengeMethods: []string{"S256"},
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		m := m
		m.ACRs = s.acrs()
		edge.Cacheable(w, "max-age=86400, must-revalidate")
		edge.WriteJSON(w, http.StatusOK, m)
	}
}
