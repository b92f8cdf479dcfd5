package account

import (
	"encoding/base64"
	"net/netip"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
)

// What is counted of a pending address (SEC S-03 … S-11): wrong codes and mails
// of the one change in its ticket, guesses of the account and of the address, and
// mails to the address, across all changes, in the store. A pause looks like a
// wrong answer (SEC S-109).

var macEncoding = base64.RawURLEncoding

// folded names an address in the database without telling it. The purpose is the
// flow's: mails to an address count together, whatever they are for.
func (a *Accounts) folded(canonical string) []byte {
	mac := a.Keys.MAC("flow/mailed", limit.FoldAddress(canonical))
	return mac[:16]
}

// from is where the person is, "" where that is not known: a server that calls for
// people is not one person.
func (c *change) from() string {
	ip, err := netip.ParseAddr(c.person().IP)
	if err != nil {
		return ""
	}
	return limit.Source(ip)
}

// countSend notes that a mail goes to a new address. The limits of the source and
// of how many addresses one account may write to bound what somebody could do to
// strangers with an account of their own.
func (c *change) countSend(canonical string) error {
	rules, folded := c.a.Rules, c.a.folded(canonical)
	if from := c.from(); from != "" {
		if wait, ok := c.a.local.Spend(limit.Key("mails", from), rules.SourceMails, c.now); !ok {
			return throttled(wait)
		}
	}
	if wait, ok := c.a.local.SpendDistinct(limit.Key("addresses", c.account.ID), rules.SourceAddresses, c.now, folded[:8]); !ok {
		return throttled(wait)
	}
	if rules.AddressMails.Off() {
		return nil
	}
	key, now := limit.Key("mail", macEncoding.EncodeToString(folded), string(limit.Unknown)), c.now
	c.counts = append(c.counts, func(tx Tx) error {
		counter, err := tx.Counter(key)
		if err != nil {
			return err
		}
		next, wait, ok := rules.AddressMails.Spend(counter, now)
		if !ok {
			return overLimit{wait: wait}
		}
		return tx.PutCounter(next)
	})
	return nil
}

// countText notes that a text or a call goes to a number, where a sign-in counts
// those: they cost money, whatever they are for (SEC S-53).
func (c *change) countText(text authenticator.Text) error {
	rules, mac := c.a.Rules, c.a.Keys.MAC("flow/texted", text.To)
	if from := c.from(); from != "" {
		if wait, ok := c.a.local.Spend(limit.Key("mails", from), rules.SourceMails, c.now); !ok {
			return throttled(wait)
		}
	}
	if !rules.NumberTexts.Off() && rules.Numbers > 0 {
		numbers := limit.Distinct{N: rules.Numbers, Per: time.Hour}
		if _, ok := c.a.local.SpendDistinct(limit.Key("numbers", c.account.ID), numbers, c.now, mac[:8]); !ok {
			return textLimit(text.Method)
		}
	}
	now, to := c.now, macEncoding.EncodeToString(mac[:16])
	for _, one := range []struct {
		key  string
		rule limit.Volume
	}{
		{limit.Key("text-new", to), rules.NewNumberTexts()},
		{limit.Key("text-new of", c.account.ID), rules.AccountNewTexts},
		{limit.Key("texts-new in", text.Country), rules.NewCountryTexts()},
		{limit.Key("texts-new"), rules.NewTexts()},
		{limit.Key("text", to), rules.NumberTexts},
		{limit.Key("texts in", text.Country), rules.CountryTexts},
		{limit.Key("texts"), rules.Texts},
	} {
		if one.rule.Off() {
			continue
		}
		c.counts = append(c.counts, func(tx Tx) error {
			counter, err := tx.Counter(one.key)
			if err != nil {
				return err
			}
			next, _, ok := one.rule.Spend(counter, now)
			if !ok {
				return textLimit(text.Method)
			}
			return tx.PutCounter(next)
		})
	}
	return nil
}

// The codes of refusals by the limits on texts and calls.
const (
	SMSLimit  = "sms-limit"
	CallLimit = "call-limit"
)

func textLimit(by authenticator.Method) error { // AUTH §1.4
	if by == "voice" {
		return problem.New(problem.Forbidden, CallLimit, "You have reached the limit of call requests, please try again later.")
	}
	return problem.New(problem.Forbidden, SMSLimit, "You have reached the limit of sms requests, please try again later.")
}

// countGuess notes an answer that was right or wrong, to be committed with the
// change before anybody hears of it. The keys are in one order everywhere.
func (c *change) countGuess(rule limit.Guesses, right bool, keys ...string) {
	if rule.Off() || c.paused {
		return
	}
	// Written whatever else is refused, or a refusal that only a right answer
	// comes to would tell it also while answers are not looked at.
	c.moved = true
	now := c.now
	for _, key := range keys {
		c.counts = append(c.counts, func(tx Tx) error {
			counter, err := tx.Counter(key)
			if err != nil {
				return err
			}
			if _, open := rule.Open(counter, now); !open {
				return overLimit{paused: true}
			}
			next, changed := rule.Right(counter, now)
			if !right {
				next, _ = rule.Wrong(counter, now)
				changed = true
			}
			switch {
			case !changed:
				return nil
			case len(next.Data) == 0:
				return tx.DeleteCounter(key)
			}
			return tx.PutCounter(next)
		})
	}
}

// addressGuesses are the keys of guesses at codes for a new address: the address
// counts whoever guesses, since it may be somebody else's.
func (c *change) addressGuesses(canonical string) []string {
	mac := c.a.Keys.MAC("account/guessed", canonical)
	return []string{
		limit.Key("change", c.account.ID),
		limit.Key("change-to", macEncoding.EncodeToString(mac[:16])),
	}
}

// passwordGuesses are counted where a sign-in counts them (SEC S-50).
func (c *change) passwordGuesses() (limit.Guesses, string) {
	p := c.org.PasswordFor(c.account.Groups)
	rule := c.a.Rules.Password.Policy(p.MaxAttempts, p.AutoUnlock.Std())
	return rule, limit.GuessKey(c.account.ID, passwordKey, limit.Unknown)
}

// resendWait is how long until one more mail of a change may be sent.
func (a *Accounts) resendWait(p *proving, end, now time.Time) time.Duration {
	if p.Sends > a.resends() {
		return end.Sub(now)
	}
	return p.SentAt.Add(a.Rules.ResendWait(p.Sends)).Sub(now)
}

// tries and the two after it have defaults, so that no configuration is without them.
func (a *Accounts) tries() int      { return atLeast(a.Rules.CodeTries, 5) }
func (a *Accounts) challenges() int { return atLeast(a.Rules.KilledCodes, 3) }
func (a *Accounts) resends() int    { return atLeast(a.Rules.Resends, 5) }

func atLeast(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

func throttled(wait time.Duration) error {
	return &problem.Error{Kind: problem.Throttled, Code: "tooManyRequests", Detail: "Too many requests", RetryAfter: wait}
}
