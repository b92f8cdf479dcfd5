package phone

import (
	"testing"

	"pgregory.net/rapid"
)

func TestSEC_S53_Numbers(t *testing.T) {
	for _, x := range []struct {
		countries []string
		typed     string
		want      string // empty: refused
	}{
		{nil, "+12025550100", "+12025550100"},
		{nil, "202-555-0100", "+12025550100"}, // of the first country
		{nil, " (202) 555 0100 ", "+12025550100"},
		{nil, "+1 1 202 555 0100", "+12025550100"}, // what a page makes of a country and a number with its prefix
		{nil, "+49 0171 1234567", "+491711234567"},
		{nil, "+49 (0) 171 / 12 34 567", "+491711234567"},
		{nil, "٠٠", ""},
		{nil, "+٤٩١٧١١٢٣٤٥٦٧", "+491711234567"},    // digits of another script
		{nil, "+39 06 1234 5678", "+390612345678"}, // a zero that stays
		{nil, "+7 702 123 4567", "+77021234567"},   // Kazakhstan has Russia's code
		{[]string{"de"}, "0171 1234567", "+491711234567"},
		{[]string{"DE", "AT"}, "+43 664 1234567", "+436641234567"},
		{[]string{"DE"}, "0043 664 1234567", ""},
		{[]string{"DE"}, "+43 664 1234567", ""}, // another country
		{[]string{"RU"}, "+7 702 123 4567", ""}, // the same code, another country
		{[]string{"US"}, "+1 242 225 5200", ""}, // Bahamas, with the code of the US
		{[]string{"US"}, "+1 876 210 1234", ""}, // Jamaica, of old the target of toll fraud
		{nil, "+1 900 555 1234", ""},            // premium
		{nil, "+49 900 1234567", ""},            // premium
		{nil, "+49 1801 123456", ""},            // shared cost
		{nil, "+44 70 1234 5678", ""},           // personal numbers, forwarded at a price
		{nil, "+800 1234 5678", ""},             // no country
		{nil, "+882 13300655", ""},              // networks of no country
		{nil, "+870 773 111 632", ""},           // satellites
		{nil, "+1 800 356 9377", ""},            // toll free
		{nil, "+12025550100 ext 4", ""},         // somebody else picks up
		{nil, "+1 555 555 0100", ""},            // nobody's
		{nil, "911", ""}, {nil, "110", ""},      // emergency
		{nil, "incorrectnumber", ""}, {nil, "", ""}, {nil, "+", ""}, {nil, "+1", ""}, {nil, "12", ""},
		{nil, "+49171123456789012345", ""},
		{nil, "tel:+12025550100;phone-context=+999", ""},
		{nil, "+12025550100\n+12025550101", ""},
		{nil, "+1202555010012025550100120255501001202555010012025550100120255501001", ""},
	} {
		all, err := countries(x.countries, home)
		if err != nil {
			t.Fatal(err)
		}
		got, err := (&Authenticator{countries: all}).parse(x.typed)
		if got != x.want || (err == nil) != (x.want != "") {
			t.Errorf("%v, %q: %q, %v; want %q", x.countries, x.typed, got, err, x.want)
		}
	}
}

// Whatever is typed, what comes out is an international number of a country that is
// allowed, and comes out again as it is.
func TestNumbersAreStable(t *testing.T) {
	all, err := countries([]string{"DE", "US", "IT"}, home)
	if err != nil {
		t.Fatal(err)
	}
	a := &Authenticator{countries: all}
	rapid.Check(t, func(t *rapid.T) {
		got, err := a.parse(rapid.StringMatching(`(\+|00)?(1|49|39)?[ 0-9()-]{0,16}`).Draw(t, "typed"))
		if err != nil {
			return
		}
		if again, err := a.parse(got); again != got || err != nil || got[0] != '+' {
			t.Errorf("%q becomes %q, %v", got, again, err)
		}
	})
}

func TestIDX_A16_Mask(t *testing.T) {
	for number, want := range map[string]string{
		"+12025550100": "+1 XXX-XXX-0100", "+491711234567": "+49 XXX-XXX-4567", "": "XXX-XXX-XXXX", "+290": "XXX-XXX-XXXX",
		"+29051234": "XXX-XXX-XXXX", // of five digits four would be most
	} {
		if got := Mask(number); got != want {
			t.Errorf("%q is shown as %q, not %q", number, got, want)
		}
	}
}

func TestCountries(t *testing.T) {
	for _, bad := range []string{"D", "DEU", "49", "XX", "001"} {
		if err := CheckCountries([]string{"DE", bad}); err == nil {
			t.Errorf("%q is a country", bad)
		}
	}
	all, err := countries(nil, home)
	if err != nil || len(all) < 200 || all[0] != home {
		t.Errorf("%d countries, the first %q: %v", len(all), all[0], err)
	}
}

// Several countries have one calling code; texts are counted for each of them.
func TestSEC_S53_CountryOfANumber(t *testing.T) {
	for number, want := range map[string]string{"+491711234567": "DE", "+12025550100": "US", "+16135550100": "CA", "+18765550100": "JM", "+1": "", "": ""} {
		if got := countryOf(number); got != want {
			t.Errorf("%s is of %q, want %q", number, got, want)
		}
	}
}

// A text cannot reach a line at a wall; a call can.
func TestTextable(t *testing.T) {
	for number, want := range map[string]bool{"+493012345678": false, "+491711234567": true, "+12025550100": true} {
		if textable(number) != want {
			t.Errorf("%s: %v", number, !want)
		}
	}
}
