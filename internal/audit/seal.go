package audit

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/keyring"
)

// A Record is a row as the database keeps it. What is sealed are these bytes,
// so that no two ways to write down one event can stand for each other.
type Record struct {
	Position int64 // among all sealed rows, from 1; 0: not sealed yet
	ID       string
	At       time.Time
	Events   []byte // JSON
}

// A Seal chains a batch of rows to all rows before them. Its MAC makes it a
// checkpoint that only a holder of the master key can have made.
type Seal struct {
	Number      int64 // from 1, without a gap
	First, Last int64 // positions of its rows; First is the Last before it plus 1
	At          time.Time
	Hash        []byte // SHA-256, see chain
	MAC         []byte
}

// rows is how many rows the seal covers.
func (s *Seal) rows() int64 { return s.Last - s.First + 1 }

const sealPurpose = "audit/seal"

func (s *Seal) mac(k *keyring.Keyring) []byte {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	mac := k.MAC(sealPurpose, n(s.Number), n(s.First), n(s.Last), n(s.At.UnixMicro()), string(s.Hash))
	return mac[:]
}

func (s *Seal) genuine(k *keyring.Keyring) bool {
	return subtle.ConstantTimeCompare(s.MAC, s.mac(k)) == 1
}

// A chain is the hash of a seal in the making:
//
//	h(n) = SHA-256(h(n-1) || row || row …)
//
// where h(0) is 32 zero bytes, and a row is its position and its time in
// microseconds, as 64 bits each, then its id and its events, each after its
// length in 64 bits.
type chain struct {
	h   hash.Hash
	buf []byte
}

func newChain(previous []byte) *chain {
	if previous == nil {
		previous = make([]byte, sha256.Size)
	}
	c := &chain{h: sha256.New()}
	c.h.Write(previous)
	return c
}

func (c *chain) add(r Record) {
	b := binary.BigEndian.AppendUint64(c.buf[:0], uint64(r.Position))
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(len(r.ID)))
	b = append(b, r.ID...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(r.Events)))
	c.buf = append(b, r.Events...)
	c.h.Write(c.buf)
}

func (c *chain) sum() []byte { return c.h.Sum(nil) }

// A Checkpoint names a seal by its number and hash. Kept outside the database,
// it shows later whether the log still goes through it.
type Checkpoint struct {
	Number int64
	Hash   []byte
}

// Checkpoint of the seal.
func (s *Seal) Checkpoint() Checkpoint { return Checkpoint{s.Number, s.Hash} }

// String is the number, a colon and the hash in base64url: what ParseCheckpoint reads.
func (c Checkpoint) String() string {
	return strconv.FormatInt(c.Number, 10) + ":" + base64.RawURLEncoding.EncodeToString(c.Hash)
}

// ParseCheckpoint reads what String wrote; "" is no checkpoint.
func ParseCheckpoint(s string) (Checkpoint, error) {
	if s == "" {
		return Checkpoint{}, nil
	}
	number, sum, _ := strings.Cut(s, ":")
	n, err := strconv.ParseInt(number, 10, 64)
	if err == nil && n < 1 {
		err = errors.New("seals are numbered from 1")
	}
	var c Checkpoint
	if err == nil {
		c.Number = n
		c.Hash, err = base64.RawURLEncoding.DecodeString(sum)
	}
	if err == nil && len(c.Hash) != sha256.Size {
		err = fmt.Errorf("its hash has %d bytes, not %d", len(c.Hash), sha256.Size)
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint %q is not of the form NUMBER:HASH: %w", s, err)
	}
	return c, nil
}
