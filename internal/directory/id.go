package directory

import (
	"crypto/rand"
	"math/big"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewID returns prefix and 22 random base-62 characters, 130 bits: unguessable,
// global, and made of what every client may splice into JSON (IDX C-31).
func NewID(prefix string) string {
	const n = 22
	out := make([]byte, 0, len(prefix)+n)
	out = append(out, prefix...)
	var buf [n * 2]byte
	for len(out) < len(prefix)+n {
		rand.Read(buf[:])
		for _, b := range buf {
			if b < 248 && len(out) < len(prefix)+n { // 248 = 4·62: no modulo bias
				out = append(out, base62[b%62])
			}
		}
	}
	return string(out)
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
