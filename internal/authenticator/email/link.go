package email

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"slices"
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
	sent, ok := a.sent(s, p, token)
	return sent.Code, sent.ExpiresAt, ok
}

// LinkAnswer returns the answer that opening a link of the prompt gives, "" for
// any other token. It is good until the end of that link, for what the code that
// was sent with it is good for.
func (a *Authenticator) LinkAnswer(s authenticator.Subject, p authenticator.Prompt, token string) string {
	sent, ok := a.sent(s, p, token)
	if !ok {
		return ""
	}
	return a.linkAnswer(a.bind(s), sent)
}

// IsLinkAnswer reports whether an answer is that of one of the prompt's links,
// also of one past its time. What only looks like one is not: it is a guess, and
// counts as one.
func (a *Authenticator) IsLinkAnswer(s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) bool {
	ch, ok := a.challenge(s, p)
	if !ok {
		return false
	}
	answer, right := []byte(strings.TrimSpace(in[field])), 0
	for _, sent := range ch.Codes {
		right |= subtle.ConstantTimeCompare(answer, []byte(a.linkAnswer(ch.Bound, sent)))
	}
	return right == 1
}

// letters writes a MAC without a digit, so that no answer of a link can be read as
// a code: 256 bits in 52 letters.
var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyzABCDEF").WithPadding(base32.NoPadding)

func (a *Authenticator) linkAnswer(bound [32]byte, sent issued) string {
	mac := a.keys.MAC("email/link-answer", string(bound[:]), strconv.Itoa(sent.Serial), strconv.FormatInt(sent.ExpiresAt.UnixNano(), 10))
	return letters.EncodeToString(mac[:])
}

// sent finds what was sent with a link of the prompt.
func (a *Authenticator) sent(s authenticator.Subject, p authenticator.Prompt, token string) (issued, bool) {
	c, ok := a.parse(token)
	if !ok || c.transaction != s.Transaction || c.challenge != s.Challenge {
		return issued{}, false
	}
	ch, ok := a.challenge(s, p)
	i := slices.IndexFunc(ch.Codes, func(sent issued) bool { return sent.Serial == c.serial })
	if !ok || i < 0 {
		return issued{}, false
	}
	return ch.Codes[i], true
}

// challenge opens a prompt for a subject whose links answer it; ok is false if it
// was made for another subject or purpose, or for an address without an account.
func (a *Authenticator) challenge(s authenticator.Subject, p authenticator.Prompt) (ch challenge, ok bool) {
	ch, err := decode(p)
	bound := a.bind(s)
	if err != nil || subtle.ConstantTimeCompare(bound[:], ch.Bound[:]) != 1 || s.Purpose == authenticator.SignInUnknown {
		return challenge{}, false
	}
	return ch, true
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
