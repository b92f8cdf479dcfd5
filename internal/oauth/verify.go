package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// maxToken is the longest token that is looked at, in bytes (SEC S-85).
const maxToken = 16 << 10

// errToken is all that is said of a token that is not good.
var errToken = errors.New("oauth: not a valid token")

// open checks that a token was signed by a key of the issuer, and decodes its
// payload. The header is compared as a whole with the headers of the keys that
// exist, so there is nothing in it to choose: neither alg nor key, and no jku,
// x5u, jwk or crit (SEC S-85).
func (s *Server) open(ctx context.Context, i *issuer, token string, typed bool, claims any) error {
	if len(token) > maxToken {
		return errToken
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errToken
	}
	for _, p := range parts[1:] { // the lenient decoding of go-jose would let several texts be one token
		if b, err := base64.RawURLEncoding.Strict().DecodeString(p); err != nil || base64.RawURLEncoding.EncodedLen(len(b)) != len(p) {
			return errToken
		}
	}
	key, err := s.keys.byHeader(ctx, parts[0])
	if err != nil {
		return err
	}
	if key == nil || key.Server != i.ID || (parts[0] == key.typedHeader) != typed || !key.published(s.now()) {
		return errToken
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(key.Alg)})
	if err != nil {
		return errToken
	}
	payload, err := jws.Verify(key.public)
	if err != nil {
		return errToken
	}
	if json.Unmarshal(payload, claims) != nil {
		return errToken
	}
	return nil
}

// byHeader returns the key that signs tokens that start with h, nil if none does.
func (k *keys) byHeader(ctx context.Context, h string) (*signingKey, error) {
	set, err := k.fresh(ctx)
	if err != nil {
		return nil, err
	}
	if key := set.byHeader[h]; key != nil || len(h) > maxHeader {
		return key, nil
	}
	if set, err = k.load(ctx, keysMiss); err != nil { // another node may have made it just now
		return nil, err
	}
	return set.byHeader[h], nil
}

// maxHeader is longer than any header of ours.
const maxHeader = 256

// verifyAccess returns the claims of an access token of this issuer that is in
// force: whose time has come and not ended, and that is not revoked.
func (s *Server) verifyAccess(ctx context.Context, i *issuer, token string) (*accessClaims, error) {
	var c accessClaims
	if err := s.open(ctx, i, token, i.TypedAccessTokens, &c); err != nil {
		return nil, err
	}
	grant, ok := grantIn(c.ID, accessPrefix)
	switch {
	case !ok || c.ClientID == "" || c.UserID == "" || c.Subject == "",
		c.Issuer != i.URL,
		c.Audience != i.Audience,
		!inForce(c.IssuedAt, c.Expiry, s.now()):
		return nil, errToken
	}
	void, err := s.revocations.voids(ctx, c.UserID, c.IssuedAt, grant, c.ID, c.Session)
	if err != nil {
		return nil, err
	}
	if void {
		return nil, errToken
	}
	return &c, nil
}

// verifyID returns the claims of an ID token of this issuer for a client that is
// in force.
func (s *Server) verifyID(ctx context.Context, i *issuer, client, token string) (*idClaims, error) {
	c, err := s.verifyHint(ctx, i, token)
	if err != nil {
		return nil, err
	}
	if c.Audience != client || !inForce(c.IssuedAt, c.Expiry, s.now()) {
		return nil, errToken
	}
	grant, _ := grantIn(c.ID, idPrefix)
	void, err := s.revocations.voids(ctx, c.Subject, c.IssuedAt, grant)
	if err != nil {
		return nil, err
	}
	if void {
		return nil, errToken
	}
	return c, nil
}

// verifyHint returns the claims of an ID token of this issuer, for whatever
// client and however old: it says who somebody was (SEC S-94).
func (s *Server) verifyHint(ctx context.Context, i *issuer, token string) (*idClaims, error) {
	var c idClaims
	if err := s.open(ctx, i, token, false, &c); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(c.ID, idPrefix) || c.Subject == "" || c.Audience == "" || c.Issuer != i.URL {
		return nil, errToken
	}
	return &c, nil
}

func inForce(issuedAt, expiry int64, now time.Time) bool {
	return expiry > now.Unix() && issuedAt <= now.Add(clockSkew).Unix()
}
