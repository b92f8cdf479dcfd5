// Package question proves that someone knows the answer to a question that they chose.
package question

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/stile-id/stile/internal/argon2id"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/pool"
	"github.com/stile-id/stile/internal/problem"
)

// Key is the authenticator's key on the wire.
const Key = "security_question"

const (
	method = authenticator.Method("security_question")

	minAnswer   = 4 // characters (AUTH §5)
	maxAnswer   = 200
	maxQuestion = 200
)

// Config is what an Authenticator is made of.
type Config struct {
	Pool     *pool.Pool      // required; where hashes are made (SEC S-47)
	Argon2id argon2id.Params // default argon2id.Default(); never less
}

// An Authenticator keeps and checks answers. It is safe for concurrent use.
type Authenticator struct {
	pool   *pool.Pool
	params argon2id.Params
}

var _ authenticator.Authenticator = (*Authenticator)(nil)

// New checks the configuration.
func New(c Config) (*Authenticator, error) {
	if c.Pool == nil {
		return nil, errors.New("question: a pool is required")
	}
	if c.Argon2id == (argon2id.Params{}) {
		c.Argon2id = argon2id.Default()
	}
	return &Authenticator{pool: c.Pool, params: c.Argon2id}, c.Argon2id.Validate()
}

// Info names it as the wire does. It is asked only of whom something else has
// shown: the question tells of its owner.
func (a *Authenticator) Info() authenticator.Info {
	return authenticator.Info{
		Key: Key, Type: "security_question", ID: "aut1question0000000", Name: "Security Question", Methods: []authenticator.Method{method},
		EnrollmentPrefix: "qae", AMR: "kba", Class: policy.Knowledge, AfterProof: true,
		Wrong: message("authfactor.challenge.question_factor.answer_invalid", "Your answer doesn't match our records. Please try again.", "answer"),
	}
}

// credential is what an enrollment keeps.
type credential struct {
	Key      string `json:"key"`
	Question string `json:"question"`
	Hash     string `json:"hash"` // PHC string of the folded answer
}

// BeginEnroll offers the questions, and to write one.
func (a *Authenticator) BeginEnroll(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	answer := authenticator.Field{Name: "answer", Label: "Answer", Required: true, Secret: true}
	keys, list := []any{custom}, []any{}
	for _, q := range questions {
		keys = append(keys, q.Value)
		list = append(list, map[string]any{"questionKey": q.Value, "question": q.Label})
	}
	const choose, write = "Choose a security question", "Create my own security question"
	return authenticator.Prompt{
		Method: method,
		Either: []authenticator.Alternative{
			{Label: choose, Fields: []authenticator.Field{{Name: "questionKey", Label: choose, Required: true, Choices: questions}, answer}},
			{Label: write, Fields: []authenticator.Field{
				{Name: "questionKey", Required: true, Value: custom, Fixed: true},
				{Name: "question", Label: "Create a security question", Required: true}, answer,
			}},
		},
		Public: map[string]any{"questionKeys": keys, "questions": list},
	}, nil
}

// FinishEnroll keeps a question and the hash of its answer, else it returns an
// *authenticator.Rejected.
func (a *Authenticator) FinishEnroll(ctx context.Context, _ authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	c, bad := read(in)
	if len(bad) > 0 {
		return authenticator.Credential{}, &authenticator.Rejected{Messages: bad}
	}
	if err := a.pool.Do(ctx, func() { c.Hash = argon2id.New(fold(in["answer"]), a.params).String() }); err != nil {
		return authenticator.Credential{}, err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return authenticator.Credential{}, fmt.Errorf("question: encode credential: %w", err)
	}
	return authenticator.Credential{Data: data, Profile: map[string]string{"questionKey": c.Key, "question": c.Question}}, nil
}

// read takes question and answer from what was typed, and says what is wrong with them.
func read(in authenticator.Input) (c credential, bad []problem.Message) {
	own, answer := strings.TrimSpace(norm.NFC.String(in["question"])), strings.TrimSpace(in["answer"])
	var known bool
	c.Key = in["questionKey"]
	c.Question, known = textOf(c.Key)
	switch {
	case known: // clients send an empty question beside the key
	case c.Key != custom && own == "":
		bad = append(bad, message("model.validation.field.blank", "This field cannot be left blank", "questionKey"))
	case own == "":
		bad = append(bad, message("model.validation.field.blank", "This field cannot be left blank", "question"))
	case strings.ContainsAny(own, "<>"):
		bad = append(bad, message("tagsNotAllowed", "The field must not contain HTML tags", "question"))
	case utf8.RuneCountInString(own) > maxQuestion || strings.ContainsFunc(own, unicode.IsControl):
		bad = append(bad, message("registration.error.doesNotMatchPattern", fmt.Sprintf("The question must be at most %d characters in length", maxQuestion), "question"))
	default:
		c.Key, c.Question = custom, own
	}
	folded := fold(answer)
	switch n := utf8.RuneCountInString(folded); {
	case directory.Blank(answer):
		bad = append(bad, message("model.validation.field.blank", "This field cannot be left blank", "answer"))
	case n < minAnswer:
		m := message("securityQuestion.answer.tooShort.arg", fmt.Sprintf("The security question answer must be at least %d characters in length", minAnswer), "answer")
		m.Params = []string{fmt.Sprint(minAnswer)}
		bad = append(bad, m)
	case n > maxAnswer || len(answer) > 4*maxAnswer:
		bad = append(bad, message("registration.error.doesNotMatchPattern", fmt.Sprintf("The security question answer must be at most %d characters in length", maxAnswer), "answer"))
	case strings.ContainsAny(answer, "<>"):
		bad = append(bad, message("tagsNotAllowed", "The field must not contain HTML tags", "answer"))
	case strings.Contains(fold(c.Question), folded):
		bad = append(bad, message("securityQuestion.answer.inQuestion", "The security question answer must not be part of the question", "answer"))
	}
	return c, bad
}

// fold makes alike what people take for the same answer.
func fold(answer string) string {
	return cases.Fold().String(norm.NFKC.String(strings.Join(strings.Fields(answer), " ")))
}

// BeginVerify asks the question of the enrollment.
func (a *Authenticator) BeginVerify(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	c, err := decode(s.First())
	if err != nil {
		return authenticator.Prompt{}, err
	}
	return authenticator.Prompt{
		Method: method,
		Fields: []authenticator.Field{
			{Name: "questionKey", Label: c.Question, Required: true, Value: c.Key, Hidden: true, Fixed: true},
			{Name: "answer", Label: "Answer", Required: true, Secret: true},
		},
		Public: map[string]any{"enrolledQuestion": map[string]any{"questionKey": c.Key, "question": c.Question}},
	}, nil
}

// FinishVerify compares with the folded answer. Without a credential it does the
// same work and finds every answer wrong (SEC S-42).
func (a *Authenticator) FinishVerify(ctx context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	have, answer := s.First(), in["answer"]
	switch {
	case directory.Blank(answer):
		return authenticator.Proof{}, authenticator.ErrEmpty
	case len(answer) > 4*maxAnswer:
		return authenticator.Proof{}, authenticator.ErrWrong
	}
	if len(have.Data) == 0 || s.Purpose == authenticator.SignInUnknown {
		if err := a.pool.Do(ctx, func() { argon2id.New(fold(answer), a.params) }); err != nil {
			return authenticator.Proof{}, err
		}
		return authenticator.Proof{}, authenticator.ErrWrong
	}
	c, err := decode(have)
	if err != nil {
		return authenticator.Proof{}, err
	}
	hash, err := argon2id.Parse(c.Hash)
	if err != nil {
		return authenticator.Proof{}, err
	}
	var right bool
	if err := a.pool.Do(ctx, func() { right = hash.Matches(fold(answer)) }); err != nil {
		return authenticator.Proof{}, err
	}
	if key := in["questionKey"]; !right || key != "" && key != c.Key {
		return authenticator.Proof{}, authenticator.ErrWrong
	}
	return authenticator.Proof{Credential: have}, nil
}

func decode(have authenticator.Credential) (c credential, err error) {
	if len(have.Data) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(have.Data, &c); err != nil {
		return c, fmt.Errorf("question: decode credential: %w", err)
	}
	return c, nil
}

func message(key, text, field string) problem.Message {
	return problem.Message{Key: key, Text: text, Field: field, Class: problem.ClassError}
}
