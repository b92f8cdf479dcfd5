package oauth

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// An issuer is an authorization server with its defaults filled in.
type issuer struct {
	AuthorizationServer
	URL  string // the iss of its tokens
	base string // path of its endpoints, before /v1
}

var serverID = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

func newIssuer(publicURL string, as AuthorizationServer) (*issuer, error) {
	if !serverID.MatchString(as.ID) || as.ID == "v1" {
		return nil, fmt.Errorf("oauth: %q cannot be the id of an authorization server", as.ID)
	}
	iss := &issuer{AuthorizationServer: as, URL: publicURL + "/oauth2/" + as.ID, base: "/oauth2/" + as.ID}
	if as.ID == OrgServer {
		iss.URL, iss.base = publicURL, "/oauth2"
	}
	if iss.Audience == "" {
		iss.Audience = "api://" + as.ID
		if as.ID == OrgServer {
			iss.Audience = publicURL
		}
	}
	if clientID.MatchString(iss.Audience) { // else an ID token could pass for an access token (SEC S-84)
		return nil, fmt.Errorf("oauth: server %s: audience %q could be a client id; make it a URI", as.ID, iss.Audience)
	}
	if iss.Scopes == nil {
		iss.Scopes = slices.Clone(knownScopes)
	}
	if iss.Grants == nil {
		iss.Grants = slices.Clone(knownGrants)
	}
	for _, g := range iss.Grants {
		if !slices.Contains(knownGrants, g) {
			return nil, fmt.Errorf("oauth: server %s: unknown grant %q", as.ID, g)
		}
	}
	switch iss.AccessTokenAlg {
	case "":
		iss.AccessTokenAlg = algRS256
	case algRS256, algES256:
	default:
		return nil, fmt.Errorf("oauth: server %s: access tokens are signed with RS256 or ES256, not %q", as.ID, iss.AccessTokenAlg)
	}
	for _, d := range []struct {
		name          string
		value         *time.Duration
		def, min, max time.Duration
	}{
		{"access token life", &iss.AccessTokenLife, time.Hour, 5 * time.Minute, 24 * time.Hour},
		{"ID token life", &iss.IDTokenLife, time.Hour, 5 * time.Minute, 24 * time.Hour},
		{"refresh token idle life", &iss.RefreshIdle, 7 * 24 * time.Hour, 10 * time.Minute, 5 * 365 * 24 * time.Hour},
		{"refresh token life", &iss.RefreshLife, 90 * 24 * time.Hour, 10 * time.Minute, 5 * 365 * 24 * time.Hour},
		{"refresh token grace", &iss.RefreshGrace, 30 * time.Second, -1 << 62, time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
		if *d.value < d.min || *d.value > d.max {
			return nil, fmt.Errorf("oauth: server %s: %s %v is not within %v and %v", as.ID, d.name, *d.value, d.min, d.max)
		}
	}
	return iss, nil
}

// algorithms are those that the server needs a key for in any case; a client's
// own choice for ID tokens makes its key when it is first used.
func (i *issuer) algorithms() []string {
	if i.AccessTokenAlg != algRS256 {
		return []string{algRS256, i.AccessTokenAlg}
	}
	return []string{algRS256}
}

func (i *issuer) endpoint(name string) string { return i.base + "/v1/" + name }

// Issuer returns the issuer URL of an authorization server, "" for an unknown one.
func (s *Server) Issuer(server string) string {
	if i := s.issuerOf(server); i != nil {
		return i.URL
	}
	return ""
}

// TokenURL returns the token endpoint of an authorization server, "" for an unknown one.
func (s *Server) TokenURL(server string) string {
	if i := s.issuerOf(server); i != nil {
		return s.publicURL + i.endpoint("token")
	}
	return ""
}

func (s *Server) issuerOf(server string) *issuer {
	if n := slices.IndexFunc(s.issuers, func(i *issuer) bool { return i.ID == server }); n >= 0 {
		return s.issuers[n]
	}
	return nil
}
