package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// Limits across transactions are counted in the database transaction that saves
// the turn, before anybody hears of its outcome: of guesses made at the same time
// in any number of transactions and on any node, no more are answered than the
// lane admits (SEC S-03 … S-06). A turn that runs into one is taken anew and told
// so: a pause looks like a wrong answer (SEC S-109).
type overLimit struct {
	paused bool          // answers are not looked at
	wait   time.Duration // nothing may be sent before
	source time.Duration // this source is not heard before
	taken  bool          // what is to be enrolled is somebody's already

	text authenticator.Method // how no more is to be sent to a number, or to any, for now; empty: it is
}

func (o overLimit) Error() string {
	return fmt.Sprintf("flow: over a limit (paused %v, wait %v, source %v, taken %v, text %q)", o.paused, o.wait, o.source, o.taken, o.text)
}

// covers reports whether a turn that knows o need not have run into more.
func (o overLimit) covers(more overLimit) bool {
	return (o.paused || !more.paused) && (o.wait > 0 || more.wait == 0) && (o.taken || !more.taken) && (o.text != "" || more.text == "")
}

func (o overLimit) and(more overLimit) overLimit {
	o.paused, o.taken, o.wait = o.paused || more.paused, o.taken || more.taken, max(o.wait, more.wait)
	o.text = cmp.Or(o.text, more.text)
	return o
}

// isOver returns the limit that a commit ran into.
func isOver(err error) (overLimit, bool) {
	var over overLimit
	ok := errors.As(err, &over)
	return over, ok
}

// guessedAt is whose counters a guess belongs to: the account's, whatever was
// typed (SEC S-50), or the address's while it has none. Both are counted alike,
// or the work would tell them apart (SEC S-42).
func (t *Turn) guessedAt() string {
	if t.account != nil {
		return t.account.ID
	}
	mac := t.e.keys.MAC("flow/guessed", t.tx.Subject.Canonical)
	return macEncoding.EncodeToString(mac[:16])
}

// lane is the one of this browser: who fills the lane of unknown ones does not
// stop those that have signed this person in before (SEC S-108).
func (t *Turn) lane(ctx context.Context) (limit.Lane, error) {
	if t.account == nil || t.tx.Request.Device == "" {
		return limit.Unknown, nil
	}
	d, err := t.e.store.Device(ctx, t.account.ID, t.tx.Request.Device)
	if problem.KindOf(err) == problem.NotFound {
		return limit.Unknown, nil
	}
	if err != nil {
		return limit.Unknown, fmt.Errorf("flow: device: %w", err)
	}
	if !t.now.Before(d.ExpiresAt) {
		return limit.Unknown, nil
	}
	return limit.Known, nil
}

// counted names what wrong answers to an authenticator count for. What it is asked
// for before anything was shown, by anybody who knows the address, counts apart: a
// stranger must not use up the second factor of somebody else.
// What only a device's own key can answer counts apart from its codes: who guesses at
// those must not stop the other.
func (t *Turn) counted(o *Open) string {
	key := o.Authenticator
	if o.Prompt.Elsewhere {
		key += " elsewhere"
	}
	if key == emailKey || key == passwordKey || t.tx.proven() {
		return key
	}
	return key + " first"
}

// guesses is the rule for an authenticator of this person.
func (t *Turn) guesses(key string) limit.Guesses {
	rules := t.e.limits.Rules
	g := rules.Code
	if key == passwordKey {
		groups := t.groups()
		if t.account != nil { // proven or not: nothing tells how soon a pause begins
			groups = t.account.Groups
		}
		g = passwordGuesses(rules, t.org, groups)
	}
	if t.account == nil {
		g.Forget = rules.ForgetNobody
	}
	return g
}

func passwordGuesses(rules limit.Rules, org *policy.Org, groups []string) limit.Guesses {
	p := org.PasswordFor(groups)
	return rules.Password.Policy(p.MaxAttempts, p.AutoUnlock.Std())
}

// count notes that an answer to o was right or wrong, to be committed with the
// turn. What a mailed link answers cannot be guessed, so no pause stops it, and
// it ends one.
func (t *Turn) count(ctx context.Context, o *Open, right, byLink bool) error {
	if t.over.paused {
		return nil
	}
	lane, err := t.lane(ctx)
	if err != nil {
		return err
	}
	key, rule, now := limit.GuessKey(t.guessedAt(), t.counted(o), lane), t.guesses(o.Authenticator), t.now
	if rule.Off() || t.e.authenticators[o.Authenticator].Info().Unguessable && t.source() == "" {
		return nil
	}
	// A refused answer may take the person from the turn.
	whose, known := directory.Account{User: directory.User{Email: t.tx.Subject.Login}}, t.account != nil
	if known {
		whose = *t.account
	}
	if !byLink {
		wait, open := t.networkOpen(lane)
		if !open { // right or not, as with a source
			return errTooMany(wait)
		}
	}
	if right && lane == limit.Known {
		if err := t.comesIn(ctx, o); err != nil {
			return err
		}
	}
	source, volume := t.wrongFrom(lane)
	unguessable := t.e.authenticators[o.Authenticator].Info().Unguessable
	t.counts = append(t.counts, func(tx Tx) error {
		c, err := tx.Counter(key)
		if err != nil {
			return err
		}
		if _, open := rule.Open(c, now); !open && !byLink && !unguessable {
			return overLimit{paused: true}
		}
		var from limit.Counter
		if source != "" && !byLink {
			if from, err = tx.Counter(source); err != nil {
				return err
			}
			if wait, open := volume.Open(from, now); !open { // right or not: a source must not be told of a hit
				return overLimit{source: wait}
			}
		}
		if right {
			next, changed := rule.Right(c, now)
			if byLink {
				next, changed = rule.Reset(c), len(c.Data) > 0
			}
			if !changed {
				return nil
			}
			return putCounter(tx, next)
		}
		next, paused := rule.Wrong(c, now)
		t.guessed, t.pause = !byLink, nil
		if unguessable {
			next, paused = c, false
		}
		if paused {
			t.pause = &pause{of: whose, known: known, key: o.Authenticator, count: rule.Standing(next, now).Consecutive}
		}
		if err := putCounter(tx, next); err != nil || from.Key == "" {
			return err
		}
		next, _, _ = volume.Spend(from, now)
		return putCounter(tx, next)
	})
	return nil
}

// wrongFrom is the counter of wrong answers that come from the source, over all
// accounts, and its limit (SEC S-06); "" where there is none. What others do
// there never stops a browser that has signed this person in before.
func (t *Turn) wrongFrom(lane limit.Lane) (key string, limits limit.Volume) {
	limits = t.e.limits.Rules.SourceWrong
	if lane == limit.Known || limits.Off() || t.source() == "" {
		return "", nil
	}
	return limit.Key("wrong", t.source()), limits
}

// networkOpen asks for the wrong answers of all sources in the network that this
// one lies in, or whoever has a /48 would be 65,536 sources (SEC S-108). Each node
// counts for itself: a row that many sources share would make them wait for each other.
func (t *Turn) networkOpen(lane limit.Lane) (wait time.Duration, open bool) {
	ip, ok := t.address()
	if lane == limit.Known || !ok {
		t.network = ""
		return 0, true
	}
	t.network = limit.Key("wrong", limit.Network(ip))
	return t.e.local.Open(t.network, t.e.limits.Rules.NetworkWrong, t.now)
}

// comesIn ends the row of wrong codes of browsers that are not known, when the
// person signs in from one that is (SEC S-05). A password that was given up for
// them takes more (S-49).
func (t *Turn) comesIn(ctx context.Context, o *Open) error {
	if o.Authenticator == passwordKey {
		return nil
	}
	counter, rule, now := limit.GuessKey(t.guessedAt(), t.counted(o), limit.Unknown), t.guesses(o.Authenticator), t.now
	c, err := t.e.counter(ctx, counter)
	if err != nil {
		return err
	}
	if _, changed := rule.Right(c, now); !changed {
		return nil
	}
	t.writes = append(t.writes, func(tx Tx) error {
		c, err := tx.Counter(counter)
		if err != nil {
			return err
		}
		if next, changed := rule.Right(c, now); changed {
			return putCounter(tx, next)
		}
		return nil
	})
	return nil
}

func putCounter(tx Tx, c limit.Counter) error {
	if len(c.Data) == 0 {
		return tx.DeleteCounter(c.Key)
	}
	return tx.PutCounter(c)
}

// unpause forgets the wrong answers of an account in all lanes.
func (t *Turn) unpause(key string) {
	for _, counter := range laneKeys(t.guessedAt(), key) {
		t.writes = append(t.writes, func(tx Tx) error { return tx.DeleteCounter(counter) })
	}
}

func laneKeys(whose, key string) []string {
	return []string{limit.GuessKey(whose, key, limit.Known), limit.GuessKey(whose, key, limit.Unknown)}
}

// source is where the person is, "" where it is not known: a server that stands
// between and does not say for whom it calls is not one person.
func (t *Turn) source() string {
	if ip, ok := t.address(); ok {
		return limit.Source(ip)
	}
	return ""
}

func (t *Turn) address() (netip.Addr, bool) {
	ip, err := netip.ParseAddr(t.tx.Request.IP)
	return ip, err == nil && (!t.client.Confidential || t.tx.Request.Forwarded)
}

// countSent notes that something goes to the subject.
func (t *Turn) countSent(ctx context.Context, ef authenticator.Effect) error {
	if ef.Text != nil {
		t.countText(*ef.Text)
		return nil
	}
	return t.countSend(ctx, ef)
}

// countText notes that a text goes to a number: so many to each within an hour,
// whoever asks for them, and so many to each country and to all within a day, for they
// cost money (SEC S-53).
func (t *Turn) countText(text authenticator.Text) {
	rules, now := t.e.limits.Rules, t.now
	number := t.e.keys.MAC("flow/texted", text.To)
	over, to := overLimit{text: text.Method}, macEncoding.EncodeToString(number[:16])
	if text.Enrolling {
		t.spend(limit.Key("text-new", to), rules.NewNumberTexts(), now, over)
		t.spend(limit.Key("text-new of", t.guessedAt()), rules.AccountNewTexts, now, over)
		t.spend(limit.Key("texts-new in", text.Country), rules.NewCountryTexts(), now, over)
		t.spend(limit.Key("texts-new"), rules.NewTexts(), now, over)
	}
	t.spend(limit.Key("text", to), rules.NumberTexts, now, over)
	t.spend(limit.Key("texts in", text.Country), rules.CountryTexts, now, over)
	t.spend(limit.Key("texts"), rules.Texts, now, over)
}

// spend counts something that is sent, with the turn that sends it. over is what the
// turn runs into beside the wait.
func (t *Turn) spend(key string, rule limit.Volume, now time.Time, over overLimit) {
	if rule.Off() {
		return
	}
	t.counts = append(t.counts, func(tx Tx) error {
		c, err := tx.Counter(key)
		if err != nil {
			return err
		}
		next, wait, ok := rule.Spend(c, now)
		if !ok {
			over.wait = wait
			return over
		}
		return tx.PutCounter(next)
	})
}

// countSend notes that a code goes to an address (SEC S-11).
func (t *Turn) countSend(ctx context.Context, ef authenticator.Effect) error {
	rules := t.e.limits.Rules
	if rules.AddressMails.Off() {
		return nil
	}
	lane, err := t.lane(ctx)
	if err != nil {
		return err
	}
	to := t.sentTo(&Open{Prompt: authenticator.Prompt{Effects: []authenticator.Effect{ef}}})
	if to != t.tx.Subject.Canonical { // this browser is known to the sender, and not to whoever is there
		lane = limit.Unknown
	}
	folded := t.e.keys.MAC("flow/mailed", limit.FoldAddress(to))
	t.spend(limit.Key("mail", macEncoding.EncodeToString(folded[:16]), string(lane)), rules.AddressMails, t.now, overLimit{})
	return nil
}

// sourceMaySend asks the limits of the source, which each node keeps for itself
// (SEC S-110): they bound a volume, not a secret.
func (t *Turn) sourceMaySend(to string) (wait time.Duration, ok bool) {
	source, rules := t.source(), t.e.limits.Rules
	if source == "" || t.over != (overLimit{}) {
		return 0, true
	}
	if wait, ok = t.e.local.Spend(limit.Key("mails", source), rules.SourceMails, t.now); !ok {
		return wait, false
	}
	folded := t.e.keys.MAC("flow/mailed", limit.FoldAddress(to))
	return t.e.local.SpendDistinct(limit.Key("addresses", source), rules.SourceAddresses, t.now, folded[:8])
}

// sourceMaySignUp asks how many accounts came from one source (SEC S-114).
func (t *Turn) sourceMaySignUp() (wait time.Duration, ok bool) {
	if t.source() == "" || t.over != (overLimit{}) {
		return 0, true
	}
	return t.e.local.Spend(limit.Key("sign-ups", t.source()), t.e.limits.Rules.SignUps, t.now)
}

// A pause is what a wrong answer began: from now on answers are not looked at for a while.
type pause struct {
	of    directory.Account
	known bool // false: of is no account, but the address as typed
	key   string
	count int // wrong answers in a row
}

const tellPatience = 5 * time.Second

// tellOfPause writes to somebody at whose account so many wrong guesses were made
// that answers are not looked at for a while (UX M11), at most once a day. Where
// there is no account a message that reaches nobody stands for it, or the work
// would tell (SEC S-42).
func (t *Turn) tellOfPause(ctx context.Context) {
	// Whoever hangs up at the right moment must not keep it from being told.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellPatience)
	defer cancel()
	p := t.pause
	out := Outgoing{
		Mail: authenticator.Mail{
			Template: "guessing", To: p.of.Email, FirstName: p.of.FirstName, Count: p.count,
			Method: t.e.authenticators[p.key].Info().Name,
		},
		Client: t.client, Request: t.tx.Request, At: t.now,
	}
	mac := t.e.keys.MAC("flow/told of guessing", p.of.ID, t.now.UTC().Format(time.DateOnly))
	out.Once, out.KeepUntil = "once"+directory.IDFrom(mac[:]), t.now.Add(24*time.Hour)
	told, err := t.e.sentBefore(ctx, out)
	out.Void = told || !p.known
	var m outbox.Message
	if err == nil {
		m, err = t.e.outbox.Prepare(out)
	}
	if err == nil {
		err = t.e.store.InTx(ctx, false, func(tx Tx) error { return tx.Enqueue(m) })
	}
	switch problem.KindOf(err) {
	case problem.None:
		t.e.outbox.Handoff(m)
	case problem.Conflict: // told today
	default:
		t.e.log.WarnContext(ctx, "a pause is not told", "err", err)
	}
}
