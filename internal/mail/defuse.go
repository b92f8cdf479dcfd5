package mail

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPersonal is how much of a text from a person a mail shows, in characters (UX M0.5).
const maxPersonal = 50

// defuse makes text from a person safe to show: one line, at most 50 characters,
// no control or direction characters, and nothing that a mail program would turn
// into a link. Otherwise anybody could send their own message to a stranger by
// signing them up under it. Dots, colons and at signs inside a word get a space
// behind them: "J.R. Smith" stays readable, "evil.example/x" leads nowhere.
func defuse(s string) string {
	var out []rune
	for _, r := range plain(s) {
		if n := len(out); n > 0 && linking(out[n-1]) && r != ' ' {
			out = append(out, ' ')
		}
		out = append(out, r)
	}
	if len(out) > maxPersonal {
		out = append(out[:maxPersonal-1], '…')
	}
	return string(out)
}

// linking reports whether a mail program may take what stands on both sides of r
// for an address. The full stops beside the ASCII one are those that IDNA maps to it.
func linking(r rune) bool {
	switch r {
	case '.', ':', '@', '\u3002', '\uff0e', '\uff61', '\u2024', '\uff20', '\uff1a':
		return true
	}
	return false
}

// plain returns s as one line of text: runs of white space become one space, and
// what is invisible or changes the direction of text is left out.
func plain(s string) string {
	var out strings.Builder
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = out.Len() > 0
			continue
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r) && r != '\u200d' && r != '\u200c',
			unicode.Is(unicode.Co, r), unicode.Is(unicode.Cs, r):
			continue
		}
		if space {
			out.WriteByte(' ')
			space = false
		}
		out.WriteRune(r)
	}
	return out.String()
}

// headerSafe reports whether s may stand in a header (SEC S-115).
func headerSafe(s string) bool {
	return !strings.ContainsAny(s, "\r\n\x00") && utf8.ValidString(s)
}
