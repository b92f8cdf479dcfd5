package signin

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stile-id/stile/idx"
)

// Limits of what a form takes, in characters; the engine's own may be narrower.
const (
	maxName    = 50
	maxAddress = 254 // RFC 5321 §4.5.3.1.3, without the angle brackets
)

// lettered are the authenticators whose codes have letters: a run of digits in one
// is not the code.
var lettered = map[string]bool{"recovery_code": true, "tac": true}

// typedCode is what a person typed as the code that a step asks for.
func typedCode(step *idx.NextStep, s string) string {
	if step.Authenticator != nil && lettered[step.Authenticator.Key] {
		return s // which separators count is the engine's to say
	}
	return normalCode(s)
}

// normalCode gives the one-time code in what a person typed or pasted: digits of
// any script, with spaces, dashes, line ends or words around them (UX P3.3). What
// holds no run of six to ten digits comes back without its blanks, for an engine
// whose codes have letters.
func normalCode(s string) string {
	var run strings.Builder
	for _, r := range s + "\x00" {
		switch d, ok := digit(r); {
		case ok:
			run.WriteByte('0' + d)
		case separates(r):
		default:
			if n := run.Len(); n >= 6 && n <= 10 {
				return run.String()
			}
			run.Reset()
		}
	}
	return strings.Map(func(r rune) rune {
		if separates(r) {
			return -1
		}
		return r
	}, s)
}

// digit gives the value of a decimal digit. Every range of Nd begins with a zero
// and holds whole sets of ten (Unicode §4.6).
func digit(r rune) (byte, bool) {
	for _, t := range unicode.Nd.R16 {
		if uint32(t.Lo) <= uint32(r) && uint32(r) <= uint32(t.Hi) {
			return byte((uint32(r) - uint32(t.Lo)) % 10), true
		}
	}
	for _, t := range unicode.Nd.R32 {
		if t.Lo <= uint32(r) && uint32(r) <= t.Hi {
			return byte((uint32(r) - t.Lo) % 10), true
		}
	}
	return 0, false
}

func separates(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Cf) || r == '\u2212'
}

// normalAddress drops blanks around an address and the case of its domain (UX P1.3).
func normalAddress(s string) string {
	s = trim(s)
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		return s[:at] + strings.ToLower(s[at:])
	}
	return s
}

func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff'
	})
}

// addressFault names what is wrong with a normalised address by a key of the
// catalogue, "" if nothing is (UX P2.5, decision D40). Whether the domain exists
// is the engine's to say.
func addressFault(s string) string {
	local, domain, found := cutLast(s, "@")
	switch {
	case s == "":
		return "error.email.blank"
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || overridesDirection(r) }):
		return "error.email.space"
	case !found:
		return "error.email.at"
	case strings.Contains(local, "@") && !strings.HasPrefix(local, `"`):
		return "error.email.twice"
	case local == "":
		return "error.email.local"
	case domain == "":
		return "error.email.domain"
	case strings.Contains(domain, "..") || strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, "."):
		return "error.email.dots"
	case utf8.RuneCountInString(s) > maxAddress:
		return "error.email.long"
	}
	return ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// nameFault names what is wrong with a trimmed name. Any script and any length up
// to limit goes; what would not print, or would turn the text around it, does not
// (UX P2.4, decision D40).
func nameFault(s string, required bool, limit int) string {
	switch {
	case s == "" && required:
		return "blank"
	case utf8.RuneCountInString(s) > limit:
		return "long"
	case !utf8.ValidString(s), strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || overridesDirection(r) }):
		return "unprintable"
	}
	return ""
}

// overridesDirection holds for the embeddings, overrides and isolates of UAX #9
// and not for the marks, which change nothing by themselves.
func overridesDirection(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// localPath reports whether s may be redirected to: a path of this origin, with
// or without a query (SEC S-72). Browsers drop control characters and read a
// backslash as a slash, so both are refused before anything is parsed.
func localPath(s string) bool {
	if len(s) == 0 || len(s) > 1024 || s[0] != '/' || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r <= ' ' || r == '\\' || r == '@' || unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) {
			return false
		}
	}
	path, _, _ := strings.Cut(s, "?")
	path, _, _ = strings.Cut(path, "#")
	return !strings.Contains(path, "//")
}

// clip shortens s to n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}
