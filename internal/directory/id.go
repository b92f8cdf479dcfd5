package directory

import (
	"crypto/rand"
	"math/big"
	"time"
)

const idLength = 22 // of the characters after the prefix

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewID returns prefix and 22 random base-62 characters, 130 bits: unguessable,
// global, and made of what every client may splice into JSON (IDX C-31).
func NewID(prefix string) string {
	return string(random(append(make([]byte, 0, len(prefix)+idLength), prefix...), len(prefix)+idLength))
}

// NewIDAt returns an id of the same length that sorts by the time, to 16 ms, which is
// six of its characters; the others are random, 95 bits. Rows that are made one after
// the other lie beside one another then, and an index of them grows at its end. It is
// for what nobody need guess at, since it says when it was made.
func NewIDAt(prefix string, at time.Time) string {
	out := append(make([]byte, 0, len(prefix)+idLength), prefix...)
	var when [6]byte // 28 years, then it begins again
	for i, n := len(when)-1, at.Sub(idEpoch).Milliseconds()>>4; i >= 0; i, n = i-1, n/int64(len(base62)) {
		when[i] = base62[max(n, 0)%int64(len(base62))]
	}
	return string(random(append(out, when[:]...), len(prefix)+idLength))
}

var idEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// random fills out up to n characters.
func random(out []byte, n int) []byte {
	var buf [idLength * 2]byte
	for len(out) < n {
		rand.Read(buf[:])
		for _, b := range buf {
			if b < 248 && len(out) < n { // 248 = 4·62: no modulo bias
				out = append(out, base62[b%62])
			}
		}
	}
	return out
}

// IDFrom returns 22 base-62 characters made from a MAC, for ids that must be the same each time.
func IDFrom(mac []byte) string {
	n := new(big.Int).SetBytes(mac)
	base, rest := big.NewInt(62), new(big.Int)
	out := make([]byte, 22)
	for i := range out {
		n.QuoRem(n, base, rest)
		out[i] = base62[rest.Int64()]
	}
	return string(out)
}
