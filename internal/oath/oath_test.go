package oath

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var rfc = Secret("12345678901234567890")

// RFC 4226 appendix D.
func TestHOTPVectors(t *testing.T) {
	for i, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := rfc.Code(int64(i)); got != want {
			t.Errorf("count %d: %s, want %s", i, got, want)
		}
	}
}

// RFC 6238 appendix B, the last six digits of its eight.
func TestTOTPVectors(t *testing.T) {
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := rfc.Code(StepOf(time.Unix(at, 0))); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		typed       string
		first, last int64
		want        int64
		ok          bool
	}{
		{"755224", 0, 9, 0, true},
		{" 755 224\n", 0, 9, 0, true},
		{"755-224", -5, 9, 0, true},
		{"520489", 0, 9, 9, true},
		{"520489", 0, 8, 0, false},
		{"755224", 1, 9, 0, false},
		{"75522", 0, 9, 0, false},
		{"7552244", 0, 9, 0, false},
		{"", 0, 9, 0, false},
	} {
		if got, ok := rfc.Match(test.typed, test.first, test.last); got != test.want || ok != test.ok {
			t.Errorf("%q in [%d, %d]: %d, %t", test.typed, test.first, test.last, got, ok)
		}
	}
}

func TestSEC_S52_SecretsAreOf160BitsAndReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSecret()
		typed := s.String()
		if len(s) != 20 || len(typed) != 32 {
			t.Fatalf("%d bytes, %d characters", len(s), len(typed))
		}
		if rapid.Bool().Draw(t, "as people type it") {
			typed = strings.ToLower(typed[:4]) + " " + typed[4:20] + "-" + typed[20:] + "=="
		}
		if got, err := ParseSecret(typed); err != nil || string(got) != string(s) {
			t.Fatalf("%q: %v", typed, err)
		}
	})
	for _, bad := range []string{"", "AAAA", "1", strings.Repeat("A", 200), "secret!"} {
		if _, err := ParseSecret(bad); err == nil {
			t.Errorf("%q is taken for a secret", bad)
		}
	}
}

func TestURI(t *testing.T) {
	for _, test := range [][3]string{
		{"Acme", "ada@example.com", "otpauth://totp/Acme:ada@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme"},
		{"Ä & Co", "a+b@example.com", "otpauth://totp/%C3%84%20&%20Co:a+b@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=%C3%84%20&%20Co"},
	} {
		got := rfc.URI(test[0], test[1])
		u, err := url.Parse(got)
		if err != nil || u.Query().Get("secret") != rfc.String() {
			t.Errorf("%s: %v", got, err)
		}
		if test[0] == "Acme" && got != test[2] {
			t.Errorf("%s, want %s", got, test[2])
		}
		if u.Query().Get("issuer") != test[0] {
			t.Errorf("%s: issuer %q", got, u.Query().Get("issuer"))
		}
	}
}
