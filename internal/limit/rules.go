package limit

import "time"

// Rules are all limits of an installation: one struct for whoever applies them.
// The numbers are those of the specification's default policy block.
type Rules struct {
	// Within one flow. The counts hold in development too.

	CodeTries   int             // wrong tries that end a code (SEC S-03)
	KilledCodes int             // codes ended so that end a flow (S-04)
	Resends     int             // further mails of one flow (S-11)
	ResendAfter []time.Duration // waits before a resend, the last for all that follow (S-10)
	Numbers     int             // phone numbers that one flow sends to (S-53); 0: any
	// HandleRequests are those with one handle (S-29).
	HandleRequests Volume

	// Of an account, by GuessKey.

	Code     Guesses // anything short that was sent or computed (S-05)
	Password Guesses // S-49; see Guesses.Policy
	// ForgetNobody is the Guesses.Forget of an address that no account has. It is
	// treated as if it had one, and yet a flood of invented addresses must not fill
	// the database for ever.
	ForgetNobody time.Duration
	UserRequests Volume // S-29

	// Of an address, by FoldAddress.

	AddressMails Volume // S-11

	// Of a phone number, of a country's, and of all of them: texts cost money (S-53).

	NumberTexts     Volume
	AccountNewTexts Volume // of an account, to numbers that are not its own yet
	CountryTexts    Volume // of one country; less than Texts, or one that pays its caller could use up those of all
	Texts           Volume

	// Of an account.

	Pushes Volume // requests to its devices, of browsers that are known or not

	// Of a source, by Source or Network.

	SourceWrong     Volume   // wrong answers over all accounts: Open first, Spend when it was wrong (S-06)
	NetworkWrong    Volume   // the same for the Network that the source lies in (S-108)
	SourceMails     Volume   // S-11
	SourceAddresses Distinct // addresses that are sent to, folded (S-11)
	OpenFlows       Volume   // flows begun: with a window as long as a flow may last, no more can be open (S-28)
	SignUps         Volume   // proven accounts (S-114)

	// Of the installation.

	Spray Guard // wrong codes (S-06)
}

// flowLife is the longest that a flow lasts (SEC S-21).
const flowLife = time.Hour

// DefaultRules are the limits that hold unless something else is said.
func DefaultRules() Rules {
	const day = 24 * time.Hour
	guesses := Guesses{
		Windows:     []Window{{N: 10, Per: 15 * time.Minute}, {N: 30, Per: day}},
		CoolDown:    time.Minute,
		CoolDownMax: time.Hour,
		Consecutive: 100,
	}
	return Rules{
		CodeTries:      5,
		KilledCodes:    3,
		Resends:        5,
		Numbers:        3,
		ResendAfter:    []time.Duration{30 * time.Second, time.Minute},
		HandleRequests: Volume{{N: 10, Per: 5 * time.Second}},

		Code:         guesses,
		Password:     guesses,
		ForgetNobody: 30 * day,
		UserRequests: Volume{{N: 20, Per: 5 * time.Second}},

		AddressMails: Volume{{N: 5, Per: 15 * time.Minute}, {N: 10, Per: time.Hour}, {N: 20, Per: day}},

		NumberTexts:     Volume{{N: 5, Per: time.Hour}},
		AccountNewTexts: Volume{{N: 8, Per: time.Hour}, {N: 20, Per: day}},
		CountryTexts:    Volume{{N: 500, Per: day}},
		Texts:           Volume{{N: 1000, Per: day}},
		Pushes:          Volume{{N: 3, Per: 5 * time.Minute}, {N: 20, Per: day}},

		SourceWrong:     Volume{{N: 60, Per: time.Hour}},
		NetworkWrong:    Volume{{N: 600, Per: time.Hour}},
		SourceMails:     Volume{{N: 30, Per: time.Hour}},
		SourceAddresses: Distinct{N: 10, Per: time.Hour},
		OpenFlows:       Volume{{N: 600, Per: flowLife}},
		SignUps:         Volume{{N: 20, Per: time.Hour}},

		Spray: Guard{Per: 5 * time.Minute, Floor: 1000, Mean: time.Hour, Factor: 20, Hold: time.Hour},
	}
}

// DevelopmentRules are the defaults without any limit across flows, on the pace of
// requests, or before a resend (decision D27). A password policy's own attempts hold
// still, by Guesses.Policy.
func DevelopmentRules() Rules {
	d := DefaultRules()
	return Rules{
		CodeTries:    d.CodeTries,
		KilledCodes:  d.KilledCodes,
		Resends:      d.Resends,
		Numbers:      d.Numbers,
		ForgetNobody: d.ForgetNobody,
	}
}

// NewNumberTexts are those that a number gets before it is anybody's: one less than
// NumberTexts, so that strangers who type it leave its owner one to sign in with, and
// ten a day.
func (r Rules) NewNumberTexts() Volume {
	var out Volume
	for _, w := range r.NumberTexts {
		out = append(out, Window{N: max(w.N-1, min(w.N, 1)), Per: w.Per})
	}
	if len(out) > 0 {
		out = append(out, Window{N: 10, Per: 24 * time.Hour})
	}
	return out
}

// NewTexts are those that all numbers together get before they are anybody's, half of
// Texts: a crowd of sign-ups must not keep out who signs in by phone.
func (r Rules) NewTexts() Volume { return half(r.Texts) }

// NewCountryTexts are those that the numbers of one country get before they are
// anybody's, half of CountryTexts.
func (r Rules) NewCountryTexts() Volume { return half(r.CountryTexts) }

func half(v Volume) Volume {
	var out Volume
	for _, w := range v {
		out = append(out, Window{N: max(w.N/2, min(w.N, 1)), Per: w.Per})
	}
	return out
}

// ResendWait is the time that must have passed since the last mail of a flow,
// of which n were sent so far (SEC S-10).
func (r Rules) ResendWait(n int) time.Duration {
	if len(r.ResendAfter) == 0 || n < 1 {
		return 0
	}
	return r.ResendAfter[min(n, len(r.ResendAfter))-1]
}
