package flow

import (
	"context"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/problem"
)

// A View is what a client may see of a transaction; the edge encodes it.
type View struct {
	StateHandle string
	ExpiresAt   time.Time
	Stage       Stage
	Offers      []Rendered // in wire order, actions included
	Current     *Current   // the question in hand
	Choices     []authenticator.Info
	Enrollments []EnrollmentView
	User        *UserView
	Client      Client
	Messages    []problem.Message
	Kind        problem.Kind // None: the answer was accepted
	RetryAfter  time.Duration
	Code        string // the interaction code, at Success
	Server      string // authorization server that redeems it

	// Recovery is the authenticator that is being recovered; nil: none.
	Recovery *Current
	// Discover is public of the question to whoever is there; nil: it is not asked.
	Discover map[string]any
	// Cookie is the session to give to the browser, until CookieEnds; zero: as
	// long as the browser runs.
	Cookie     string
	CookieEnds time.Time
}

// Rendered is an offer with its form.
type Rendered struct {
	Name   string
	Fields []Field
}

// A Role is why an authenticator is the current one.
type Role int

// The roles.
const (
	Proving   Role = iota // an enrollment is challenged
	Enrolling             // it is to become the person's own
	Changing              // its credential is to be replaced
	Offering              // it may be used, or recovered, from here
)

// Current is the authenticator that is in hand.
type Current struct {
	Info         authenticator.Info
	Role         Role
	EnrollmentID string
	Profile      map[string]string
	Public       map[string]any       // of the enrollment, beside its profile
	Method       authenticator.Method // that was chosen; empty: none was
	Settings     map[string]any
	Context      map[string]any
	Sent         *Sent // nil: nothing was sent for it
}

// Sent is what pages need to know of what was sent, beyond the recorded wire.
type Sent struct {
	CodeExpiresAt time.Time // of the newest code
	ResendAt      time.Time // not before; zero: at any time
	TriesLeft     int
	Delivery      string
}

// EnrollmentView is an enrollment without its secrets.
type EnrollmentView struct {
	ID      string
	Info    authenticator.Info
	Name    string // what its owner calls it; empty: nothing
	Profile map[string]string
	Public  map[string]any
}

// UserView is what may be told of the person: nothing of an account before proof (decision D25).
type UserView struct {
	ID, Identifier, FirstName, LastName, Locale string
	Profile                                     bool // whether names are told
}

func (t *Turn) view(ctx context.Context) *View {
	v := &View{
		StateHandle: t.e.stateHandle(t.tx.ID), ExpiresAt: t.tx.ExpiresAt, Stage: t.StageOf(),
		Client: t.client, Messages: t.messages, Kind: t.kind, RetryAfter: t.retry, Server: t.tx.Request.Server,
	}
	switch v.Stage {
	case Terminal:
		t.viewEnd(v)
		return v
	case Success:
		v.Code = t.e.interactionCode(t.tx.ID, t.tx.Code.Serial)
		// Whoever gave the last answer has the session, and nobody else who holds
		// the handle, not even by the same answer again: it signs in without the
		// verifier that the code needs (SEC S-26).
		if t.kept != nil {
			v.Cookie = t.e.sessionToken(t.kept.ID)
			if t.kept.Remembered {
				v.CookieEnds = t.kept.ExpiresAt
			}
		}
	}
	if t.kind == problem.Throttled || t.kind == problem.Forbidden && !t.again { // these end the answer, not the transaction
		if t.kind == problem.Forbidden {
			v.Offers = []Rendered{{Name: "cancel"}}
		}
		return v
	}
	v.User = t.viewUser()
	if o := t.tx.Open; o != nil && !o.Enrolling && t.refusedElsewhere() && t.kind == problem.None {
		v.Kind, v.Messages = problem.Invalid, append(v.Messages, t.whyElsewhere(o))
	}
	offers := t.offers()
	v.Offers = make([]Rendered, 0, len(offers))
	for _, o := range offers {
		v.Offers = append(v.Offers, Rendered{Name: o.Name, Fields: o.Form(t)})
	}
	v.Discover = t.discover
	if t.account != nil && t.tx.proven() {
		for _, en := range t.account.Enrollments {
			a, ok := t.e.authenticators[en.Authenticator]
			if !ok {
				continue
			}
			c, err := t.e.OpenCredential(en)
			if err != nil {
				t.e.log.ErrorContext(ctx, "enrollment cannot be shown", "err", err)
				continue
			}
			v.Enrollments = append(v.Enrollments, EnrollmentView{ID: en.ID, Info: a.Info(), Name: c.Name, Profile: c.Profile, Public: c.Public})
		}
	}
	switch v.Stage {
	case Enroll, EnrollData, ChooseEnroll:
		v.choose(t, t.choices())
	case Challenge, ChallengeData, ChooseFactor:
		v.choose(t, t.factors())
		if !t.tx.proven() {
			v.Enrollments = t.assumedEnrollments(t.factors())
		}
	case UnlockAccount:
		v.choose(t, []string{emailKey})
		v.Enrollments = []EnrollmentView{{Info: t.e.authenticators[emailKey].Info()}}
	case Reset, Reenroll, ReenrollSoon:
		v.choose(t, []string{passwordKey})
	}
	v.Current = t.current(ctx, v)
	return v
}

func (v *View) choose(t *Turn, keys []string) {
	for _, key := range keys {
		v.Choices = append(v.Choices, t.e.authenticators[key].Info())
	}
}

// current is the authenticator that the stage is about.
func (t *Turn) current(ctx context.Context, v *View) *Current {
	if t.tx.Recovering && v.Stage != Success && (!t.tx.proven() || t.recovering()) {
		v.Recovery = &Current{Info: t.e.authenticators[passwordKey].Info()}
	}
	switch v.Stage {
	case Identify:
		// With it comes "recover", and clients show their link.
		if t.org.PasswordFirst() || RecoveryAllowed.Test(t) {
			return &Current{Info: t.e.authenticators[passwordKey].Info(), Role: Offering}
		}
	case ChooseFactor:
		// Clients recover once more from the list: they look for the password here (IDX §3.6).
		if RecoveryBegun.Test(t) {
			c := &Current{Info: t.e.authenticators[passwordKey].Info(), Role: Proving}
			c.EnrollmentID = t.assumedEnrollments([]string{passwordKey})[0].ID
			return c
		}
	case Reset, Reenroll, ReenrollSoon:
		o, _, err := t.change(ctx)
		if err != nil {
			t.e.log.ErrorContext(ctx, "the question for a new password cannot be shown", "err", err)
			return nil
		}
		c := &Current{Info: t.e.authenticators[passwordKey].Info(), Role: Changing, Settings: o.Prompt.Settings}
		if v.Stage == ReenrollSoon && len(v.Messages) == 0 {
			v.Messages = []problem.Message{passwordExpiring(t.client.Name)}
		}
		if v.Recovery != nil {
			v.Recovery.Settings = c.Settings
		}
		return c
	}
	if o := t.tx.Open; o != nil {
		return t.viewOpen(ctx, o, v.Enrollments)
	}
	return nil
}

// viewEnd shows how a finished transaction ended; without an end of its own it went on in another tab.
func (t *Turn) viewEnd(v *View) {
	switch {
	case t.tx.Ended != nil:
	case t.tx.Code.Redeemed:
		v.transferred()
		return
	case t.rule().Deny:
		v.Kind, v.Messages = problem.Forbidden, []problem.Message{accessDenied()}
		return
	default: // the person has shown all that they can
		v.Kind, v.Messages = problem.Invalid, []problem.Message{unsatisfiable(t.client.Name)}
		return
	}
	v.Kind, v.Messages = t.tx.Ended.Kind, t.tx.Ended.Messages
}

func (v *View) transferred() {
	v.Stage, v.Offers, v.Code, v.Kind = Terminal, nil, "", problem.None
	v.Messages = []problem.Message{transferred()}
}

func (t *Turn) viewUser() *UserView {
	s := t.tx.Subject
	if s == nil {
		return nil
	}
	u := &UserView{ID: s.ID, Identifier: s.Login, Locale: s.Locale}
	switch {
	case t.account != nil && t.tx.proven():
		u.ID, u.Identifier, u.Locale = t.account.ID, t.account.Email, t.account.Locale
		u.FirstName, u.LastName, u.Profile = t.account.FirstName, t.account.LastName, true
	case s.SignUp:
		u.FirstName, u.LastName, u.Profile = s.FirstName, s.LastName, true
	}
	return u
}

// assumedEnrollments are those shown before proof: the same for every address,
// made from what was typed, with an id of this transaction alone (SEC S-43).
func (t *Turn) assumedEnrollments(keys []string) []EnrollmentView {
	var out []EnrollmentView
	for _, key := range keys {
		info := t.e.authenticators[key].Info()
		if info.Several { // how many there are, and which, is told after proof
			continue
		}
		mac := t.e.keys.MAC("flow/assumed enrollment", t.tx.ID, key, t.tx.Subject.Canonical)
		en := EnrollmentView{ID: info.EnrollmentPrefix + directory.IDFrom(mac[:]), Info: info}
		if key == emailKey {
			en.Profile = map[string]string{"email": directory.Mask(t.tx.Subject.Login)}
		}
		out = append(out, en)
	}
	return out
}

func (t *Turn) viewOpen(ctx context.Context, o *Open, enrollments []EnrollmentView) *Current {
	c := &Current{
		Info:   t.openAuthenticator().Info(),
		Method: o.Prompt.Method, Settings: o.Prompt.Settings, Context: o.Prompt.Public,
	}
	if o.Enrolling {
		c.Role = Enrolling
	} else {
		for _, en := range enrollments {
			if en.Info.Key == o.Authenticator && c.EnrollmentID == "" {
				c.EnrollmentID, c.Profile, c.Public = en.ID, en.Profile, en.Public
			}
		}
	}
	if o.Sent {
		c.Sent = t.viewSent(ctx, o)
	}
	return c
}

func (t *Turn) whyElsewhere(o *Open) problem.Message {
	if o.Denied {
		return pushDenied()
	}
	return pushExpired()
}

// viewSent has equal values for addresses without an account (decision D20).
func (t *Turn) viewSent(ctx context.Context, o *Open) *Sent {
	return &Sent{
		CodeExpiresAt: o.Prompt.ExpiresAt, ResendAt: t.e.resendAt(t.tx),
		TriesLeft: max(0, t.e.limits.Rules.CodeTries-o.Tries), Delivery: t.deliveryOf(ctx, o),
	}
}

func (t *Turn) deliveryOf(ctx context.Context, o *Open) string {
	if t.delivery != "" {
		return t.delivery
	}
	if o.Message == "" { // it went to no outbox: devices ask for it
		return string(outbox.Sent)
	}
	m, err := t.e.store.OutboxMessage(ctx, o.Message)
	switch {
	case problem.KindOf(err) == problem.NotFound: // purged: handed over long ago
		return string(outbox.Sent)
	case err != nil:
		t.e.log.WarnContext(ctx, "delivery is not known", "err", err)
		return string(outbox.Queued)
	}
	return string(m.Status)
}
