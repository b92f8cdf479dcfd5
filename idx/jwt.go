package idx

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"
)

const (
	maxJWT = 16 << 10 // bytes

	signInSkew = 300 * time.Second // of two clocks, when a token has just been made
	laterSkew  = 60 * time.Second  // of an end that has been known for long
)

// A jwt is a signed token taken apart. Nothing in it is to be believed before verify.
type jwt struct {
	alg, kid string
	claims   map[string]any
	signed   []byte // what the signature covers
	sig      []byte
}

// parseJWT checks all that can be checked without a key (RFC 7515 §5.2, RFC 8725 §3).
func parseJWT(raw string) (*jwt, error) {
	if len(raw) > maxJWT {
		return nil, fmt.Errorf("%w: too long", ErrInvalidToken)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%w: not three parts", ErrInvalidToken)
	}
	var decoded [3][]byte
	for i, p := range parts {
		b, err := decode64(p)
		if err != nil {
			return nil, fmt.Errorf("%w: not base64url", ErrInvalidToken)
		}
		decoded[i] = b
	}
	header, err := uniqueObject(decoded[0])
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrInvalidToken, err)
	}
	// Keys and algorithms come from the engine's JWKS, never from the token.
	for _, name := range []string{"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"} {
		if _, ok := header[name]; ok {
			return nil, fmt.Errorf("%w: header: %s is not accepted", ErrInvalidToken, name)
		}
	}
	t := &jwt{signed: []byte(parts[0] + "." + parts[1]), sig: decoded[2]}
	t.alg, _ = header["alg"].(string)
	t.kid, _ = header["kid"].(string)
	typ, ok := header["typ"].(string)
	switch {
	case t.kid == "":
		return nil, fmt.Errorf("%w: header: no kid", ErrInvalidToken)
	case header["typ"] != nil && (!ok || !strings.EqualFold(typ, "JWT")):
		// at+jwt and logout+jwt are tokens for others (RFC 8725 §3.11).
		return nil, fmt.Errorf("%w: header: another type of token", ErrInvalidToken)
	}
	if t.claims, err = uniqueObject(decoded[1]); err != nil {
		return nil, fmt.Errorf("%w: claims: %w", ErrInvalidToken, err)
	}
	return t, nil
}

// decode64 takes one spelling only. The library skips line ends, which would
// give one token many.
func decode64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// uniqueObject decodes one JSON object and refuses a name given twice, which two
// readers may understand differently.
func uniqueObject(b []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	all := map[string]any{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		if _, twice := all[name]; twice {
			return nil, fmt.Errorf("%q is given twice", name)
		}
		var v any
		if err := dec.Decode(&v); err != nil {
			return nil, err
		}
		all[name] = v
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return all, nil
}

// verify checks the signature with the algorithm that belongs to the key.
func (t *jwt) verify(key *publicKey) error {
	if t.alg != key.alg {
		return fmt.Errorf("%w: algorithm is not that of the key", ErrInvalidToken)
	}
	sum := sha256.Sum256(t.signed)
	ok := false
	switch k := key.key.(type) {
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], t.sig) == nil
	case *ecdsa.PublicKey:
		// RFC 7518 §3.4: r and s, each 32 bytes.
		if len(t.sig) == 64 {
			ok = ecdsa.Verify(k, sum[:], new(big.Int).SetBytes(t.sig[:32]), new(big.Int).SetBytes(t.sig[32:]))
		}
	}
	if !ok {
		return fmt.Errorf("%w: wrong signature", ErrInvalidToken)
	}
	return nil
}

// signIn is what an ID token from the token endpoint must agree with.
type signIn struct {
	nonce       string // empty: not checked
	accessToken string
	maxAge      *time.Duration
}

// verifySignIn verifies a token that has just been made. ExpiresAt is by this
// machine's clock, so that a clock that differs does not end the session early.
func (c *Client) verifySignIn(ctx context.Context, raw string, in signIn) (*IDToken, error) {
	id, iat, err := c.verify(ctx, raw, signInSkew)
	if err != nil {
		return nil, err
	}
	now := c.cfg.Now()
	claims := id.Claims
	if in.nonce != "" && subtle.ConstantTimeCompare([]byte(claims.Nonce), []byte(in.nonce)) != 1 {
		return nil, fmt.Errorf("%w: nonce differs", ErrInvalidToken)
	}
	if hash, ok := claims.All["at_hash"]; ok {
		sum := sha256.Sum256([]byte(in.accessToken))
		if hash != base64.RawURLEncoding.EncodeToString(sum[:sha256.Size/2]) {
			return nil, fmt.Errorf("%w: at_hash differs", ErrInvalidToken)
		}
	}
	if in.maxAge != nil && (claims.AuthTime.IsZero() || now.Sub(claims.AuthTime) > *in.maxAge+signInSkew) {
		return nil, fmt.Errorf("%w: auth_time is too long ago", ErrInvalidToken)
	}
	id.ExpiresAt = now.Add(id.ExpiresAt.Sub(iat))
	return id, nil
}

// VerifyIDToken verifies a token that an earlier call gave: signature, iss, aud,
// azp, sub, iat, and exp with 60 s of grace. The nonce is not checked, for it
// belongs to the sign-in. The error matches ErrInvalidToken, unless the engine's
// keys could not be read.
func (c *Client) VerifyIDToken(ctx context.Context, raw string) (*IDToken, error) {
	id, _, err := c.verify(ctx, raw, laterSkew)
	return id, err
}

// verify checks all that does not depend on a sign-in (OpenID Connect Core §3.1.3.7).
func (c *Client) verify(ctx context.Context, raw string, grace time.Duration) (id *IDToken, iat time.Time, err error) {
	t, err := parseJWT(raw)
	if err != nil {
		return nil, iat, err
	}
	key, err := c.key(ctx, t.kid)
	if err != nil {
		return nil, iat, err
	}
	if err := t.verify(key); err != nil {
		return nil, iat, err
	}
	claims := newClaims(t.claims)
	now := c.cfg.Now()
	exp, hasExp := instant(t.claims["exp"])
	iat, hasIat := instant(t.claims["iat"])
	azp, hasAzp := t.claims["azp"]
	aud := audience(t.claims["aud"])
	reason := ""
	switch {
	case t.claims["iss"] != c.cfg.Issuer:
		reason = "iss is another engine"
	case !slices.Contains(aud, c.cfg.ClientID):
		reason = "aud is another app"
	case hasAzp && azp != c.cfg.ClientID, !hasAzp && len(aud) > 1:
		reason = "azp is another app"
	case claims.Subject == "":
		reason = "no sub"
	case !hasExp || !hasIat || !iat.Before(exp):
		reason = "exp and iat are missing or in the wrong order"
	case now.After(exp.Add(grace)):
		reason = "expired"
	case iat.After(now.Add(signInSkew)):
		reason = "issued in the future"
	}
	if reason != "" {
		return nil, iat, fmt.Errorf("%w: %s", ErrInvalidToken, reason)
	}
	return &IDToken{Value: raw, ExpiresAt: exp, Claims: claims}, iat, nil
}

func audience(claim any) []string {
	if s, ok := claim.(string); ok {
		return []string{s}
	}
	return texts(claim)
}

func texts(claim any) []string {
	list, _ := claim.([]any)
	var all []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// instant reads a NumericDate (RFC 7519 §2).
func instant(claim any) (time.Time, bool) {
	f, ok := claim.(float64)
	if !ok || math.IsNaN(f) || f <= 0 || f > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0).UTC(), true
}

func newClaims(all map[string]any) Claims {
	o := object(all)
	c := Claims{
		Subject:       o.str("sub"),
		Email:         o.str("email"),
		EmailVerified: o.bool("email_verified", o.str("email_verified") == "true"),
		Name:          o.str("name"),
		GivenName:     o.str("given_name"),
		FamilyName:    o.str("family_name"),
		Username:      o.str("preferred_username"),
		Locale:        o.str("locale"),
		Nonce:         o.str("nonce"),
		AMR:           texts(all["amr"]),
		All:           all,
	}
	c.AuthTime, _ = instant(all["auth_time"])
	return c
}
