package signin

import (
	"encoding/json"
	"testing"
)

// English gives the shipped catalogue.
func English(t testing.TB) map[string]string {
	t.Helper()
	all, err := loadWords(nil)
	if err != nil {
		t.Fatal(err)
	}
	return all[fallback].text
}

// MethodKinds are the kinds of the pages that one template shows.
var MethodKinds = methodSteps

// DoneWords are the changes that the profile has words for.
var DoneWords = doneWords

// Recalled is what is remembered of the steps of flows, as text.
func (p *Pages) Recalled(t testing.TB) []string {
	t.Helper()
	p.steps.mu.Lock()
	defer p.steps.mu.Unlock()
	out := []string{}
	for _, s := range p.steps.seen {
		text, err := json.Marshal(s.tx.NextStep)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	return out
}
