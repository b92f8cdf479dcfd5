package idx

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"
)

const (
	keysFresh      = time.Hour      // after this the keys are read again
	keysKept       = 24 * time.Hour // if that fails, they serve so long
	keysRetry      = time.Minute    // between two reads for unknown keys
	discoveryFresh = 24 * time.Hour
	maxKeys        = 64
	minRSABits     = 2048
)

// A publicKey verifies one algorithm, the one that the engine says of it.
type publicKey struct {
	alg string
	key any // *rsa.PublicKey or *ecdsa.PublicKey
}

// keyCache holds the engine's JWKS and where it is.
type keyCache struct {
	fetch chan struct{} // holds one token: who fetches

	mu        sync.RWMutex
	keys      map[string]*publicKey
	read      time.Time // last success
	asked     time.Time // last try
	jwksURI   string
	jwksKnown time.Time
}

func (k *keyCache) init() {
	k.fetch = make(chan struct{}, 1)
	k.fetch <- struct{}{}
}

// lookup says whether kid's key is known, and whether the engine may be asked.
func (k *keyCache) lookup(kid string, now time.Time) (key *publicKey, ask bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	age := now.Sub(k.read)
	if age <= keysKept {
		key = k.keys[kid]
	}
	// Only a set that was read slows down questions: whoever sends made-up kids
	// must not make us hammer the engine.
	ask = k.keys == nil || (key == nil || age > keysFresh) && now.Sub(k.asked) >= keysRetry
	return key, ask
}

// key gives the key of that id, from the cache or from the engine.
func (c *Client) key(ctx context.Context, kid string) (*publicKey, error) {
	now := c.cfg.Now()
	key, ask := c.keys.lookup(kid, now)
	if !ask {
		return known(key)
	}
	select {
	case <-c.keys.fetch:
		defer func() { c.keys.fetch <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if key, ask = c.keys.lookup(kid, now); !ask {
		return known(key) // somebody else asked meanwhile
	}
	err := c.readKeys(ctx, now)
	if err != nil && key != nil {
		return key, nil
	}
	if err != nil {
		return nil, err
	}
	key, _ = c.keys.lookup(kid, now)
	return known(key)
}

// ready reads the keys if there are none, before something is done that could
// not be done again were they missing.
func (c *Client) ready(ctx context.Context) error {
	c.keys.mu.RLock()
	have := c.keys.keys != nil && c.cfg.Now().Sub(c.keys.read) <= keysKept
	c.keys.mu.RUnlock()
	if have {
		return nil
	}
	if _, err := c.key(ctx, ""); err != nil && !errors.Is(err, ErrInvalidToken) {
		return err
	}
	return nil
}

func known(key *publicKey) (*publicKey, error) {
	if key == nil {
		return nil, fmt.Errorf("%w: the key is not one of the engine's", ErrInvalidToken)
	}
	return key, nil
}

func (c *Client) readKeys(ctx context.Context, now time.Time) error {
	c.keys.mu.Lock()
	c.keys.asked = now
	uri := c.keys.jwksURI
	if now.Sub(c.keys.jwksKnown) > discoveryFresh {
		uri = ""
	}
	c.keys.mu.Unlock()

	if uri == "" {
		var err error
		if uri, err = c.discover(ctx); err != nil {
			return err
		}
		c.keys.mu.Lock()
		c.keys.jwksURI, c.keys.jwksKnown = uri, now
		c.keys.mu.Unlock()
	}
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := c.get(ctx, uri, &set); err != nil {
		return err
	}
	keys := map[string]*publicKey{}
	for _, j := range set.Keys[:min(len(set.Keys), maxKeys)] {
		if key := j.public(); key != nil {
			keys[j.Kid] = key
		}
	}
	c.keys.mu.Lock()
	c.keys.keys, c.keys.read = keys, now
	c.keys.mu.Unlock()
	return nil
}

// discover reads where the keys are. The document must be the issuer's own
// (OpenID Connect Discovery §4.3) and keep its keys on the same server.
func (c *Client) discover(ctx context.Context) (string, error) {
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := c.get(ctx, c.cfg.Issuer+"/.well-known/openid-configuration", &doc); err != nil {
		return "", err
	}
	if doc.Issuer != c.cfg.Issuer {
		return "", fmt.Errorf("idx: discovery is of another issuer: %q", doc.Issuer)
	}
	if err := c.sameOrigin(doc.JWKSURI); err != nil {
		return "", err
	}
	return doc.JWKSURI, nil
}

// A jwk is a public key (RFC 7517, RFC 7518 §6).
type jwk struct {
	Kty, Kid, Use, Alg, Crv string
	N, E, X, Y              string
	KeyOps                  []string `json:"key_ops"`
}

// UnmarshalJSON ignores members of other types, so that one odd key does not
// hide the others.
func (j *jwk) UnmarshalJSON(b []byte) error {
	var all map[string]any
	if json.Unmarshal(b, &all) != nil {
		return nil
	}
	o := object(all)
	*j = jwk{
		Kty: o.str("kty"), Kid: o.str("kid"), Use: o.str("use"), Alg: o.str("alg"), Crv: o.str("crv"),
		N: o.str("n"), E: o.str("e"), X: o.str("x"), Y: o.str("y"), KeyOps: texts(all["key_ops"]),
	}
	return nil
}

// public gives the key, nil where it is not for verifying RS256 or ES256.
func (j jwk) public() *publicKey {
	if j.Kid == "" || (j.Use != "" && j.Use != "sig") || (len(j.KeyOps) > 0 && !slices.Contains(j.KeyOps, "verify")) {
		return nil
	}
	switch {
	case j.Kty == "RSA" && (j.Alg == "" || j.Alg == "RS256"):
		n, err1 := decode64(j.N)
		e, err2 := decode64(j.E)
		if err1 != nil || err2 != nil || len(e) == 0 || len(e) > 4 {
			return nil
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		if bits := key.N.BitLen(); bits < minRSABits || bits > 8192 || key.E < 3 {
			return nil
		}
		return &publicKey{alg: "RS256", key: key}
	case j.Kty == "EC" && j.Crv == "P-256" && (j.Alg == "" || j.Alg == "ES256"):
		x, err1 := decode64(j.X)
		y, err2 := decode64(j.Y)
		if err1 != nil || err2 != nil || len(x) != 32 || len(y) != 32 {
			return nil
		}
		// Refuses points that are not on the curve.
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil
		}
		return &publicKey{alg: "ES256", key: key}
	}
	return nil
}
