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

// What a sign-in has set up is kept with its grant, since it may be taken away again by
// that sign-in, and by no other that shows as little (SEC S-56).

// AdditionsKey is where that is kept.
func AdditionsKey(grant string) string { return limit.Key("additions", grant) }

// ReadAdditions reads what is kept there.
func ReadAdditions(c limit.Counter) (out []session.Addition, err error) {
	if err = json.Unmarshal(c.Data, &out); err != nil {
		return nil, fmt.Errorf("flow: decode additions: %w", err)
	}
	return out, nil
}

// KeepAdditions keeps all of them, of which there is one at least, oldest first.
func KeepAdditions(tx interface{ PutCounter(limit.Counter) error }, grant string, all []session.Addition) error {
	data, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("flow: encode additions: %w", err)
	}
	return tx.PutCounter(limit.Counter{Key: AdditionsKey(grant), Data: data, ExpiresAt: all[len(all)-1].At.Add(proofsLife)})
}
