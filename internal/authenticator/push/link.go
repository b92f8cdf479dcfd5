package push

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// A Link is what a link's token says: the transaction, the question in it, and the
// link's own end, with a MAC over them that only a holder of the master key can
// make, of 256 bits (SEC S-13). It adds one device: that closes the question, and
// with it every link of it.
type Link struct {
	Transaction, Challenge string
	ExpiresAt              time.Time // whole seconds
}

var macLen = base64.RawURLEncoding.EncodedLen(sha256.Size)

// maxID bounds each id in a token.
const maxID = 64

func (a *Authenticator) token(l Link) string {
	end := strconv.FormatInt(l.ExpiresAt.Unix(), 36)
	mac := a.keys.MAC("push/link", l.Transaction, l.Challenge, end)
	return l.Transaction + "." + l.Challenge + "." + end + "." + base64.RawURLEncoding.EncodeToString(mac[:])
}

// ReadLink reads a genuine token, past its time or not; ok is false for one that
// was cut, lengthened, changed or made up.
func (a *Authenticator) ReadLink(token string) (l Link, ok bool) {
	parts := strings.Split(token, ".")
	if len(token) > 2*maxID+macLen+16 || len(parts) != 4 {
		return Link{}, false
	}
	end, err := strconv.ParseInt(parts[2], 36, 64)
	if err != nil {
		return Link{}, false
	}
	l = Link{parts[0], parts[1], time.Unix(end, 0)}
	return l, subtle.ConstantTimeCompare([]byte(a.token(l)), []byte(token)) == 1
}
