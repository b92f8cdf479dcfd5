package email

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
)

// A link's token is one path segment: the transaction's id, the serial of its
// code, and a MAC that only a holder of the master key can make.
//
//	it7Hq…Zk.1.u1q0…
//
// The MAC has 256 bits and covers the challenge, so that a link dies with it
// (SEC S-13, decision D22).
var macLen = base64.RawURLEncoding.EncodedLen(sha256.Size)

// maxTransaction bounds the id in a token.
const maxTransaction = 64

func (a *Authenticator) token(s authenticator.Subject, serial int) string {
	n := strconv.Itoa(serial)
	mac := a.keys.MAC("email/link", s.Transaction, s.Challenge, string(s.Purpose), n)
	return s.Transaction + "." + n + "." + base64.RawURLEncoding.EncodeToString(mac[:])
}

// TransactionOf returns the id of the transaction that a token names. The token
// is whole, yet nothing says that it is genuine: ask Link. For a token that was
// cut, lengthened or is no token ok is false.
func TransactionOf(token string) (transactionID string, ok bool) {
	id, _, ok := parseToken(token)
	return id, ok
}

// Link says which code of the prompt a token stands for. It compares whole
// tokens, so that nothing but the text that was mailed is one (SEC S-20).
func (a *Authenticator) Link(s authenticator.Subject, p authenticator.Prompt, token string) (code string, expiresAt time.Time, ok bool) {
	_, serial, ok := parseToken(token)
	if !ok {
		return "", time.Time{}, false
	}
	ch, err := decode(p)
	if err != nil {
		return "", time.Time{}, false
	}
	genuine := subtle.ConstantTimeCompare([]byte(a.token(s, serial)), []byte(token)) == 1
	bound := a.bind(s)
	genuine = subtle.ConstantTimeCompare(bound[:], ch.Bound[:]) == 1 && genuine
	if !genuine || s.Purpose == authenticator.SignInUnknown {
		return "", time.Time{}, false
	}
	for _, c := range ch.Codes {
		if c.Serial == serial {
			return c.Code, c.ExpiresAt, true
		}
	}
	return "", time.Time{}, false
}

func parseToken(token string) (transactionID string, serial int, ok bool) {
	if len(token) > maxTransaction+macLen+8 {
		return "", 0, false
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || !all(parts[0], alphanumeric) || len(parts[2]) != macLen || !all(parts[2], urlSafe) {
		return "", 0, false
	}
	serial, err := strconv.Atoi(parts[1])
	if err != nil || serial < 1 || strconv.Itoa(serial) != parts[1] {
		return "", 0, false
	}
	return parts[0], serial, true
}

func all(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return s != ""
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func urlSafe(c byte) bool { return alphanumeric(c) || c == '-' || c == '_' }
