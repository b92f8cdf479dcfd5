package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const hooked = "telephony_hook: https://hook.example\ntelephony_hook_secret: hush\nphone_countries: [DE, NO]\n"

func TestSEC_S53_PhoneSettings(t *testing.T) {
	s, wrong := load(t, Serve{}, enough+hooked+"phone_texts_per_day: 50\nphone_methods: sms\n", nil)
	if wrong != "" || s.TelephonyHookSecret != "hush" || !slices.Equal(s.PhoneCountries, []string{"DE", "NO"}) ||
		s.TextsPerHour != 5 || s.TextsPerDay != 50 || s.TextsPerCountry != 25 || !slices.Equal(s.PhoneMethods, []string{"sms"}) {
		t.Errorf("%s: %+v", wrong, s)
	}
	if s, wrong := load(t, Serve{}, enough, nil); wrong != "" || s.TelephonyHook != "" || s.TextsPerDay != 1000 {
		t.Errorf("without: %s, %+v", wrong, s)
	}
	for yaml, want := range map[string]int{
		hooked: 500, strings.Replace(hooked, "[DE, NO]", "[DE]", 1): 1000, hooked + "phone_texts_per_country: 900\n": 900, hooked + "phone_texts_per_day: 1\n": 1,
	} {
		if s, wrong := load(t, Serve{}, enough+yaml, nil); wrong != "" || s.TextsPerCountry != want {
			t.Errorf("%s: %d texts to a country, want %d; %s", yaml, s.TextsPerCountry, want, wrong)
		}
	}
	for name, c := range map[string]struct{ yaml, want string }{
		"no countries":      {"telephony_hook: https://h.example\ntelephony_hook_secret: hush\n", "phone_countries: is needed"},
		"no secret":         {"telephony_hook: https://h.example\nphone_countries: DE\n", "telephony_hook: goes together with telephony_hook_secret"},
		"a secret alone":    {"telephony_gateway_secret: hush\n", "telephony_gateway_secret: goes together with telephony_gateway"},
		"another way":       {hooked + "phone_methods: [sms, fax]\n", `phone_methods: "fax" is neither sms nor voice`},
		"no number":         {hooked + "phone_texts_per_hour: many\n", `phone_texts_per_hour: "many" is not a number from 1 to 100`},
		"no limit":          {hooked + "phone_texts_per_day: 0\n", `phone_texts_per_day: "0" is not a number from 1 to 10000000`},
		"none to a country": {hooked + "phone_texts_per_country: 0\n", `phone_texts_per_country: "0" is not a number from 1 to 10000000`},
		"as many as wanted": {hooked + "phone_texts_per_hour: 101\n", `phone_texts_per_hour: "101" is not`},
	} {
		_, wrong := load(t, Serve{}, enough+c.yaml, nil)
		if !strings.Contains(wrong, c.want) || strings.Contains(wrong, "hush") {
			t.Errorf("%s: %q, want %q", name, wrong, c.want)
		}
	}
}

// The secrets stand in files of their own, or in one that nobody else can read.
func TestPhoneSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml := enough + "telephony_hook: https://h.example\nphone_countries: DE\n"
	s, wrong := load(t, Serve{}, yaml, map[string]string{"STILE_TELEPHONY_HOOK_SECRET_FILE": file})
	if wrong != "" || s.TelephonyHookSecret != "hush" {
		t.Errorf("%q %q", wrong, s.TelephonyHookSecret)
	}
	open := filepath.Join(t.TempDir(), "stile.yaml")
	if err := os.WriteFile(open, []byte(enough+hooked), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, f := (Serve{Config: open}).Load(nil); f.Err() == nil || !strings.Contains(f.Err().Error(), "others can read") {
		t.Errorf("a secret that all can read: %v", f.Err())
	}
}
