// Package argon2id hashes secrets that people choose, as PHC strings (RFC 9106, SEC S-46).
package argon2id

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Params are the costs of a hash (RFC 9106).
type Params struct {
	MemoryKiB uint32
	Time      uint32
	Threads   uint8
}

// Default is 19 MiB, two passes, one thread: the least that is accepted (SEC S-46).
func Default() Params { return Params{MemoryKiB: 19456, Time: 2, Threads: 1} }

const (
	saltSize = 16
	tagSize  = 32
)

// Bounds of what a stored hash may cost, so that a changed row cannot exhaust the machine.
const (
	maxMemoryKiB = 1 << 20
	maxTime      = 64
	maxThreads   = 16
)

// Validate refuses costs below Default, and those that would exhaust the machine.
func (p Params) Validate() error {
	if d := Default(); p.Below(d) {
		return fmt.Errorf("argon2id: %v is below %v", p, d)
	}
	return p.bounded()
}

func (p Params) bounded() error {
	if p.MemoryKiB > maxMemoryKiB || p.Time < 1 || p.Time > maxTime || p.Threads < 1 || p.Threads > maxThreads {
		return fmt.Errorf("argon2id: %v is out of bounds", p)
	}
	return nil
}

// Below reports whether any cost of p is under that of q.
func (p Params) Below(q Params) bool {
	return p.MemoryKiB < q.MemoryKiB || p.Time < q.Time || p.Threads < q.Threads
}

func (p Params) String() string {
	return fmt.Sprintf("m=%d,t=%d,p=%d", p.MemoryKiB, p.Time, p.Threads)
}

// A Hash is a PHC string taken apart.
type Hash struct {
	Params    Params
	salt, tag []byte
}

// New hashes a secret with a salt of its own.
func New(secret string, p Params) Hash {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return Hash{p, salt, argon2.IDKey([]byte(secret), salt, p.Time, p.MemoryKiB, p.Threads, tagSize)}
}

// Matches compares in constant time.
func (h Hash) Matches(secret string) bool {
	tag := argon2.IDKey([]byte(secret), h.salt, h.Params.Time, h.Params.MemoryKiB, h.Params.Threads, uint32(len(h.tag))) // Parse bounds the length
	return subtle.ConstantTimeCompare(tag, h.tag) == 1
}

var b64 = base64.RawStdEncoding.Strict()

// String is the PHC string: $argon2id$v=19$m=…,t=…,p=…$salt$tag.
func (h Hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$%v$%s$%s", argon2.Version, h.Params, b64.EncodeToString(h.salt), b64.EncodeToString(h.tag))
}

// errPHC says nothing of the string, which is a secret of sorts.
var errPHC = errors.New("argon2id: a stored hash is not a PHC string")

// Parse reads what String writes, and nothing that is only alike.
func Parse(s string) (Hash, error) {
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return Hash{}, errPHC
	}
	var h Hash
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &h.Params.MemoryKiB, &h.Params.Time, &h.Params.Threads); err != nil {
		return Hash{}, errPHC
	}
	var err1, err2 error
	h.salt, err1 = b64.DecodeString(f[4])
	h.tag, err2 = b64.DecodeString(f[5])
	if err1 != nil || err2 != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.tag) < 16 || len(h.tag) > 64 ||
		h.String() != s || h.Params.bounded() != nil {
		return Hash{}, errPHC
	}
	return h, nil
}
