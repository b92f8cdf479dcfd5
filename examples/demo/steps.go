package demo

import (
	"slices"
	"strconv"
	"strings"
)

// callOf names what a request is for by its path.
func callOf(path string, request document) string {
	if _, at, ok := strings.Cut(path, "/idp/idx/"); ok {
		return at
	}
	at := path[strings.LastIndexByte(path, '/')+1:]
	switch at {
	case "token":
		if grant := request.root.get("grant_type"); grant != nil && grant.text == "refresh_token" {
			return "refresh"
		}
	case "openid-configuration":
		return "discovery"
	}
	return at
}

// titles say what the calls do.
var titles = map[string]string{
	"interact":          "Begin an interaction",
	"introspect":        "Ask where it stands",
	"identify":          "Send the address",
	"identify/select":   "Go back to sign-in",
	"enroll":            "Ask for the sign-up form",
	"enroll/new":        "Send first name, last name and email",
	"challenge":         "Choose how to prove who it is",
	"challenge/answer":  "Send the proof",
	"challenge/poll":    "Ask whether the link was opened",
	"challenge/resend":  "Ask for a new mail",
	"credential/enroll": "Choose an authenticator to set up",
	"recover":           "Say that the password is forgotten",
	"unlock-account":    "Ask for a password that is paused to work again",
	"enroll/update":     "Send what the profile lacks",
	"skip":              "Skip the rest",
	"cancel":            "Cancel",
	"token":             "Redeem the interaction code for tokens",
	"discovery":         "Read where the signing keys are",
	"keys":              "Read the keys that signed the ID token",
	"refresh":           "Get new tokens",
	"userinfo":          "Read the profile",
}

// A step is a part of a run as the guide tells it.
type step struct {
	Number int    // 0 for what came after the tokens
	Title  string // of a sign-up's steps, the guide's
	Text   string // what happened
	Code   string // the call of package idx that does it
	Calls  []call
}

type call struct {
	exchange
	Title string
}

// Outcome says how the call ended: the status, or that there was none.
func (c call) Outcome() string {
	if c.Status == 0 {
		return "no answer"
	}
	return strconv.Itoa(c.Status)
}

// OK holds for what the engine accepted.
func (c call) OK() bool { return c.ok() }

// A story tells a run in steps. at gives the step of an exchange that happened
// while the run stood at step now, and where it stands then.
type story struct {
	kind  string
	steps []step
	at    func(e exchange, now int) (here, then int)
}

// storyOf tells a run: a sign-up as the guide's six steps, a sign-in as four.
// What the app did with the tokens comes last.
func storyOf(run []exchange) story {
	var s story
	switch {
	case made(run, "enroll/new"):
		s = signUpStory(run)
	case made(run, "identify"), made(run, "unlock-account"):
		s = signInStory(run)
	}
	later := step{Title: "Since then"}
	for now, over := 1, s.at == nil; len(run) > 0; run = run[1:] {
		e := run[0]
		c := call{e, titles[e.Call]}
		if over {
			later.add(c)
			continue
		}
		here, then := s.at(e, now)
		s.steps[here-1].add(c)
		now, over = then, e.Call == "token" && e.ok()
	}
	if len(later.Calls) > 0 {
		s.steps = append(s.steps, later)
	}
	return s
}

// add appends c. What only looks is told once, with how often it did: pages that
// keep no state ask before they show a step, and those that wait ask again and again.
func (s *step) add(c call) {
	same := func(was call) bool { return c.quiet() && was.Call == c.Call }
	if i := slices.IndexFunc(s.Calls, same); i >= 0 {
		c.Times += s.Calls[i].Times
		s.Calls[i] = c
		return
	}
	s.Calls = append(s.Calls, c)
}

func made(run []exchange, name string) bool {
	return slices.ContainsFunc(run, func(e exchange) bool { return e.Call == name })
}

func (e exchange) ok() bool { return e.Status >= 200 && e.Status < 300 }

// proven holds for an answer that asks for no further proof of the one in hand.
func (e exchange) proven() bool {
	return e.ok() && e.first() != "enroll-authenticator" && e.first() != "challenge-authenticator"
}

func (e exchange) first() string {
	if len(e.Offers) == 0 {
		return ""
	}
	return e.Offers[0]
}

func signUpStory(run []exchange) story {
	s := story{kind: "sign-up", at: signUpStep, steps: []step{{
		Number: 1, Title: "Your app displays sign-up link on sign-in page",
		Text: "The engine says what may be done. It offers select-enroll-profile: sign-up is open, so the page has its link.",
		Code: "tx, err := client.Start(ctx, idx.StartOptions{})",
	}, {
		Number: 2, Title: "Your app displays sign-up page",
		Text: "The answer describes the form, enroll-profile, field by field.",
		Code: "tx, err = client.Register(ctx, idx.Profile{})",
	}, {
		Number: 3, Title: "The user submits their new account details",
		Text: "The email is the username and the primary address. There is no account yet.",
		Code: "tx, err = client.Register(ctx, idx.Profile{FirstName: …, LastName: …, Email: …})",
	}, {
		Number: 4, Title: "The user verifies their identity using the email authenticator",
		Text: "The answer to step 3 asks for it: enroll-authenticator. The engine has sent one mail with a code and a link.",
	}, {
		Number: 5, Title: "Your app displays the remaining optional authenticators",
		Text: "The address is proven, and the answer lists what else may be set up.",
		Code: "tx, err = client.Proceed(ctx, tx, idx.Input{VerificationCode: code})",
	}, {
		Number: 6, Title: "The user skips the remaining optional authenticators",
		Text: "Skip gives an interaction code, and this the tokens.",
		Code: "tx, err = client.Proceed(ctx, tx, idx.Input{Skip: true})",
	}}}
	for i, e := range run {
		if e.Call == "challenge/answer" && e.first() == "success" && !made(run[i:], "skip") {
			s.steps[4].Text = "The address is proven, and there was nothing to choose."
		}
		if e.ok() && slices.Contains(e.Offers, "skip") && e.first() == "select-authenticator-enroll" {
			s.steps[4].Text = "The address is proven, and the answer lists what else may be set up. Skip is among it: CanSkip is true."
		}
	}
	last := &s.steps[5]
	switch {
	case made(run, "skip"):
	case made(run, "credential/enroll"):
		last.Title, last.Text = "The user sets up another authenticator", "What is asked for is set up. An interaction code follows, and then the tokens."
		last.Code = "tx, err = client.Proceed(ctx, tx, idx.Input{Authenticator: key})"
	default:
		last.Title, last.Text, last.Code = "Your app gets the tokens", "The interaction code is redeemed.", ""
	}
	return s
}

func signUpStep(e exchange, now int) (here, then int) {
	switch e.Call {
	case "interact", "identify", "identify/select":
		return 1, 1
	case "enroll":
		return 2, 2
	case "enroll/new":
		if e.ok() {
			return 3, 4
		}
		return 3, 3
	case "introspect", "challenge/poll", "challenge/answer":
		switch {
		case now == 4 && e.proven():
			return 5, 5
		case now == 5 && e.Call == "challenge/answer":
			return 6, 6
		}
	case "credential/enroll":
		if now == 5 {
			return 6, 6
		}
	case "skip", "token", "discovery", "keys":
		return 6, 6
	case "cancel":
		return now, 1
	}
	return now, now
}

func signInStory(run []exchange) story {
	s := story{kind: "sign-in", at: signInStep, steps: []step{{
		Number: 1, Title: "Your app displays sign-in page",
		Text: "The engine says what may be done. The first is identify, with a field for the address.",
		Code: "tx, err := client.Start(ctx, idx.StartOptions{})",
	}, {
		Number: 2, Title: "The user submits their address",
		Text: "The answer asks for a proof that the address is theirs.",
		Code: "tx, err = client.Authenticate(ctx, idx.Credentials{Username: address})",
	}, {
		Number: 3, Title: "The user verifies their identity using the email authenticator",
		Text: "The code from the mail, or its link, is the answer.",
		Code: "tx, err = client.Proceed(ctx, tx, idx.Input{VerificationCode: code})",
	}, {
		Number: 4, Title: "Your app gets the tokens",
		Text: "The interaction code is redeemed.",
	}}}
	proof := &s.steps[2]
	switch {
	case made(run, "recover"):
		proof.Title, proof.Text = "The user verifies their identity and replaces the password",
			"The code from the mail comes first, then reset-authenticator asks for the new password; skip goes on without one."
		proof.Code = "tx, err = client.RecoverPassword(ctx, idx.Credentials{Username: address})"
	case made(run, "challenge"):
		proof.Title, proof.Text = "The user verifies their identity", "They choose how, and answer with the code or the password."
		proof.Code = "tx, err = client.Proceed(ctx, tx, idx.Input{Authenticator: key})"
	}
	return s
}

// moreAsked are the steps between the first proof and the tokens.
var moreAsked = []string{
	"select-authenticator-authenticate", "reset-authenticator", "reenroll-authenticator", "reenroll-authenticator-warning", "profile-update",
}

func signInStep(e exchange, now int) (here, then int) {
	switch e.Call {
	case "interact":
		return 1, 1
	case "identify":
		if e.ok() {
			return 2, 3
		}
		return 2, 2
	case "introspect", "challenge/poll", "challenge/answer":
		if now == 3 && e.proven() && !slices.Contains(moreAsked, e.first()) {
			return 3, 4
		}
	case "skip", "credential/enroll", "token", "discovery", "keys":
		return 4, 4
	case "cancel":
		return now, 1
	}
	return now, now
}
