package signin

import (
	"testing"

	"github.com/stile-id/stile/idx"
)

func asking(countries ...any) *idx.NextStep {
	return &idx.NextStep{Authenticator: &idx.Authenticator{Context: map[string]any{"countries": countries}}}
}

func country(code, calling string) any {
	return map[string]any{"country": code, "name": code, "callingCode": calling}
}

func TestUX_P5_CountryOfTheBrowser(t *testing.T) {
	codes := callingCodes(asking(country("US", "1"), country("DE", "49"), country("AT", "43"), country("CO", "57"), "no country", nil))
	for languages, want := range map[string]string{
		"": "US", "de": "US", "de-DE,de;q=0.9": "DE", "de-AT": "AT", "DE-at": "AT", "fr-FR, de-Latn-AT;q=0.5": "AT", "en-GB,en-US;q=0.8": "US",
		"de-u-co-phonebk": "US", "*": "US", "-,--;": "US", "en-x-de": "US",
	} {
		if got := countryOf(languages, codes); got != want {
			t.Errorf("%q: %s, not %s", languages, got, want)
		}
	}
}

func TestUX_P5_NumberOfTheCountry(t *testing.T) {
	two := asking(country("US", "1"), country("DE", "49"))
	for _, x := range []struct {
		typed, country string
		step           *idx.NextStep
		want           string
	}{
		{" 0171 123 ", "DE", two, "+49 0171 123"}, {"+43 664", "DE", two, "+43 664"}, {"0043 664", "DE", two, "+43 664"},
		{"202 555", "", two, "202 555"}, {"202 555", "FR", two, "202 555"}, {"", "DE", two, ""},
		{"202 555", "", asking(country("US", "1")), "+1 202 555"}, {"202 555", "DE", &idx.NextStep{}, "202 555"},
	} {
		if got := wholeNumber(x.typed, x.country, x.step); got != x.want {
			t.Errorf("%q of %q: %q, not %q", x.typed, x.country, got, x.want)
		}
	}
}
