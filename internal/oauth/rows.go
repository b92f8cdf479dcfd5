// Package oauth is the OAuth 2.0 and OpenID Connect core: clients, grants, tokens,
// keys and discovery, with its own HTTP edge.
package oauth

import "time"

// A Client is an application registered with the engine (RFC 6749 §2).
type Client struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version int64  `json:"-"`

	// Secrets are SHA-256 hashes, at most two live at once so that one can be
	// rotated; none for a public client (SEC S-87).
	Secrets [][]byte `json:"secrets,omitempty"`

	RedirectURIs           []string `json:"redirectUris"`
	PostLogoutRedirectURIs []string `json:"postLogoutRedirectUris,omitempty"`
	EmailCallbackURI       string   `json:"emailCallbackUri,omitempty"` // where mailed links lead (IDX §3.4)
	SignUpURI              string   `json:"signUpUri,omitempty"`        // the app's sign-up page, for mails to people without an account
	ActivationURI          string   `json:"activationUri,omitempty"`    // the page that takes activationToken, for mailed invitations
	RecoveryURI            string   `json:"recoveryUri,omitempty"`      // the page that takes recoveryToken, for mails of an operator
	TrustedOrigins         []string `json:"trustedOrigins,omitempty"`   // for CORS, beyond those of RedirectURIs
	GrantTypes             []string `json:"grantTypes"`
	IDTokenAlg             string   `json:"idTokenAlg,omitempty"`    // "" is RS256
	SignUp                 string   `json:"signUp,omitempty"`        // "", "open" or "closed"; "" is the org's
	Enumeration            string   `json:"enumeration,omitempty"`   // "", "protect" or "disclose"; "" is the org's (decision D8)
	AccessPolicy           string   `json:"accessPolicy,omitempty"`  // name; "" is the default
	ProfilePolicy          string   `json:"profilePolicy,omitempty"` // name; "" is the default
	LogoURI                string   `json:"logoUri,omitempty"`
	Disabled               bool     `json:"disabled,omitempty"`

	// EndedAt is when all ended that had been begun by the client or issued to it,
	// as when it is switched off or its secret was known to others (SEC S-104).
	EndedAt time.Time `json:"endedAt,omitzero"`

	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Public reports whether the client has no secret to keep (RFC 6749 §2.1).
func (c *Client) Public() bool { return len(c.Secrets) == 0 }

// End ends all that the client has. Nodes may go by what the client was before for
// registryAge, so what is given in that time ends too.
func (c *Client) End(now time.Time) { c.EndedAt = now.Add(registryAge) }

// ended reports whether a token that was issued then is of no use any more: it
// came before the client ended what it had, or of another one with this id.
func (c *Client) ended(issuedAt int64) bool {
	return voidSince(c.EndedAt, issuedAt) || issuedAt < c.CreatedAt.Unix()
}

// A Key signs tokens of one authorization server.
type Key struct {
	ID         string // kid: the RFC 7638 thumbprint
	Server     string // authorization server id: "default", or "org" for the org server
	Alg        string // "RS256" or "ES256"
	Private    []byte // sealed PKCS #8
	CreatedAt  time.Time
	ActiveFrom time.Time // signs from here on, once the newest of its server and alg
	ExpiresAt  time.Time // no longer published after; zero while in use
}

// A RefreshFamily is the chain of refresh tokens that began with one grant. The
// tokens themselves are made by MAC from ID and Generation; nothing of them is
// stored (SEC S-81).
type RefreshFamily struct {
	ID         string
	Grant      string // the grant that began it: revoking the grant revokes the family
	ClientID   string
	UserID     string
	Server     string
	Scopes     []string
	AMR        []string
	AuthTime   time.Time
	Generation int64
	RotatedAt  time.Time
	CreatedAt  time.Time
	IdleUntil  time.Time
	ExpiresAt  time.Time // absolute
	RevokedAt  time.Time // zero: live

	// Where the person was at the sign-in: what they know their device by.
	IP        string
	UserAgent string
	Session   string // at the engine; empty without
}

// endedWith reports whether the family has ended, with its grant or with all that
// its client had.
func (f *RefreshFamily) endedWith(c *Client) bool {
	return !f.RevokedAt.IsZero() || !c.EndedAt.IsZero() && !f.CreatedAt.After(c.EndedAt)
}

// A Revocation makes a token, or all tokens of a grant or a session, void until
// they would have ended by themselves. One of a user voids what was issued until
// RevokedAt.
type Revocation struct {
	ID        string // a grant's id, a token's jti, a session's id, or a user's id
	RevokedAt time.Time
	ExpiresAt time.Time // may be purged after
	// Kept are ids of a session and a grant that go on: what acted when a user was
	// signed out of everything else.
	Kept []string
}
