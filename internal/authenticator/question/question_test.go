package question_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/authenticator/question"
	"github.com/stile-id/stile/internal/pool"
)

func start(t *testing.T) *question.Authenticator {
	t.Helper()
	a, err := question.New(question.Config{Pool: pool.New(1, 8)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func rejections(err error) string {
	var r *authenticator.Rejected
	if !errors.As(err, &r) {
		return ""
	}
	var out []string
	for _, m := range r.Messages {
		out = append(out, m.Field+" "+m.Key)
	}
	return strings.Join(out, ", ")
}

func enroll(t *testing.T, a *question.Authenticator, in authenticator.Input) (authenticator.Subject, error) {
	t.Helper()
	p, err := a.BeginEnroll(t.Context(), authenticator.Subject{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.FinishEnroll(t.Context(), authenticator.Subject{}, p, in)
	c.ID = "qae1"
	return authenticator.Subject{Purpose: authenticator.SignIn, Enrolled: []authenticator.Credential{c}}, err
}

func TestIDX_A39_TheFirstQuestion(t *testing.T) {
	p, err := start(t).BeginEnroll(t.Context(), authenticator.Subject{})
	if err != nil {
		t.Fatal(err)
	}
	first := p.Public["questions"].([]any)[0].(map[string]any)
	if first["questionKey"] != "disliked_food" || first["question"] != "What is the food you least liked as a child?" {
		t.Errorf("%v", first)
	}
	if len(p.Either) != 2 || p.Either[0].Fields[0].Choices[0].Value != "disliked_food" || p.Either[1].Fields[0].Value != "custom" {
		t.Errorf("%+v", p.Either)
	}
}

func TestIDX_A40_A42_Enrollment(t *testing.T) {
	a := start(t)
	const food, own = "disliked_food", "Which street did I live in?"
	for _, test := range []struct {
		name, key, question, answer, want string
	}{
		{"of the list", food, "", "Okta", ""},
		{"of the list, with a question beside", food, "Atko", "Okta", ""},
		{"an own one", "custom", own, "Okta", ""},
		{"an own one, and the key of another left in its select", "favorite", own, "Okta", ""},
		{"no key", "", "", "Okta", "questionKey model.validation.field.blank"},
		{"an unknown key", "favorite", "", "Okta", "questionKey model.validation.field.blank"},
		{"an own one left out", "custom", " ", "Okta", "question model.validation.field.blank"},
		{"a tag", "custom", "<b>who</b>", "Okta", "question tagsNotAllowed"},
		{"too long a question", "custom", strings.Repeat("a", 201), "Okta", "question registration.error.doesNotMatchPattern"},
		{"no answer", food, "", " ", "answer model.validation.field.blank"},
		{"three characters", food, "", "abc", "answer securityQuestion.answer.tooShort.arg"},
		{"three characters and spaces", food, "", "  abc   ", "answer securityQuestion.answer.tooShort.arg"},
		{"too long an answer", food, "", strings.Repeat("a", 201), "answer registration.error.doesNotMatchPattern"},
		{"a tag in the answer", food, "", "<i>Okta</i>", "answer tagsNotAllowed"},
		{"a word of the question", food, "", "Child", "answer securityQuestion.answer.inQuestion"},
		{"a word of an own one", "custom", own, "STREET", "answer securityQuestion.answer.inQuestion"},
		{"both", "custom", "", "a", "question model.validation.field.blank, answer securityQuestion.answer.tooShort.arg"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := enroll(t, a, authenticator.Input{"questionKey": test.key, "question": test.question, "answer": test.answer})
			if got := rejections(err); got != test.want || (err == nil) != (test.want == "") {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestIDX_A41_Verification(t *testing.T) {
	a := start(t)
	s, err := enroll(t, a, authenticator.Input{"questionKey": "custom", "question": "Wer  war's?", "answer": "  Mary  Straße "})
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.BeginVerify(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Public["enrolledQuestion"].(map[string]any); got["questionKey"] != "custom" || got["question"] != "Wer  war's?" {
		t.Errorf("the question is %v", got)
	}
	for typed, want := range map[string]bool{
		"Mary  Straße": true, "mary strasse": true, " MARY   STRASSE ": true, "Mary": false, "Mary Strase": false, strings.Repeat("x", 5000): false,
	} {
		shown, err := a.FinishVerify(t.Context(), s, p, authenticator.Input{"questionKey": "custom", "answer": typed})
		if (err == nil) != want || !want && !errors.Is(err, authenticator.ErrWrong) || want && shown.Credential.ID != "qae1" {
			t.Errorf("%.20q: %v", typed, err)
		}
	}
	if _, err := a.FinishVerify(t.Context(), s, p, authenticator.Input{"questionKey": "disliked_food", "answer": "Mary Straße"}); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("the answer to another question: %v", err)
	}
	if _, err := a.FinishVerify(t.Context(), s, p, authenticator.Input{"answer": " "}); !errors.Is(err, authenticator.ErrEmpty) {
		t.Errorf("no answer: %v", err)
	}
	if _, err := a.FinishVerify(t.Context(), authenticator.Subject{}, p, authenticator.Input{"answer": "Mary Straße"}); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("of nobody: %v", err)
	}
	if strings.Contains(string(s.Enrolled[0].Data), "Mary") || strings.Contains(string(s.Enrolled[0].Data), "mary") {
		t.Error("the answer is kept as it is")
	}
}
