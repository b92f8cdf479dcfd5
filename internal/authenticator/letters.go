package authenticator

import (
	"strings"
	"unicode"
)

// BareCode is a code with letters as it is compared, however it was typed or pasted:
// case, spaces, hyphens of any kind and marks that nobody sees do not count, and letters
// that look like digits are those digits (Crockford's base32).
func BareCode(typed string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.In(r, unicode.Pd, unicode.Cf):
			return -1
		case r == 'o':
			return '0'
		case r == 'i', r == 'l':
			return '1'
		}
		return r
	}, strings.ToLower(typed))
}
