package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/stile-id/stile/internal/directory"
)

// The scopes that exist.
const (
	scopeOpenID  = "openid"
	scopeProfile = "profile"
	scopeEmail   = "email"
	scopeOffline = "offline_access"
)

// What an app may do to the account of its person (IDX authenticators §14).
const (
	ScopeProfileRead    = "okta.myAccount.profile.read"
	ScopeProfileManage  = "okta.myAccount.profile.manage"
	ScopeEmailRead      = "okta.myAccount.email.read"
	ScopeEmailManage    = "okta.myAccount.email.manage"
	ScopePhoneRead      = "okta.myAccount.phone.read"
	ScopePhoneManage    = "okta.myAccount.phone.manage"
	ScopePasswordRead   = "okta.myAccount.password.read"
	ScopePasswordManage = "okta.myAccount.password.manage"
	ScopeSessionsManage = "okta.myAccount.sessions.manage"
)

var knownScopes = []string{
	scopeOpenID, scopeProfile, scopeEmail, scopeOffline,
	ScopeProfileRead, ScopeProfileManage, ScopeEmailRead, ScopeEmailManage, ScopePhoneRead, ScopePhoneManage,
	ScopePasswordRead, ScopePasswordManage, ScopeSessionsManage,
}

const (
	claimsVersion = 1
	localIDP      = "local" // the idp claim of people who proved themselves here
)

// The first part of a jti says what kind of token it is, so that one kind never
// passes for the other even where header and key are the same (SEC S-84). The
// second part is the grant.
const (
	accessPrefix = "AT."
	idPrefix     = "ID."
)

// grantIn returns the grant that a jti names.
func grantIn(jti, prefix string) (grant string, ok bool) {
	rest, ok := strings.CutPrefix(jti, prefix)
	if !ok {
		return "", false
	}
	grant, _, ok = strings.Cut(rest, ".")
	return grant, ok && grant != ""
}

// accessClaims is the payload of an access token (IDX §1.8, decision D35).
type accessClaims struct {
	Version  int      `json:"ver"`
	ID       string   `json:"jti"` // with the grant: revoking the grant voids the token
	Issuer   string   `json:"iss"`
	Audience string   `json:"aud"`
	IssuedAt int64    `json:"iat"` // seconds since 1970, as all times
	Expiry   int64    `json:"exp"`
	ClientID string   `json:"cid"`
	UserID   string   `json:"uid"`
	Scopes   []string `json:"scp"`
	AuthTime int64    `json:"auth_time"`
	AMR      []string `json:"amr,omitempty"` // with acr as RFC 9068 §2.2.1 has them
	ACR      string   `json:"acr,omitempty"` // only if one was requested, and not after a refresh
	Session  string   `json:"sid,omitempty"` // that it ends with; empty: with none
	Subject  string   `json:"sub"`
	Username string   `json:"preferred_username,omitempty"`

	// Of typed access tokens (RFC 9068 §2.2).
	RFC9068ClientID string `json:"client_id,omitempty"`
	RFC9068Scope    string `json:"scope,omitempty"`
}

// idClaims is the payload of an ID token (OIDC Core §2, IDX §1.8). aud is a
// string because that is all that okta-jwt-verifier-golang takes.
type idClaims struct {
	Subject         string   `json:"sub"`
	Version         int      `json:"ver"`
	Issuer          string   `json:"iss"`
	Audience        string   `json:"aud"`
	IssuedAt        int64    `json:"iat"`
	Expiry          int64    `json:"exp"`
	ID              string   `json:"jti"`
	AMR             []string `json:"amr"`
	IDP             string   `json:"idp"`
	Nonce           string   `json:"nonce,omitempty"` // only if one was sent
	AuthTime        int64    `json:"auth_time"`
	AccessTokenHash string   `json:"at_hash"`
	ACR             string   `json:"acr,omitempty"` // only if one was requested

	personClaims
}

// userInfoClaims is the answer of the userinfo endpoint (OIDC Core §5.3.2).
type userInfoClaims struct {
	Subject string `json:"sub"`
	personClaims
}

// personClaims are those of the scopes profile and email (OIDC Core §5.4).
type personClaims struct {
	Name              string `json:"name,omitempty"`
	PreferredUsername string `json:"preferred_username,omitempty"`
	GivenName         string `json:"given_name,omitempty"`
	FamilyName        string `json:"family_name,omitempty"`
	Locale            string `json:"locale,omitempty"`
	ZoneInfo          string `json:"zoneinfo,omitempty"`
	UpdatedAt         int64  `json:"updated_at,omitempty"`
	Email             string `json:"email,omitempty"`
	EmailVerified     *bool  `json:"email_verified,omitempty"`
}

// claimsSupported is what discovery says of the claims above.
var claimsSupported = []string{
	"iss", "ver", "sub", "aud", "iat", "exp", "jti", "auth_time", "amr", "acr", "idp", "nonce", "at_hash",
	"name", "preferred_username", "given_name", "family_name", "locale", "zoneinfo", "updated_at",
	"email", "email_verified",
}

// zoneInfoAttribute is the profile attribute with the person's time zone.
const zoneInfoAttribute = "timezone"

func personOf(u *directory.User, scopes []string) personClaims {
	var p personClaims
	if slices.Contains(scopes, scopeProfile) {
		p.Name = strings.TrimSpace(u.FirstName + " " + u.LastName)
		p.PreferredUsername = u.Email
		p.GivenName = u.FirstName
		p.FamilyName = u.LastName
		p.Locale = u.Locale
		p.ZoneInfo = u.Attributes[zoneInfoAttribute]
		p.UpdatedAt = u.UpdatedAt.Unix()
	}
	if slices.Contains(scopes, scopeEmail) {
		p.Email = u.Email
		verified := !u.EmailVerifiedAt.IsZero()
		p.EmailVerified = &verified
	}
	return p
}

// accessTokenHash is at_hash for the algorithms here, which all hash with
// SHA-256 (OIDC Core §3.1.3.6).
func accessTokenHash(token string) string {
	h := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(h[:len(h)/2])
}
