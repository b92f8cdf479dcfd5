package oauth

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/pool"
	"github.com/stile-id/stile/internal/problem"
)

// A grantFunc turns what a client presents into what may be issued for it. It
// consumes, durably, before it returns; minting comes after, so that no secret
// is answered for twice and nothing is signed within a database transaction.
type grantFunc func(c *call, p params) (*issue, error)

// An issue is what tokens are minted from.
type issue struct {
	user     *directory.User
	client   *Client
	scopes   []string // of this response
	grant    string
	authTime time.Time
	amr      []string
	nonce    string
	acr      string
	session  string // of the browser at the engine, empty for none
	refresh  string // the refresh token, empty for none
	// at is when the issue began, before its user was read: a sign-out everywhere
	// that came between voids what is issued (SEC S-104).
	at time.Time
}

// began is from when what is issued is in force: later than when all that the client or
// the user had last ended, but for what went on then.
func (i *issue) began(unit time.Duration) time.Time {
	at := began(i.at, i.client.EndedAt, unit)
	if i.user.Keeps(i.grant, i.sessionIn()) {
		return at
	}
	return began(at, lastOf(i.user.SignedOutAt), unit)
}

// sessionIn is the session that an access token names, and ends with. What is for
// offline access outlives it (SEC S-104).
func (i *issue) sessionIn() string {
	if i.refresh != "" {
		return ""
	}
	return i.session
}

// tokenResponse is RFC 6749 §5.1. It must not have a state: okta-auth-js would
// compare it with one that it does not expect (IDX §1.8).
type tokenResponse struct {
	from         time.Time // iat
	TokenType    string    `json:"token_type"`
	ExpiresIn    int64     `json:"expires_in"` // seconds
	Scope        string    `json:"scope"`
	AccessToken  string    `json:"access_token"`
	IDToken      string    `json:"id_token,omitempty"`
	RefreshToken string    `json:"refresh_token,omitempty"`
}

// token is the token endpoint: what all grants share (RFC 6749 §3.2).
func (c *call) token() error {
	p, err := c.form(true)
	if err != nil {
		return err
	}
	if err := c.authenticate(p); err != nil {
		return err
	}
	name, err := p.need("grant_type")
	if err != nil {
		return err
	}
	grant := c.grants[name]
	if grant == nil || !slices.Contains(c.issuer.Grants, name) {
		return problem.New(problem.Invalid, "unsupported_grant_type",
			"The authorization grant type is not supported by the authorization server. Configured grant types: [%s].", strings.Join(c.issuer.Grants, ", "))
	}
	if !slices.Contains(c.client.GrantTypes, name) {
		return unauthorizedClient(c.client)
	}
	// Before anything is consumed: whoever is refused then may come again with it.
	place, err := c.signing.Reserve()
	if err != nil {
		return err
	}
	defer place.Release()
	i, err := grant(c, p)
	if err != nil {
		return err
	}
	c.userID = i.user.ID
	var response *tokenResponse
	var failed error
	// What was consumed cannot be consumed again: to give up now would look like theft
	// to whoever does as a refusal says, and asks once more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), mintPatience)
	defer cancel()
	if err := place.Do(ctx, func() { response, failed = c.mint(ctx, c.issuer, i) }); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	c.until(response.from)
	edge.WriteJSON(c.w, http.StatusOK, response)
	return nil
}

// until waits for a time, two seconds at most: right after a sign-out everywhere, as that of
// a new password, an iat lies up to 1.2 s ahead, and some libraries take no token of the
// future.
func (c *call) until(t time.Time) {
	wait := min(t.Sub(c.now()), 2*time.Second)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.r.Context().Done():
	}
}

const mintPatience = 5 * time.Second

// NewSigningPool bounds how many token responses are signed at a time, which RSA
// makes the dearest thing but hashing (REL R-19). A place is held while the database
// is asked too, so there are as many as the gate lets in of what ends flows.
func NewSigningPool() *pool.Pool {
	workers := runtime.GOMAXPROCS(0)
	return pool.New(workers, 128*workers)
}

// mint signs the tokens of an issue.
func (s *Server) mint(ctx context.Context, iss *issuer, i *issue) (*tokenResponse, error) {
	iat := i.began(time.Second)
	key, err := s.keys.signer(ctx, iss.ID, iss.AccessTokenAlg)
	if err != nil {
		return nil, err
	}
	access := accessClaims{
		Version: claimsVersion, ID: directory.NewID(accessPrefix + i.grant + "."),
		Issuer: iss.URL, Audience: iss.Audience, IssuedAt: iat.Unix(), Expiry: iat.Add(iss.AccessTokenLife).Unix(),
		ClientID: i.client.ID, UserID: i.user.ID, Scopes: i.scopes, AuthTime: i.authTime.Unix(),
		AMR: i.amr, ACR: i.acr, Subject: i.user.ID, Username: i.user.Email,
	}
	access.Session = i.sessionIn()
	scope := strings.Join(i.scopes, " ")
	if iss.TypedAccessTokens {
		access.RFC9068ClientID, access.RFC9068Scope = i.client.ID, scope
	}
	r := &tokenResponse{
		from: iat, TokenType: "Bearer", ExpiresIn: int64(iss.AccessTokenLife / time.Second), Scope: scope, RefreshToken: i.refresh,
	}
	if r.AccessToken, err = key.sign(iss.TypedAccessTokens, access); err != nil {
		return nil, err
	}
	if !slices.Contains(i.scopes, scopeOpenID) {
		return r, nil
	}
	alg := i.client.IDTokenAlg
	if alg == "" {
		alg = algRS256
	}
	if key, err = s.keys.signer(ctx, iss.ID, alg); err != nil {
		return nil, err
	}
	r.IDToken, err = key.sign(false, idClaims{
		Subject: i.user.ID, Version: claimsVersion, Issuer: iss.URL, Audience: i.client.ID,
		IssuedAt: iat.Unix(), Expiry: iat.Add(iss.IDTokenLife).Unix(), ID: directory.NewID(idPrefix + i.grant + "."),
		AMR: append([]string{}, i.amr...), IDP: localIDP, Nonce: i.nonce, AuthTime: i.authTime.Unix(),
		AccessTokenHash: accessTokenHash(r.AccessToken), ACR: i.acr, personClaims: personOf(i.user, i.scopes),
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// granted are the events of an issue, for the audit row of its consumption.
func (c *call) granted(i *issue, transaction string) []audit.Event {
	kinds := []string{"access_token"}
	if slices.Contains(i.scopes, scopeOpenID) {
		kinds = append(kinds, "id_token")
	}
	if slices.Contains(i.scopes, scopeOffline) {
		kinds = append(kinds, "refresh_token")
	}
	var events []audit.Event
	for _, k := range kinds {
		events = append(events, c.event("app.oauth2.token.grant."+k, i.user.ID, i.grant, transaction))
	}
	return events
}

func (c *call) event(kind, actor, target, transaction string) audit.Event {
	e := audit.Event{
		Type: kind, Actor: actor, Target: target, Transaction: transaction,
		IP: edge.RemoteIP(c.r), UserAgent: limit(c.r.UserAgent(), maxUserAgent),
	}
	if c.client != nil {
		e.Client = c.client.ID
	}
	return e
}

// activeUser returns a user who may have tokens.
func (s *Server) activeUser(ctx context.Context, id string) (*directory.User, error) {
	a, err := s.store.Account(ctx, id)
	switch {
	case problem.KindOf(err) == problem.NotFound:
		return nil, errNotActive
	case err != nil:
		return nil, err
	case a.Status != directory.Active:
		return nil, errNotActive
	}
	return &a.User, nil
}

// allowedScopes keeps of the scopes of a grant those that still may be issued (SEC S-78).
func (i *issuer) allowedScopes(c *Client, scopes []string) []string {
	var out []string
	for _, scope := range scopes {
		if slices.Contains(i.Scopes, scope) && (scope != scopeOffline || i.refreshes(c)) {
			out = append(out, scope)
		}
	}
	return out
}

func (i *issuer) refreshes(c *Client) bool {
	return slices.Contains(i.Grants, grantRefreshToken) && slices.Contains(c.GrantTypes, grantRefreshToken)
}
