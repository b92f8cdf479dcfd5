package idxapi

import (
	"testing"

	"github.com/stile-id/stile/internal/flow"
)

// Every state of a link has a page with its words, and all words are on a page.
func TestWordsOfLinkPages(t *testing.T) {
	used := map[string]bool{}
	for _, state := range []flow.LinkState{flow.LinkGood, flow.LinkExpired, flow.LinkUsed, flow.LinkStale, flow.LinkInvalid} {
		if linkPages[state].name == "" || linkPages[state].status == 0 {
			t.Errorf("state %s has no page", state)
		}
		used[linkPages[state].name] = true
	}
	used["ticket-expired"], used["busy"] = true, true
	for key := range used {
		for _, part := range []string{".title", ".text"} {
			if catalogue[key+part] == "" {
				t.Errorf("%s%s is missing", key, part)
			}
		}
	}
	if len(catalogue) != 2*len(used) {
		t.Errorf("%d texts for %d pages", len(catalogue), len(used))
	}
}
