package flow

import (
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
)

// Bearer secrets of a transaction are its id and a MAC under a key that the
// database does not have: they can be shown again (introspect, replay) although
// nothing of them is stored (decision D19, SEC S-20). The prefix keeps one kind
// from being taken for another; so does the MAC's purpose.
const (
	idLength          = 24
	macLength         = 43 // base64url of 32 bytes
	statePrefix       = "02.id."
	interactionPrefix = "ih."
	codePrefix        = "ic."
)

// ring are the second characters of ids, one after the other, for ten minutes
// each. Transactions that begin together end together: by it a database may keep
// them in one place and empty that at once (decision 13). It must not have x,
// which older ids have.
const (
	ring     = "ABCDEFGHIJKL"
	ringStep = 10 * time.Minute
)

func newID(now time.Time) string {
	return directory.NewID("t" + string(ring[now.Unix()/int64(ringStep/time.Second)%int64(len(ring))]))
}

var macEncoding = base64.RawURLEncoding.Strict()

func mint(k *keyring.Keyring, prefix, id string, more ...string) string {
	mac := k.MAC("flow/"+prefix, append([]string{id}, more...)...)
	return prefix + id + "." + macEncoding.EncodeToString(mac[:])
}

// parse returns the id that a secret names if it is one of the given prefix, to
// the byte. What the MAC covers beside the id is checked by matches.
func parse(prefix, secret string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(secret, prefix)
	if !ok || len(rest) != idLength+1+macLength || rest[idLength] != '.' {
		return "", false
	}
	return rest[:idLength], true
}

func matches(got, want string) bool {
	return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// stateHandle is the bearer of a transaction's state; it stays the same for the
// transaction's life (decision D4).
func (e *Engine) stateHandle(id string) string { return mint(e.keys, statePrefix, id) }

func (e *Engine) interactionHandle(id string) string { return mint(e.keys, interactionPrefix, id) }

func (e *Engine) interactionCode(id string, serial int) string {
	return mint(e.keys, codePrefix, id, strconv.Itoa(serial))
}

// A Handle names a transaction: what /v1/interact returned, or a state handle.
type Handle struct {
	Interaction string
	State       string
}

func (e *Engine) transactionID(h Handle) (string, bool) {
	if h.Interaction != "" {
		id, ok := parse(interactionPrefix, h.Interaction)
		return id, ok && matches(h.Interaction, e.interactionHandle(id))
	}
	id, ok := parse(statePrefix, h.State)
	return id, ok && matches(h.State, e.stateHandle(id))
}
