package signin

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"time"

	"github.com/stile-id/stile/idx"
)

// told is what the engine tells of a person since their ID token came: people
// change their name and address, and go on with the same sign-in.
type told struct {
	At       int64  `json:"t"` // Unix nanoseconds; a later one makes older answers void
	Email    string `json:"e,omitempty"`
	Verified bool   `json:"v,omitempty"`
	Name     string `json:"n,omitempty"`
	Given    string `json:"g,omitempty"`
	Family   string `json:"f,omitempty"`
	Username string `json:"u,omitempty"`
	Locale   string `json:"l,omitempty"`
}

func newTold(c *idx.Claims, now time.Time) *told {
	return &told{
		At: now.UnixNano(), Email: c.Email, Verified: c.EmailVerified, Name: c.Name, Given: c.GivenName, Family: c.FamilyName,
		Username: c.Username, Locale: c.Locale,
	}
}

func (t *told) onto(c *idx.Claims) {
	if t == nil {
		return
	}
	c.Email, c.EmailVerified, c.Name, c.GivenName, c.FamilyName = t.Email, t.Verified, t.Name, t.Given, t.Family
	c.Username, c.Locale = t.Username, t.Locale
}

// checked is what the engine said of an access token.
type checked struct {
	claims *idx.Claims // nil: there was no answer
	ended  bool
}

const (
	checkPatience = 3 * time.Second  // a page does not wait longer to learn that all is well
	checkAgain    = 10 * time.Second // after no answer
)

// holds asks the engine now and then whether a session still holds. Where there is
// no answer it does.
func (p *Pages) holds(v *visit, s *session) bool {
	if p.opt.Recheck <= 0 || v.now.Sub(time.Unix(s.Since, 0)) < p.opt.Recheck {
		return true
	}
	key := s.Access
	if s.Told != nil {
		key += time.Unix(0, s.Told.At).UTC().Format(time.RFC3339Nano)
	}
	sum := sha256.Sum256([]byte(key))
	got := p.checks.do(string(sum[:]), func() (checked, time.Duration) {
		c, err := p.ask(v, s)
		switch {
		case err == nil:
			return checked{claims: c}, p.opt.Recheck
		case isStatus(err, http.StatusUnauthorized, ""):
			return checked{ended: true}, p.opt.Recheck
		}
		p.opt.Logger.LogAttrs(v.ctx, slog.LevelWarn, "signin: no answer whether a session holds", slog.Any("error", err))
		return checked{}, checkAgain
	})
	if got.claims != nil {
		if err := p.learn(v, s, got.claims); err != nil {
			p.opt.Logger.LogAttrs(v.ctx, slog.LevelWarn, "signin: session not kept", slog.Any("error", err))
		}
	}
	return !got.ended
}

func (p *Pages) ask(v *visit, s *session) (*idx.Claims, error) {
	ctx, cancel := context.WithTimeout(v.ctx, checkPatience)
	defer cancel()
	return p.client.UserInfo(ctx, s.Access)
}

// learn keeps what the engine tells, if it is new and about the same person.
func (p *Pages) learn(v *visit, s *session, c *idx.Claims) error {
	has := s.claims()
	if c.Subject != has.Subject {
		return nil
	}
	next, same := newTold(c, v.now), newTold(&has, v.now)
	if *next == *same {
		return nil
	}
	s.Told = next
	return v.put(sessionCookie, s, s.life(v.now))
}

// renew reads name and address anew after a change. Where there is no answer the
// next check has it.
func (p *Pages) renew(v *visit, s *session) {
	c, err := p.ask(v, s)
	if err == nil {
		err = p.learn(v, s, c)
	}
	if err != nil {
		p.opt.Logger.LogAttrs(v.ctx, slog.LevelWarn, "signin: the session has the old name and address", slog.Any("error", err))
	}
}
