package directory

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxName is the most characters of a person's first or last name (IDX §3.1).
const MaxName = 50

// A NameFault says what is wrong with a name.
type NameFault string

// The faults.
const (
	NameEmpty     NameFault = "nothing was given"
	NameTooLong   NameFault = "too long"
	NameCharacter NameFault = "control character or change of direction"
)

// A NameError is what ParseName returns. It holds nothing of the name.
type NameError struct{ Fault NameFault }

func (e *NameError) Error() string { return "directory: name: " + string(e.Fault) }

// ParseName reads a person's name: in any script, as typed, without the white
// space around it, in NFC, of at most max code points. It refuses what changes
// how the text around it is shown: control characters, line separators and
// overrides of direction (decision D40). The error is a *NameError.
func ParseName(s string, max int) (string, error) {
	if showsNothing(s) {
		return "", &NameError{NameEmpty}
	}
	if len(s) > 16*max+1024 { // before the work of normalising; no name of max code points comes near
		return "", &NameError{NameTooLong}
	}
	if !utf8.ValidString(s) {
		return "", &NameError{NameCharacter}
	}
	s = norm.NFC.String(strings.TrimFunc(s, unicode.IsSpace))
	for _, r := range s {
		if unicode.IsControl(r) || redirects(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) {
			return "", &NameError{NameCharacter}
		}
	}
	if utf8.RuneCountInString(s) > max {
		return "", &NameError{NameTooLong}
	}
	return s, nil
}

// showsNothing is Blank, and all invisible characters as well.
func showsNothing(s string) bool {
	for _, r := range s {
		if !unicode.IsSpace(r) && !invisible(r) {
			return false
		}
	}
	return true
}

// redirects reports whether r embeds, overrides or isolates a direction (UAX 9
// §2), so that what is read differs from what is stored.
func redirects(r rune) bool {
	return 0x202A <= r && r <= 0x202E || 0x2066 <= r && r <= 0x2069
}

// invisible reports whether r takes no room of its own: controls, formats and
// the fillers that Unicode says to ignore. U+2800 is Braille's blank.
func invisible(r rune) bool {
	return unicode.IsControl(r) || r == 0x2800 ||
		unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
			unicode.Noncharacter_Code_Point)
}

// joiner reports whether r is ZWNJ or ZWJ, which some scripts need.
func joiner(r rune) bool { return r == 0x200C || r == 0x200D }
