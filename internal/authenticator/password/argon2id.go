package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Argon2id are the costs of a hash (RFC 9106).
type Argon2id struct {
	MemoryKiB uint32
	Time      uint32
	Threads   uint8
}

// DefaultArgon2id is 19 MiB, two passes, one thread: the least that is accepted (SEC S-46).
func DefaultArgon2id() Argon2id { return Argon2id{MemoryKiB: 19456, Time: 2, Threads: 1} }

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

func (p Argon2id) validate() error {
	if d := DefaultArgon2id(); p.below(d) {
		return fmt.Errorf("password: argon2id %v is below %v", p, d)
	}
	return p.bounded()
}

func (p Argon2id) bounded() error {
	if p.MemoryKiB > maxMemoryKiB || p.Time < 1 || p.Time > maxTime || p.Threads < 1 || p.Threads > maxThreads {
		return fmt.Errorf("password: argon2id %v is out of bounds", p)
	}
	return nil
}

// below reports whether any cost of p is under that of q.
func (p Argon2id) below(q Argon2id) bool {
	return p.MemoryKiB < q.MemoryKiB || p.Time < q.Time || p.Threads < q.Threads
}

func (p Argon2id) String() string {
	return fmt.Sprintf("m=%d,t=%d,p=%d", p.MemoryKiB, p.Time, p.Threads)
}

// A hash is a PHC string taken apart.
type hash struct {
	params    Argon2id
	salt, tag []byte
}

func newHash(password string, p Argon2id) hash {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return hash{p, salt, argon2.IDKey([]byte(password), salt, p.Time, p.MemoryKiB, p.Threads, tagSize)}
}

func (h hash) matches(password string) bool {
	tag := argon2.IDKey([]byte(password), h.salt, h.params.Time, h.params.MemoryKiB, h.params.Threads, uint32(len(h.tag))) // parsePHC bounds the length
	return subtle.ConstantTimeCompare(tag, h.tag) == 1
}

var b64 = base64.RawStdEncoding.Strict()

// String is the PHC string: $argon2id$v=19$m=…,t=…,p=…$salt$tag.
func (h hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$%v$%s$%s", argon2.Version, h.params, b64.EncodeToString(h.salt), b64.EncodeToString(h.tag))
}

// errPHC says nothing of the string, which is a secret of sorts.
var errPHC = errors.New("password: stored hash is not an argon2id PHC string")

// parsePHC reads what String writes, and nothing that is only alike.
func parsePHC(s string) (hash, error) {
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return hash{}, errPHC
	}
	var h hash
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &h.params.MemoryKiB, &h.params.Time, &h.params.Threads); err != nil {
		return hash{}, errPHC
	}
	var err1, err2 error
	h.salt, err1 = b64.DecodeString(f[4])
	h.tag, err2 = b64.DecodeString(f[5])
	if err1 != nil || err2 != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.tag) < 16 || len(h.tag) > 64 ||
		h.String() != s || h.params.bounded() != nil {
		return hash{}, errPHC
	}
	return h, nil
}
