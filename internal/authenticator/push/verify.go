package push

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/internal/problem"
)

// Asked is what the devices are told of a request, beside what the engine says of
// it: the numbers of which one is shown in the browser, and what it is for.
type Asked struct {
	Numbers []string              `json:"numbers"`
	Purpose authenticator.Purpose `json:"purpose"`
}

// challenge is what a prompt keeps sealed.
type challenge struct {
	Number string `json:"number"`
}

// errNumber is a yes without the number that the browser shows. It counts as a wrong
// answer and ends the request, as a no does: else who guesses guesses again.
var errNumber = fmt.Errorf("%w: %w", authenticator.ErrDenied, authenticator.ErrWrong)

const codeField = "totp" // and not passcode (AUTH §3.4)

// BeginVerify asks the devices, or for the code that one of them shows. Who has no
// device is asked alike.
func (a *Authenticator) BeginVerify(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	switch authenticator.Method(s.Details["methodType"]) {
	case Code:
		return authenticator.Prompt{Method: Code, Fields: []authenticator.Field{{Name: codeField, Label: "Enter code", Required: true}}}, nil
	case Approve:
		return a.ask(s)
	case "":
		f := methods()
		f.Required = true
		return authenticator.Prompt{}, &authenticator.Wanted{Fields: []authenticator.Field{f}}
	}
	return authenticator.Prompt{}, rejected("methodType", "oie.authenticator.method.unknown", "This way is not offered.")
}

// ask shows one of three numbers: whoever says yes without looking at the browser
// is wrong in two of three cases, and each request takes one answer.
func (a *Authenticator) ask(s authenticator.Subject) (authenticator.Prompt, error) {
	var numbers []string
	for len(numbers) < 3 {
		n, err := rand.Int(rand.Reader, big.NewInt(90))
		if err != nil {
			return authenticator.Prompt{}, fmt.Errorf("push: random number: %w", err)
		}
		if text := strconv.FormatInt(10+n.Int64(), 10); !slices.Contains(numbers, text) {
			numbers = append(numbers, text)
		}
	}
	right := numbers[0]
	slices.Sort(numbers) // where the right one stands tells nothing
	sealed, err := json.Marshal(challenge{Number: right})
	if err != nil {
		return authenticator.Prompt{}, fmt.Errorf("push: encode challenge: %w", err)
	}
	asked, err := json.Marshal(Asked{Numbers: numbers, Purpose: s.Purpose})
	if err != nil {
		return authenticator.Prompt{}, fmt.Errorf("push: encode request: %w", err)
	}
	expires := a.now().Add(RequestLife)
	return authenticator.Prompt{
		Method: Approve, Sealed: sealed, Elsewhere: true, ExpiresAt: expires,
		Public:  map[string]any{"correctAnswer": right},
		Effects: []authenticator.Effect{{Push: &authenticator.Push{Data: asked, ExpiresAt: expires, Wakes: a.wakes}}},
	}, nil
}

// FinishVerify takes the code "totp", or the statement "answer" of one of the
// subject's devices.
func (a *Authenticator) FinishVerify(_ context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	if p.Method == Code {
		return a.checkCode(s, in)
	}
	for _, c := range s.Enrolled {
		said, err := a.Said(c, in["answer"], PathAnswer)
		if err != nil || said.Request != s.Challenge {
			continue
		}
		var asked challenge
		if err := json.Unmarshal(p.Sealed, &asked); err != nil {
			return authenticator.Proof{}, fmt.Errorf("push: decode challenge: %w", err)
		}
		switch {
		case !said.Approve:
			return authenticator.Proof{}, authenticator.ErrDenied
		case subtle.ConstantTimeCompare([]byte(said.Number), []byte(asked.Number)) != 1 || s.Purpose == authenticator.SignInUnknown:
			return authenticator.Proof{}, errNumber
		}
		return authenticator.Proof{Credential: c}, nil
	}
	return authenticator.Proof{}, authenticator.ErrWrong
}

// checkCode accepts the code of now, and those of a period before and after it,
// each once: what is written back over the credential has the step of the one that
// was used, and of two answers at the same time one meets a newer credential.
func (a *Authenticator) checkCode(s authenticator.Subject, in authenticator.Input) (authenticator.Proof, error) {
	if directory.Blank(in[codeField]) {
		return authenticator.Proof{}, rejected(codeField, "model.validation.field.blank", "This field cannot be left blank")
	}
	now, used := oath.StepOf(a.now()), false
	for _, c := range s.Enrolled {
		d, _, err := open(c)
		if err != nil {
			return authenticator.Proof{}, err
		}
		step, ok := d.Secret.Match(in[codeField], now-window, now+window)
		switch {
		case !ok || s.Purpose == authenticator.SignInUnknown:
			continue
		case step <= d.Step:
			used = true
			continue
		}
		d.Step = step
		c.Data = encode(d)
		return authenticator.Proof{Credential: c}, nil
	}
	if used {
		return authenticator.Proof{}, &authenticator.Wrong{Message: problem.Message{
			Key: "authfactor.challenge.soft_token.used_passcode", Params: []string{}, Field: codeField, Class: problem.ClassError,
			Text: "Each code can only be used once. Please wait for a new code and try again.",
		}}
	}
	return authenticator.Proof{}, authenticator.ErrWrong
}
