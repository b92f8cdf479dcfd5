package flow

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/session"
)

// What a token tells of the proofs behind it is references, and one is of several
// authenticators: "otp" is the mailbox's, an app's and an access code's. The session
// of the browser knows which was shown. Where there is none that is kept with the
// grant, or who reads the mail would pass for who has the app (SEC S-56).

// proofsLife is longer than any proof is fresh.
const proofsLife = time.Hour

// ProofsKey is where the proofs of a grant without a session are kept.
func ProofsKey(grant string) string { return limit.Key("proofs", grant) }

// ReadProofs reads what is kept there.
func ReadProofs(c limit.Counter) (out []session.Proof, err error) {
	if err = json.Unmarshal(c.Data, &out); err != nil {
		return nil, fmt.Errorf("flow: decode proofs: %w", err)
	}
	return out, nil
}

// keepProofs keeps them for a grant. Of one that has none kept, the mailbox was all.
func (r Result) keepProofs(tx Tx, grant string) error {
	if r.Session != "" || !slices.ContainsFunc(r.proofs, func(p session.Proof) bool { return p.Authenticator != emailKey }) {
		return nil
	}
	data, err := json.Marshal(r.proofs)
	if err != nil {
		return fmt.Errorf("flow: encode proofs: %w", err)
	}
	return tx.PutCounter(limit.Counter{Key: ProofsKey(grant), Data: data, ExpiresAt: r.AuthTime.Add(proofsLife)})
}
