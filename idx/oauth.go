package idx

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// interact opens an interaction at {issuer}/v1/interact with PKCE S256.
func (c *Client) interact(ctx context.Context, o StartOptions) (*state, error) {
	st := &state{verifier: random(), state: o.State, nonce: o.Nonce, client: c.fingerprint, maxAge: o.MaxAge}
	if st.state == "" {
		st.state = random()
	}
	if st.nonce == "" {
		st.nonce = random()
	}
	challenge := sha256.Sum256([]byte(st.verifier))
	form := url.Values{
		"scope":                 {strings.Join(c.cfg.Scopes, " ")},
		"redirect_uri":          {c.cfg.RedirectURI},
		"state":                 {st.state},
		"nonce":                 {st.nonce},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
	}
	if o.MaxAge != nil {
		form.Set("max_age", strconv.FormatInt(int64(*o.MaxAge/time.Second), 10))
	}
	for name, value := range map[string]string{
		"acr_values":           strings.Join(o.ACRValues, " "),
		"login_hint":           o.LoginHint,
		"enroll_authenticator": o.Enroll,
		"activation_token":     o.ActivationToken,
		"recovery_token":       o.RecoveryToken,
	} {
		if value != "" {
			form.Set(name, value)
		}
	}
	req, err := c.newForm(ctx, c.oauth+"/v1/interact", form)
	if err != nil {
		return nil, err
	}
	c.forward(req)
	res, err := c.do(req)
	if err != nil {
		return nil, err
	}
	var body struct {
		Handle string `json:"interaction_handle"`
	}
	if res.status != http.StatusOK || json.Unmarshal(res.body, &body) != nil || body.Handle == "" {
		return nil, res.failure()
	}
	st.handle = body.Handle
	return st, nil
}

// introspect asks for the current state; it changes nothing and sends no mail.
func (c *Client) introspect(ctx context.Context, st *state) (*Transaction, error) {
	body := map[string]any{"interactionHandle": st.handle}
	if st.handle == "" {
		body = map[string]any{"stateToken": st.stateHandle}
	}
	res, err := c.postJSON(ctx, c.idx+"/idp/idx/introspect", ionType, ionType, body)
	if err != nil {
		return nil, err
	}
	return c.next(ctx, st, res)
}

// succeed ends a transaction that has its interaction code.
func (c *Client) succeed(ctx context.Context, st *state, code string) (*Transaction, error) {
	if !c.cfg.KeepCode {
		return c.redeem(ctx, st, code)
	}
	tx := st.doc.transaction(st)
	tx.Status, tx.NextStep, tx.InteractionCode = StatusSuccess, nil, code
	return tx, nil
}

// A redemption is one code's way to the token endpoint. Repeating it would make
// the engine revoke what the first request got, so all who hold the code share
// one request and its outcome.
type redemption struct {
	begun  time.Time
	done   chan struct{}
	tokens *Tokens
	err    error
}

type redemptions struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*redemption
}

// An interaction code lives 60 s, so a repetition cannot come later than keepRedemption.
const (
	keepRedemption = 2 * time.Minute
	redeemTimeout  = 30 * time.Second
)

// begin gives the redemption of a code, and whether it is the caller's to carry out.
func (r *redemptions) begin(code, verifier string, now time.Time) (*redemption, bool) {
	key := sha256.Sum256([]byte(code + "\x00" + verifier))
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, old := range r.all {
		if now.Sub(old.begun) > keepRedemption {
			delete(r.all, k)
		}
	}
	if have, ok := r.all[key]; ok {
		return have, false
	}
	if r.all == nil {
		r.all = make(map[[sha256.Size]byte]*redemption)
	}
	mine := &redemption{begun: now, done: make(chan struct{})}
	r.all[key] = mine
	return mine, true
}

func (c *Client) redeem(ctx context.Context, st *state, code string) (*Transaction, error) {
	if slices.Contains(c.cfg.Scopes, "openid") {
		if err := c.ready(ctx); err != nil {
			return nil, err
		}
	}
	r, mine := c.redemptions.begin(code, st.verifier, c.cfg.Now())
	if mine {
		// A browser that goes away must not lose the tokens half-way: the request
		// outlives ctx, and whoever asks again has its outcome.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), redeemTimeout)
		go func() {
			defer cancel()
			defer close(r.done)
			r.tokens, r.err = c.exchange(ctx, st, code)
		}()
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("idx: redeeming: %w", ctx.Err())
	}
	if r.err != nil {
		return nil, r.err
	}
	tx := &Transaction{Status: StatusSuccess, Tokens: r.tokens.clone(), state: st.ended()}
	if st.doc != nil {
		tx.User, tx.App = st.doc.user(), st.doc.app()
	}
	return tx, nil
}

func (c *Client) exchange(ctx context.Context, st *state, code string) (*Tokens, error) {
	return c.tokens(ctx, url.Values{
		"grant_type":       {"interaction_code"},
		"interaction_code": {code},
		"code_verifier":    {st.verifier},
		"redirect_uri":     {c.cfg.RedirectURI},
	}, signIn{nonce: st.nonce, maxAge: st.maxAge})
}

// Refresh gets new tokens. scopes narrow what was granted; none keeps it. The
// engine rotates refresh tokens: keep the one that comes back, where one does.
// A refused token is ErrInvalidGrant.
func (c *Client) Refresh(ctx context.Context, refreshToken string, scopes ...string) (*Tokens, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	return c.tokens(ctx, form, signIn{})
}

// tokens calls the token endpoint (RFC 6749 §5).
func (c *Client) tokens(ctx context.Context, form url.Values, in signIn) (*Tokens, error) {
	req, err := c.newForm(ctx, c.oauth+"/v1/token", form)
	if err != nil {
		return nil, err
	}
	res, err := c.do(req)
	if err != nil {
		return nil, err
	}
	if res.status != http.StatusOK {
		return nil, res.failure()
	}
	var body struct {
		AccessToken  string `json:"access_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int64  `json:"expires_in"`
		Scope        string `json:"scope"`
		IDToken      string `json:"id_token"`
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal(res.body, &body); err != nil {
		return nil, fmt.Errorf("idx: token response: %w", err)
	}
	if body.AccessToken == "" || !strings.EqualFold(body.TokenType, "Bearer") {
		return nil, errors.New("idx: token response: no bearer token")
	}
	now := c.cfg.Now()
	scopes := strings.Fields(body.Scope)
	if len(scopes) == 0 {
		scopes = slices.Clone(c.cfg.Scopes)
	}
	t := &Tokens{AccessToken: &AccessToken{Value: body.AccessToken, TokenType: "Bearer", Scopes: scopes}}
	if body.ExpiresIn > 0 && body.ExpiresIn < 1<<31 {
		t.AccessToken.ExpiresAt = now.Add(time.Duration(body.ExpiresIn) * time.Second)
	}
	if body.RefreshToken != "" {
		t.RefreshToken = &RefreshToken{Value: body.RefreshToken, Scopes: slices.Clone(scopes)}
	}
	switch {
	case body.IDToken != "":
		in.accessToken = body.AccessToken
		if t.IDToken, err = c.verifySignIn(ctx, body.IDToken, in); err != nil {
			return nil, err
		}
	case in.nonce != "" && slices.Contains(c.cfg.Scopes, "openid"):
		return nil, fmt.Errorf("%w: the token response has no ID token", ErrInvalidToken)
	}
	return t, nil
}

// Revoke makes a token useless (RFC 7009). hint is "access_token",
// "refresh_token" or empty. An unknown token is no error.
func (c *Client) Revoke(ctx context.Context, token, hint string) error {
	form := url.Values{"token": {token}}
	if hint != "" {
		form.Set("token_type_hint", hint)
	}
	req, err := c.newForm(ctx, c.oauth+"/v1/revoke", form)
	if err != nil {
		return err
	}
	res, err := c.do(req)
	if err != nil {
		return err
	}
	if res.status != http.StatusOK {
		return res.failure()
	}
	return nil
}

// UserInfo gives the claims that the access token's scopes allow (OpenID Connect
// Core §5.3). Subject must equal that of the ID token; the caller has both.
func (c *Client) UserInfo(ctx context.Context, accessToken string) (*Claims, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.oauth+"/v1/userinfo", nil)
	if err != nil {
		return nil, fmt.Errorf("idx: %w", err)
	}
	req.Header.Set("Accept", jsonType)
	req.Header.Set("Authorization", "Bearer "+accessToken)
	res, err := c.do(req)
	if err != nil {
		return nil, err
	}
	if res.status != http.StatusOK {
		e := res.failure()
		if e.Code == "" {
			e.Code, e.Description = challengeParam(res.challenge, "error"), challengeParam(res.challenge, "error_description")
		}
		return nil, e
	}
	var all map[string]any
	if err := json.Unmarshal(res.body, &all); err != nil {
		return nil, fmt.Errorf("idx: userinfo: %w", err)
	}
	claims := newClaims(all)
	if claims.Subject == "" {
		return nil, errors.New("idx: userinfo: no subject")
	}
	return &claims, nil
}

// challengeParam reads name="value" from a WWW-Authenticate header (RFC 6750 §3).
func challengeParam(header, name string) string {
	for rest := header; ; {
		at := strings.Index(rest, name+`="`)
		if at < 0 {
			return ""
		}
		value, _, _ := strings.Cut(rest[at+len(name)+2:], `"`)
		if at == 0 || rest[at-1] == ' ' || rest[at-1] == ',' {
			return value
		}
		rest = rest[at+len(name)+2:]
	}
}

// random gives 256 bits as 43 characters that need no escaping.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}
