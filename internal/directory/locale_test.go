package directory_test

import (
	"errors"
	"testing"

	"github.com/stile-id/stile/internal/directory"
)

func TestParseLocale(t *testing.T) {
	for in, want := range map[string]string{
		"en": "en", "pt-BR": "pt-BR", "pt_BR": "pt-BR", " de ": "de", "zh_Hant_TW": "zh-Hant-TW", "de-CH-1996": "de-CH-1996", "tlh": "tlh",
		"sl-rozaj-biske-1994-x-abcdefgh-ab12": "sl-rozaj-biske-1994-x-abcdefgh-ab12", // 35 characters
		"":                                    "", " ": "", "e": "", "-": "", "en-": "", "-en": "", "en--US": "", "12": "", "not a language": "", "en-abcdefghi": "",
		"pt.UTF8": "", "pt_BR.UTF-8": "", "dé": "", "<b>": "", "en\nde": "", "sl-rozaj-biske-1994-x-abcdefgh-ab123": "",
	} {
		got, err := directory.ParseLocale(in)
		if got != want || (want == "") != errors.Is(err, directory.ErrLocale) {
			t.Errorf("ParseLocale(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}
