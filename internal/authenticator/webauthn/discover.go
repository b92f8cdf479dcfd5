package webauthn

import (
	"context"
	"encoding/binary"
	"regexp"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
)

var handle = regexp.MustCompile(`^[0-9A-Za-z]{1,64}$`)

// steady is how long the question stays the same when it is shown again (IDX C-10).
const steady = 30 * time.Second

// BeginDiscover asks whoever is there for a key that names its owner. It is the
// whole sign-in, so the device must know them (SEC S-51).
func (a *Authenticator) BeginDiscover(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	at := a.now().Truncate(steady)
	ch := challenge{Bound: a.bind(s), Ends: at.Add(lifetime), Verify: true, Nowhere: true}
	return a.prompt(ch, map[string]any{"challengeData": a.challengeData(ch, a.make(s, at))},
		"authenticatorData", "clientData", "signatureData", "userHandle?")
}

// Discover reads whose key an answer says that it is of.
func (a *Authenticator) Discover(in authenticator.Input) (string, bool) {
	id, err := decode(in["userHandle"])
	return string(id), err == nil && handle.Match(id)
}

// make is the challenge of a question at a time: eight bytes of the time, and 24
// that nobody can make without the key.
func (a *Authenticator) make(s authenticator.Subject, at time.Time) []byte {
	out := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	mac := a.keys.MAC("webauthn/discovery", s.Transaction, s.Challenge, string(out))
	return append(out, mac[:challengeSize-len(out)]...)
}

func milliseconds(challenge []byte) uint64 { return binary.BigEndian.Uint64(challenge) }
