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
