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

// A link's token is one path segment: the ids of the transaction and of the
// challenge, the serial of its code, and a MAC over them that only a holder of
// the master key can make.
//
//	txit7Hq…Zk.chq3f…9a.1.u1q0…
//
// The MAC has 256 bits (SEC S-13). It is checked before anything is said of what
// the token names; the link dies with its challenge (decision D22).
var macLen = base64.RawURLEncoding.EncodedLen(sha256.Size)

// maxID bounds each id in a token.
const maxID = 64

// A claim is what a token says.
type claim struct {
	transaction, challenge string
	serial                 int
}

func (a *Authenticator) token(c claim) string {
	n := strconv.Itoa(c.serial)
	mac := a.keys.MAC("email/link", c.transaction, c.challenge, n)
	return c.transaction + "." + c.challenge + "." + n + "." + base64.RawURLEncoding.EncodeToString(mac[:])
}

// TransactionOf returns the id of the transaction that a genuine token names;
// ok is false for one that was cut, lengthened, changed or made up.
func (a *Authenticator) TransactionOf(token string) (transactionID string, ok bool) {
	c, ok := a.parse(token)
	return c.transaction, ok
}

// Link says which code of the prompt a token stands for.
func (a *Authenticator) Link(s authenticator.Subject, p authenticator.Prompt, token string) (code string, expiresAt time.Time, ok bool) {
	c, ok := a.parse(token)
	if !ok || c.transaction != s.Transaction || c.challenge != s.Challenge || s.Purpose == authenticator.SignInUnknown {
		return "", time.Time{}, false
	}
	ch, err := decode(p)
	if err != nil {
		return "", time.Time{}, false
	}
	bound := a.bind(s)
	if subtle.ConstantTimeCompare(bound[:], ch.Bound[:]) != 1 {
		return "", time.Time{}, false
	}
	for _, sent := range ch.Codes {
		if sent.Serial == c.serial {
			return sent.Code, sent.ExpiresAt, true
		}
	}
	return "", time.Time{}, false
}

// parse compares whole tokens, so that nothing but the text that was mailed is
// one (SEC S-20).
func (a *Authenticator) parse(token string) (claim, bool) {
	if len(token) > 2*maxID+macLen+9 {
		return claim{}, false
	}
	parts := strings.Split(token, ".")
	if len(parts) != 4 || !all(parts[0], alphanumeric) || !all(parts[1], alphanumeric) || len(parts[3]) != macLen {
		return claim{}, false
	}
	serial, err := strconv.Atoi(parts[2])
	if err != nil {
		return claim{}, false
	}
	c := claim{parts[0], parts[1], serial}
	return c, subtle.ConstantTimeCompare([]byte(a.token(c)), []byte(token)) == 1
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
