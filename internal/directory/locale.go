package directory

import (
	"errors"
	"regexp"
	"strings"
)

// MaxLocale is the most characters of a language (RFC 5646 §4.4.1).
const MaxLocale = 35

// ErrLocale is a text that names no language.
var ErrLocale = errors.New("directory: not a language such as en or pt-BR")

// localeShape is that of a BCP 47 tag.
var localeShape = regexp.MustCompile(`^[A-Za-z]{2,8}(-[0-9A-Za-z]{1,8})*$`)

// ParseLocale reads the language of a person as a BCP 47 tag. It takes the
// underscores of POSIX, which other directories write, and returns hyphens: that is
// what the claim of a token may hold (OIDC Core §5.1). The error is ErrLocale.
func ParseLocale(s string) (string, error) {
	s = strings.ReplaceAll(strings.TrimSpace(s), "_", "-")
	if len(s) > MaxLocale || !localeShape.MatchString(s) {
		return "", ErrLocale
	}
	return s, nil
}
