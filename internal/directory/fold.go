package directory

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Fold is s as searches compare it, without the difference of case: two letters
// that are one by Unicode's simple case folding become the same one. It goes
// letter by letter, so that what s begins with folds to what Fold(s) begins with.
// It is for finding people, never for telling whether two are one (SEC S-36).
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		r = unicode.ToLower(r) // the Turkish İ has no other way to i
		least := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		return unicode.ToLower(least)
	}, norm.NFC.String(s))
}
