package idxgo

import (
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
