package directory_test

import (
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/directory"
)

func TestFold(t *testing.T) {
	for _, same := range [][]string{
		{"ada", "Ada", "ADA"},
		{"łukasz", "Łukasz", "ŁUKASZ"},
		{"γιώργος", "Γιώργος", "ΓΙΏΡΓΟΣ", "ΓΙΏΡΓΟς"},
		{"соловьёва", "Соловьёва", "СОЛОВЬЁВА"},
		{"ibrahim", "İbrahim", "IBRAHIM"},
		{"straße", "STRAẞE"},
		{"kim", "\u212Aim"},
		{"jos\u00e9", "JOSE\u0301"},
		{"山田"},
		{""},
	} {
		for _, s := range same {
			if got := directory.Fold(s); got != directory.Fold(same[0]) {
				t.Errorf("Fold(%q) = %q, Fold(%q) = %q", s, got, same[0], directory.Fold(same[0]))
			}
			if got := directory.Fold(directory.Fold(s)); got != directory.Fold(s) {
				t.Errorf("Fold(Fold(%q)) = %q, Fold gives %q", s, got, directory.Fold(s))
			}
		}
	}
	if directory.Fold("José") == directory.Fold("Jose") {
		t.Error("an accent is lost")
	}
}

func FuzzFoldKeepsPrefixes(f *testing.F) {
	f.Add("Ada", "LOVELACE")
	f.Fuzz(func(t *testing.T, a, b string) {
		// The space keeps an accent at the start of b from changing a's last letter.
		if whole := directory.Fold(a + " " + b); !strings.HasPrefix(whole, directory.Fold(a)) {
			t.Errorf("Fold(%q) = %q does not begin %q", a, directory.Fold(a), whole)
		}
	})
}
