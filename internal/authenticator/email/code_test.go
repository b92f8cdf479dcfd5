package email

import (
	"math"
	"testing"
	"testing/cryptotest"
	"unicode"
)

func TestUX_P3_3_ReadCode(t *testing.T) {
	const want = "123456"
	right := []string{
		"123456", " 123456 ", "123456\r\n", "123 456", "1 2 3 4 5 6", "123-456", "12-34-56", "123\u2013456", "123\u00a0456",
		"123\u2009456", "123\u200b456", "Code: 123456", "code:123456.", "123456 is your Acme code", "Your code is 123-456!",
		"１２３４５６", "١٢٣٤٥٦", "۱۲۳۴۵۶", "१२३४५६", "১২৩৪৫৬", "๑๒๓๔๕๖", "𝟏𝟐𝟑𝟒𝟓𝟔", "𝟷𝟸𝟹𝟺𝟻𝟼", "\u200f١٢٣ ٤٥٦", "(123)456", "「123456」",
		"123456 is your Studio 54 code", "Acme 2: 123456", "123456 (10 minutes)",
	}
	for _, s := range right {
		if got := readCode(s, 6); got != want {
			t.Errorf("readCode(%q) = %q, want %q", s, got, want)
		}
	}
	for _, s := range []string{"", "code", "12345", "1234567", "123456 654321", "1234567 12", "½³", "①②③④⑤⑥"} {
		if got := readCode(s, 6); got != "" {
			t.Errorf("readCode(%q) = %q, want none", s, got)
		}
	}
}

func TestDigitOfEveryScript(t *testing.T) {
	scripts := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		d, ok := digit(r)
		if ok != unicode.Is(unicode.Nd, r) {
			t.Fatalf("digit(%U): %t", r, ok)
		}
		if ok && d == 0 {
			scripts++
			for i := range rune(10) {
				if d, ok := digit(r + i); !ok || d != byte(i) {
					t.Errorf("digit(%U) = %d, %t, want %d", r+i, d, ok, i)
				}
			}
		}
	}
	if scripts < 60 {
		t.Errorf("%d sets of digits, want those of Unicode", scripts)
	}
}

// Each digit is as likely as the next at each place. The source is fixed, so that
// chance fails nobody; what is tested is the way from bytes to digits.
func TestSEC_S01_ChiSquare(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	codes := 1_000_000
	if testing.Short() {
		codes = 100_000
	}
	var count [6][10]int
	for range codes {
		code, err := newCode(6)
		if err != nil {
			t.Fatal(err)
		}
		for place := range count {
			count[place][code[place]-'0']++
		}
	}
	const critical = 27.877 // chi-square, 9 degrees of freedom, p = 0.001
	for place, digits := range count {
		expected, sum := float64(codes)/10, 0.0
		for _, n := range digits {
			sum += math.Pow(float64(n)-expected, 2) / expected
		}
		if sum > critical {
			t.Errorf("place %d: chi-square %.1f over %.1f, counts %v", place, sum, critical, digits)
		}
	}
}

func TestNewCodeKeepsLeadingZeros(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 2)
	zeros := 0
	for n := minDigits; n <= maxDigits; n++ {
		for range 1000 {
			code, err := newCode(n)
			if err != nil || len(code) != n || readCode(code, n) != code {
				t.Fatalf("newCode(%d) = %q, %v", n, code, err)
			}
			if code[0] == '0' {
				zeros++
			}
		}
	}
	if zeros == 0 {
		t.Error("no code begins with 0")
	}
}
