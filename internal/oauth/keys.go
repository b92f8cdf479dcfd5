package oauth

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/problem"
)

const (
	algRS256 = string(jose.RS256)
	algES256 = string(jose.ES256)

	rsaBits     = 2048
	keysPurpose = "keys/private"
	typeAccess  = "at+jwt" // RFC 9068 §2.1

	keysAge     = 20 * time.Second // after which keys are read again
	keysMiss    = time.Second      // at most once in which an unknown key reads them again
	keysOutlive = 24 * time.Hour   // for which a node without its store still publishes them

	// PublishBefore is how long a planned next key is published before it signs (SEC S-101).
	PublishBefore = 7 * 24 * time.Hour
	// publishAtLeast gives every node the time to publish a key before any node signs with it.
	publishAtLeast = 3 * keysAge
	// publishAfter is how much longer than the last token an old key is published (SEC S-101).
	publishAfter = 24 * time.Hour
)

// firstActive is when the first key of a server and algorithm begins to sign.
// Being the same for all nodes it makes two that start at once collide in the
// store, which keeps the three of server, algorithm and ActiveFrom unique.
var firstActive = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// keys is the signing keys of all servers, kept in memory.
type keys struct {
	store     Store
	inTx      func(context.Context, func(Tx) error) error
	keyring   *keyring.Keyring
	now       func() time.Time
	tokenLife time.Duration // of the longest-lived token

	turn     *turn // to load
	current  atomic.Pointer[keySet]
	reading  atomic.Bool // somebody makes current fresh
	creating sync.Map    // server and algorithm -> *sync.Mutex, held while the first key is made
}

type keySet struct {
	at     time.Time
	byID   map[string]*signingKey
	sorted []*signingKey // newest ActiveFrom first
	// byHeader finds the key by the first part of a token, which for tokens of
	// ours is one of few texts: no header is ever parsed (SEC S-85).
	byHeader map[string]*signingKey
}

// A signingKey is a Key that was opened.
type signingKey struct {
	Key
	public  jose.JSONWebKey
	private crypto.Signer
	// The first part of each token that it signs: of alg and kid, and of typ at+jwt too.
	plainHeader, typedHeader string
}

func (k *signingKey) published(now time.Time) bool {
	return k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt)
}

// sign returns the compact form of a token.
func (k *signingKey) sign(typed bool, claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("oauth: encode claims: %w", err)
	}
	token := make([]byte, 0, len(k.typedHeader)+2+base64.RawURLEncoding.EncodedLen(len(payload)+rsaBits/8))
	if typed {
		token = append(token, k.typedHeader...)
	} else {
		token = append(token, k.plainHeader...)
	}
	token = base64.RawURLEncoding.AppendEncode(append(token, '.'), payload)
	signature, err := k.signature(token)
	if err != nil {
		return "", fmt.Errorf("oauth: sign: %w", err)
	}
	return string(base64.RawURLEncoding.AppendEncode(append(token, '.'), signature)), nil
}

// signature is that of RFC 7518 §3.3 and §3.4.
func (k *signingKey) signature(input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	switch key := k.private.(type) {
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			return nil, err
		}
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out, nil
	}
	return nil, fmt.Errorf("a %T signs nothing", k.private)
}

// signer returns the key that signs for a server now, and makes the first one.
func (k *keys) signer(ctx context.Context, server, alg string) (*signingKey, error) {
	set, err := k.fresh(ctx)
	if err != nil {
		return nil, err
	}
	if key := set.signer(server, alg, k.now()); key != nil {
		return key, nil
	}
	v, _ := k.creating.LoadOrStore(server+" "+alg, new(sync.Mutex))
	slot := v.(*sync.Mutex)
	slot.Lock()
	defer slot.Unlock()
	if key := k.current.Load().signer(server, alg, k.now()); key != nil { // whoever had the slot made it
		return key, nil
	}
	if set, err = k.load(ctx, 0); err != nil {
		return nil, err
	}
	if key := set.signer(server, alg, k.now()); key != nil {
		return key, nil
	}
	if err := k.create(ctx, server, alg, firstActive, nil); err != nil && problem.KindOf(err) != problem.Conflict {
		return nil, err
	}
	if set, err = k.load(ctx, 0); err != nil {
		return nil, err
	}
	if key := set.signer(server, alg, k.now()); key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("oauth: server %s has no active %s key", server, alg)
}

// signer is the newest active one. Of two with the same time all nodes take the same.
func (s *keySet) signer(server, alg string, now time.Time) *signingKey {
	for _, k := range s.sorted {
		if k.Server == server && k.Alg == alg && !k.ActiveFrom.After(now) && k.published(now) {
			return k
		}
	}
	return nil
}

// create makes a key and stores it; also writes more in the same transaction.
func (k *keys) create(ctx context.Context, server, alg string, from time.Time, also func(Tx) error) error {
	var private crypto.Signer
	var err error
	switch alg {
	case algRS256:
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case algES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		err = fmt.Errorf("unknown algorithm %q", alg)
	}
	if err != nil {
		return fmt.Errorf("oauth: make key: %w", err)
	}
	kid, err := thumbprint(private.Public())
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("oauth: encode key: %w", err)
	}
	key := Key{
		ID: kid, Server: server, Alg: alg, Private: k.keyring.Seal(keysPurpose, kid, der),
		CreatedAt: k.now(), ActiveFrom: from,
	}
	err = k.inTx(ctx, func(tx Tx) error {
		if err := tx.InsertKey(key); err != nil {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return tx.Append(auditRow(ctx, key.CreatedAt, audit.Event{Type: "app.oauth2.key.rollover", Target: key.ID}))
	})
	if err != nil {
		return fmt.Errorf("oauth: store key: %w", err)
	}
	return nil
}

// thumbprint is the kid of a key (RFC 7638).
func thumbprint(public crypto.PublicKey) (string, error) {
	jwk := jose.JSONWebKey{Key: public}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("oauth: thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// fresh returns the keys as they were at most keysAge ago, or older ones while
// the store does not answer: what is published must stay published. One at a time
// waits for the store; to the others the older ones are good enough (REL R-12).
func (k *keys) fresh(ctx context.Context) (*keySet, error) {
	old := k.current.Load()
	if old == nil || k.now().Sub(old.at) >= keysOutlive {
		return k.load(ctx, keysAge)
	}
	if k.young(old, keysAge) || !k.reading.CompareAndSwap(false, true) {
		return old, nil
	}
	defer k.reading.Store(false)
	if set, err := k.load(ctx, keysAge); err == nil {
		return set, nil
	}
	return old, nil
}

// young reports whether a set was read less than age ago.
func (k *keys) young(s *keySet, age time.Duration) bool {
	if s == nil {
		return false
	}
	d := k.now().Sub(s.at)
	return 0 <= d && d < age
}

// load returns the keys as they were less than age ago.
func (k *keys) load(ctx context.Context, age time.Duration) (*keySet, error) {
	set := k.current.Load()
	if k.young(set, age) {
		return set, nil
	}
	err := k.turn.take(ctx, func() bool {
		set = k.current.Load()
		return k.young(set, age)
	}, func(ctx context.Context) (err error) {
		set, err = k.reload(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return set, nil
}

func (k *keys) reload(ctx context.Context) (*keySet, error) {
	old := k.current.Load()
	rows, err := k.store.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("oauth: load keys: %w", err)
	}
	set := &keySet{at: k.now(), byID: map[string]*signingKey{}, byHeader: map[string]*signingKey{}}
	for _, row := range rows {
		key := new(signingKey)
		if old != nil && old.byID[row.ID] != nil { // opened before; only its times can have changed
			*key = *old.byID[row.ID]
			key.Key = row
		} else if key, err = k.open(row); err != nil {
			return nil, err
		}
		set.byID[row.ID] = key
		set.sorted = append(set.sorted, key)
		set.byHeader[key.plainHeader] = key
		set.byHeader[key.typedHeader] = key
	}
	slices.SortFunc(set.sorted, func(a, b *signingKey) int {
		return cmp.Or(b.ActiveFrom.Compare(a.ActiveFrom), cmp.Compare(a.ID, b.ID))
	})
	k.current.Store(set)
	return set, nil
}

// header is the first part of every token that a key signs.
func header(k Key, typ string) string {
	h, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
		Typ string `json:"typ,omitempty"`
	}{k.Alg, k.ID, typ})
	if err != nil {
		panic(err) // strings can be encoded
	}
	return base64.RawURLEncoding.EncodeToString(h)
}

// Check returns why a key is not what its row says: it was changed, or sealed
// under another master key.
func (row Key) Check(ring *keyring.Keyring) error {
	_, err := (&keys{keyring: ring}).open(row)
	return err
}

// open unseals a key and checks that it is what its row says.
func (k *keys) open(row Key) (*signingKey, error) {
	der, err := k.keyring.Open(keysPurpose, row.ID, row.Private)
	if err != nil {
		return nil, fmt.Errorf("oauth: signing key %s was sealed under another master key: %w", row.ID, err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("oauth: signing key %s: %w", row.ID, err)
	}
	var signer crypto.Signer
	switch p := private.(type) {
	case *rsa.PrivateKey:
		if row.Alg == algRS256 {
			signer = p
		}
	case *ecdsa.PrivateKey:
		if row.Alg == algES256 && p.Curve == elliptic.P256() {
			signer = p
		}
	}
	if signer == nil {
		return nil, fmt.Errorf("oauth: signing key %s is a %T, not for %s", row.ID, private, row.Alg)
	}
	public := signer.Public()
	if kid, err := thumbprint(public); err != nil || kid != row.ID {
		return nil, errors.Join(fmt.Errorf("oauth: signing key %s has another thumbprint", row.ID), err)
	}
	key := &signingKey{
		Key: row, public: jose.JSONWebKey{Key: public, KeyID: row.ID, Algorithm: row.Alg, Use: "sig"},
		private:     signer,
		plainHeader: header(row, ""), typedHeader: header(row, typeAccess),
	}
	return key, nil
}
