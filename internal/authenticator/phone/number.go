package phone

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// maxTyped is longer than any number, written in any way.
const maxTyped = 64

// errNumber is a text that is no number which a message may go to. Why not is not
// told: the list of countries is on the page, and a stranger's number is nobody's business.
var errNumber = errors.New("phone: not a number that messages go to")

// reachable are the types of numbers that a message to costs what the operator
// expects, and that one person has. All others are refused: premium rate, shared
// cost, personal numbers that forward at somebody's price, pagers, voicemail (SEC S-53).
var reachable = []phonenumbers.PhoneNumberType{
	phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.VOIP,
}

// parse reads a number as people write it, international or national of the first
// country, and returns it as E.164. Only numbers of the countries that messages go
// to are returned.
func (a *Authenticator) parse(typed string) (string, error) {
	if len(typed) > maxTyped {
		return "", errNumber
	}
	n, err := phonenumbers.Parse(strings.TrimSpace(typed), a.countries[0])
	if err != nil || n.GetExtension() != "" || !phonenumbers.IsValidNumber(n) {
		return "", errNumber
	}
	if !slices.Contains(reachable, phonenumbers.GetNumberType(n)) || !slices.Contains(a.countries, phonenumbers.GetRegionCodeForNumber(n)) {
		return "", errNumber
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}

// Textable reads a number as people write it, and returns it as E.164, with its
// country; ok is false for one that no text goes to.
func (a *Authenticator) Textable(typed string) (number, country string, ok bool) {
	number, err := a.parse(typed)
	return number, countryOf(number), err == nil && textable(number)
}

// countryOf is that of a number in E.164: several may have one calling code.
func countryOf(number string) string {
	n, err := phonenumbers.Parse(number, "")
	if err != nil {
		return ""
	}
	return phonenumbers.GetRegionCodeForNumber(n)
}

// textable reports whether a text can reach a number: a line at a wall has none.
func textable(number string) bool {
	n, err := phonenumbers.Parse(number, "")
	return err == nil && phonenumbers.GetNumberType(n) != phonenumbers.FIXED_LINE
}

// Mask is what is shown of a number: its country and its last four digits.
func Mask(number string) string {
	n, err := phonenumbers.Parse(number, "")
	national := phonenumbers.GetNationalSignificantNumber(n)
	if err != nil || len(national) < 7 { // so that not most of it is shown
		return "XXX-XXX-XXXX"
	}
	return "+" + strconv.Itoa(int(n.GetCountryCode())) + " XXX-XXX-" + national[len(national)-4:]
}

// countries checks regions of ISO 3166-1; none: all that have numbers.
func countries(in []string, first string) ([]string, error) {
	known := phonenumbers.GetSupportedRegions()
	var out []string
	for _, c := range in {
		said := c
		if c = strings.ToUpper(strings.TrimSpace(c)); !known[c] {
			return nil, errors.New("phone: " + strconv.Quote(said) + " is not a country with numbers of its own, by its two letters such as DE")
		}
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	for c := range known {
		if c != first {
			out = append(out, c)
		}
	}
	slices.Sort(out)
	return slices.Insert(out, 0, first), nil
}

// CheckCountries reports the first that is no country as Config has them.
func CheckCountries(list []string) error {
	_, err := countries(list, home)
	return err
}

// nameOf is a country's in English; pages know it in their own languages.
func nameOf(country string) string {
	r, err := language.ParseRegion(country)
	if err != nil {
		return country
	}
	return display.English.Regions().Name(r)
}

// callingCodes is what a page needs to ask for a number: the countries that may be
// chosen, their names and codes, the first country first.
func callingCodes(countries []string) []any {
	var out []any
	for _, c := range countries {
		out = append(out, map[string]any{
			"country": c, "name": nameOf(c), "callingCode": strconv.Itoa(phonenumbers.GetCountryCodeForRegion(c)),
		})
	}
	return out
}
