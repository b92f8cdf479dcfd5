// Package keyring derives every key of a node from one master key: to seal what
// the database keeps, and to make bearer secrets that only their holder knows.
//
// The database holds neither the master key nor anything from which a secret can
// be made again without it (SEC S-20, S-102). No key has two purposes: each use
// goes through HKDF with its own label.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// MasterSize is the length of a master key in bytes.
const MasterSize = 32

// ErrSealed is returned for a sealed value that was changed, moved to another
// row, or sealed under another master key.
var ErrSealed = errors.New("keyring: sealed value cannot be opened")

// A Keyring is safe for concurrent use.
type Keyring struct {
	master []byte
	macs   sync.Map // purpose -> *sync.Pool of *mac
	aeads  sync.Map // purpose -> cipher.AEAD
}

// New returns the keyring of a master key of exactly MasterSize bytes.
func New(master []byte) (*Keyring, error) {
	if len(master) != MasterSize {
		return nil, fmt.Errorf("keyring: master key has %d bytes, want %d", len(master), MasterSize)
	}
	return &Keyring{master: append([]byte(nil), master...)}, nil
}

// Generate returns a new random master key.
func Generate() []byte {
	k := make([]byte, MasterSize)
	rand.Read(k)
	return k
}

// A mac is the state of an HMAC, which after its first use begins anew without
// the key's own two blocks.
type mac struct {
	hash.Hash
	parts []byte
	sum   [sha256.Size]byte
}

// MAC is HMAC-SHA-256 under the purpose's key over the parts, each preceded by
// its length, so that no two lists of parts give the same input (SEC S-09).
func (k *Keyring) MAC(purpose string, parts ...string) [32]byte {
	pool, ok := k.macs.Load(purpose)
	if !ok {
		key := k.derive("mac/" + purpose)
		pool, _ = k.macs.LoadOrStore(purpose, &sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, key)} }})
	}
	m := pool.(*sync.Pool).Get().(*mac)
	defer pool.(*sync.Pool).Put(m)
	for _, p := range parts {
		m.parts = binary.BigEndian.AppendUint64(m.parts, uint64(len(p)))
		m.parts = append(m.parts, p...)
	}
	m.Reset()
	m.Write(m.parts)
	m.Sum(m.sum[:0])
	clear(m.parts) // they may be secrets
	m.parts = m.parts[:0]
	return m.sum
}

// Seal encrypts plaintext with AES-256-GCM; purpose names the table and column,
// id the row, and both must be given again to open it.
func (k *Keyring) Seal(purpose, id string, plaintext []byte) []byte {
	aead := k.aead(purpose)
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plaintext)+aead.Overhead())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plaintext, []byte(id))
}

// Open reverses Seal. It returns ErrSealed for anything else.
func (k *Keyring) Open(purpose, id string, sealed []byte) ([]byte, error) {
	aead := k.aead(purpose)
	if len(sealed) < aead.NonceSize() {
		return nil, ErrSealed
	}
	out, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(id))
	if err != nil {
		return nil, ErrSealed
	}
	return out, nil
}

func (k *Keyring) aead(purpose string) cipher.AEAD {
	if a, ok := k.aeads.Load(purpose); ok {
		return a.(cipher.AEAD)
	}
	block, err := aes.NewCipher(k.derive("seal/" + purpose))
	if err != nil {
		panic(err) // a 32-byte key is always accepted
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	v, _ := k.aeads.LoadOrStore(purpose, a)
	return v.(cipher.AEAD)
}

func (k *Keyring) derive(label string) []byte {
	out, err := hkdf.Key(sha256.New, k.master, nil, "stile/"+label, 32)
	if err != nil {
		panic(err) // 32 bytes are within HKDF's limit
	}
	return out
}
