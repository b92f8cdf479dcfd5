package password

import (
	_ "embed"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stile-id/stile/internal/authenticator"
)

// commonList holds the commonly used passwords of at least eight characters in
// lower case, one a line, sorted by their bytes. They come from the list of
// @zxcvbn-ts/language-common (MIT, see NOTICE); scripts/common-passwords.sh makes
// the file again.
//
//go:embed common.txt
var commonList string

// isCommon reports whether the list has the password, whatever its case (SEC S-48).
func isCommon(password string) bool {
	want := fold(password)
	if want == "" || strings.ContainsRune(want, '\n') {
		return false
	}
	lo, hi := 0, len(commonList) // both begin a line
	for lo < hi {
		mid := (lo + hi) / 2
		start := lo + strings.LastIndexByte(commonList[lo:mid], '\n') + 1
		end := start + strings.IndexByte(commonList[start:], '\n')
		switch strings.Compare(want, commonList[start:end]) {
		case 0:
			return true
		case -1:
			hi = start
		case 1:
			lo = end + 1
		}
	}
	return false
}

// madeOfWords reports whether a password is too short once the words that
// anybody would try for this person at this organisation are taken out of it.
func (a *Authenticator) madeOfWords(password string, s authenticator.Subject, minLength int) bool {
	own := []string{s.FirstName, s.LastName, s.Login, s.Address}
	words := append(foldWords(own), a.words...)
	slices.SortFunc(words, func(x, y string) int { return len(y) - len(x) })
	rest := fold(password)
	for _, w := range words {
		rest = strings.ReplaceAll(rest, w, "")
	}
	return rest != fold(password) && utf8.RuneCountInString(rest) < minLength
}

// foldWords returns each text and its parts, those of at least four letters.
func foldWords(texts []string) []string {
	var out []string
	for _, t := range texts {
		t = fold(strings.TrimSpace(t))
		if utf8.RuneCountInString(t) >= minLoginPart {
			out = append(out, t)
		}
		out = append(out, parts(t, minLoginPart)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
