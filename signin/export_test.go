package signin

import "testing"

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
