package password

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/argon2id"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/policy"
)

// A credential is what an enrollment keeps.
type credential struct {
	Hash    string    `json:"hash"`              // PHC string
	Changed time.Time `json:"changed,omitzero"`  // when it was chosen
	Earlier []string  `json:"earlier,omitempty"` // PHC strings of those before it, the newest first
}

func decode(c authenticator.Credential) (credential, error) {
	var out credential
	if err := json.Unmarshal(c.Data, &out); err != nil {
		return credential{}, fmt.Errorf("password: decode credential: %w", err)
	}
	return out, nil
}

func (c credential) encode() (authenticator.Credential, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return authenticator.Credential{}, fmt.Errorf("password: encode credential: %w", err)
	}
	return authenticator.Credential{Data: data}, nil
}

// last returns the hashes of the last n passwords, the current one first.
func (c credential) last(n int) []string {
	all := append([]string{c.Hash}, c.Earlier...)
	return all[:min(n, len(all))]
}

// ChangedAt is when the password was chosen; the zero time if that is not known.
func (a *Authenticator) ChangedAt(c authenticator.Credential) time.Time {
	stored, err := decode(c)
	if err != nil {
		return time.Time{}
	}
	return stored.Changed
}

// BeginChange asks for another password and tells the rules. While the policy
// warns that the current one expires, the settings say in how many days.
func (a *Authenticator) BeginChange(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	c := s.First()
	p, err := ask("New password", s, len(c.Data) > 0)
	if err != nil {
		return authenticator.Prompt{}, err
	}
	if _, days, warn := policy.Expires(policyFor(s), a.ChangedAt(c), a.now()); warn && s.Purpose != authenticator.Recovery {
		p.Settings["daysToExpiry"] = days
	}
	return p, nil
}

// FinishChange is FinishEnroll with the rules for those who have a password: it is
// not one of the last ones again, and it was not changed a moment ago, else
// whoever wants an old one back would run through the history in a minute.
func (a *Authenticator) FinishChange(ctx context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	c := s.First()
	if len(c.Data) == 0 || s.Purpose == authenticator.SignInUnknown {
		return a.FinishEnroll(ctx, s, p, in)
	}
	r, err := rulesFor(s, true)
	if err != nil {
		return c, err
	}
	old, err := decode(c)
	if err != nil {
		return c, err
	}
	now := a.now().UTC()
	if !old.Changed.IsZero() && now.Before(old.Changed.Add(time.Duration(r.minAge)*time.Minute)) {
		return c, rejected(r.tooYoung())
	}
	password, m := a.choose(in[field], s, r)
	if m != nil {
		return c, rejected(m)
	}
	used, err := a.among(ctx, password, old.last(r.history))
	switch {
	case err != nil:
		return c, err
	case used:
		return c, rejected(r.usedBefore())
	}
	phc, err := a.hash(ctx, password)
	if err != nil {
		return c, err
	}
	return credential{Hash: phc, Changed: now, Earlier: old.last(r.history - 1)}.encode()
}

// among reports whether a password has one of the hashes. Each is a job of its
// own, so that a long history does not keep a worker from those who sign in.
func (a *Authenticator) among(ctx context.Context, password string, hashes []string) (bool, error) {
	for _, phc := range hashes {
		h, err := argon2id.Parse(phc)
		if err != nil {
			return false, err
		}
		var same bool
		if err := a.pool.Do(ctx, func() { same = h.Matches(password) }); err != nil || same {
			return same, err
		}
	}
	return false, nil
}
