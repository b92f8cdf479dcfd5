package idxgo

import (
	"context"
	"fmt"
	"strings"
	"testing"

	idx "github.com/okta/okta-idx-golang"
)

func TestIDX_A39_A40_SecurityQuestion(t *testing.T) {
	ctx := t.Context()
	// A question of one's own this client refuses by itself, before it asks.
	for _, sq := range []idx.SecurityQuestion{{QuestionKey: "disliked_food", Answer: "Okta"}, {QuestionKey: "first_award", Answer: "Chess"}} {
		r, email := proveAddress(t, engines.authenticators)
		r, questions, err := r.SecurityQuestionOptions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if questions["disliked_food"] != "What is the food you least liked as a child?" {
			t.Errorf("the questions are %v", questions)
		}
		short := sq
		short.Answer = "abc"
		if _, err := r.SetupSecurityQuestion(ctx, &short); err == nil || !strings.Contains(err.Error(), "at least 4 characters") {
			t.Errorf("an answer of three characters: %v", err)
		}
		if r, _, err = r.SecurityQuestionOptions(ctx); err != nil {
			t.Fatal(err)
		}
		if r, err = r.SetupSecurityQuestion(ctx, &sq); err != nil {
			t.Fatal(err)
		}
		if r.HasStep(idx.EnrollmentStepSecurityQuestionOptions) {
			t.Errorf("the question is offered once more: %v", r.AvailableSteps())
		}
		if r, err = r.Skip(ctx); err != nil {
			t.Fatal(err)
		}
		judge(t, engines.authenticators, r.Token(), email)
	}
}

// withQuestion makes a person who has a question, and a password if it is given.
func withQuestion(t *testing.T, engine, password string) person {
	t.Helper()
	ctx := t.Context()
	r, email := proveAddress(t, engine)
	var err error
	if password != "" {
		r, err = r.SetNewPassword(ctx, password)
	}
	if err == nil {
		r, _, err = r.SecurityQuestionOptions(ctx)
	}
	if err == nil {
		r, err = r.SetupSecurityQuestion(ctx, &idx.SecurityQuestion{QuestionKey: "disliked_food", Answer: "Okta"})
	}
	if err == nil && r.HasStep(idx.EnrollmentStepSkip) { // what is optional is left
		r, err = r.Skip(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return person{email: email, mail: listMails(t, engine, email)[0].ID, token: r.Token()}
}

// At a sign-in v0.2.2 names the question, LoginStepAnswerSecurityQuestion, and stops: its
// LoginResponse has no method that chooses or answers it. An app that asks it posts
// the two forms itself, and has the client redeem the code.
func TestIDX_A39_QuestionAtSignIn(t *testing.T) {
	ctx, engine := t.Context(), engines.secondFactors
	p := withQuestion(t, engine, "")
	subject := judge(t, engine, p.token, p.email)
	c := newClient(t, engine)
	r, err := c.InitLogin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.Identify(ctx, &idx.IdentifyRequest{Identifier: p.email}); err != nil {
		t.Fatal(err)
	}
	if r, err = r.VerifyEmail(ctx); err != nil {
		t.Fatal(err)
	}
	m := waitMail(t, engine, p.email, p.mail)
	if r, err = r.ConfirmEmail(ctx, m.Code); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.AvailableSteps()); got != "[CANCEL ANSWER SECURITY_QUESTION]" {
		t.Errorf("after the code: steps are %s", got)
	}
	if _, can := any(r).(interface {
		AnswerSecurityQuestion(context.Context, string) (*idx.LoginResponse, error)
	}); can {
		t.Error("the client can answer it: have it do so here")
	}

	begun, err := c.Interact(ctx)
	if err != nil {
		t.Fatal(err)
	}
	d := post(t, engine+"/idp/idx/introspect", map[string]any{"interactionHandle": begun.InteractionHandle.InteractionHandle})
	d = d.follow(t, "identify", map[string]any{"identifier": p.email})
	d = d.follow(t, "challenge-authenticator", map[string]any{"credentials": map[string]string{"passcode": waitMail(t, engine, p.email, m.ID).Code}})
	d = d.follow(t, "select-authenticator-authenticate", map[string]any{"authenticator": map[string]string{"id": "aut1question0000000"}})
	says := func(answer string) map[string]any {
		return map[string]any{"credentials": map[string]string{"questionKey": "disliked_food", "answer": answer}}
	}
	d = d.refuses(t, "challenge-authenticator", says("Kale"))
	if d = d.follow(t, "challenge-authenticator", says("Okta")); d.code() == "" {
		t.Fatal("no interaction code")
	}
	token, err := c.RedeemInteractionCode(ctx, begun, d.code())
	if err != nil {
		t.Fatal(err)
	}
	if again := judge(t, engine, &idx.Token{AccessToken: token.AccessToken, IDToken: token.IDToken, TokenType: token.TokenType, ExpiresIn: token.ExpiresIn}, p.email); again != subject {
		t.Errorf("signed in as %s, signed up as %s", again, subject)
	}
}

// A recovery is where this client answers the question: it comes after the mailbox,
// at once, since the client chooses nothing there but the email.
func TestSEC_S59_PasswordResetAsksTheQuestion(t *testing.T) {
	ctx, engine := t.Context(), engines.authenticators
	p := withQuestion(t, engine, goodPassword)
	was := judge(t, engine, p.token, p.email)
	r, err := newClient(t, engine).InitPasswordReset(ctx, &idx.IdentifyRequest{Identifier: p.email})
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.VerifyEmail(ctx); err != nil {
		t.Fatal(err)
	}
	if r, err = r.ConfirmEmail(ctx, waitMail(t, engine, p.email, p.mail).Code); err != nil {
		t.Fatal(err)
	}
	wantReset(t, "after the code", r, "CANCEL", "ANSWER SECURITY_QUESTION")
	if q := r.SecurityQuestion(); q == nil || q.QuestionKey != "disliked_food" || q.Question != "What is the food you least liked as a child?" {
		t.Fatalf("the question is %+v", q)
	}
	if _, err := r.SetNewPassword(ctx, freshPassword); err == nil {
		t.Error("the mailbox alone gives a new password")
	}
	if _, err := r.AnswerSecurityQuestion(ctx, "Kale"); err == nil || err.Error() != "Your answer doesn't match our records. Please try again." {
		t.Errorf("A-39: a wrong answer: %v", err)
	}
	if r, err = r.AnswerSecurityQuestion(ctx, "Okta"); err != nil {
		t.Fatal(err)
	}
	if !r.HasStep(idx.ResetPasswordStepNewPassword) {
		t.Fatalf("after the answer: steps are %v", r.AvailableSteps())
	}
	if r, err = r.SetNewPassword(ctx, freshPassword); err != nil {
		t.Fatal(err)
	}
	wantReset(t, "at the end", r, "SUCCESS")
	if is := judge(t, engine, r.Token(), p.email); was != is {
		t.Errorf("recovered as %s, signed up as %s", is, was)
	}
}
