package email

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"unicode"
)

const (
	minDigits = 6 // the floor of 20 bits (NIST SP 800-63B-4 §3.1.3)
	maxDigits = 10
)

// newCode draws n decimal digits, each code as likely as the next: rand.Int
// draws again rather than reduce (SEC S-01).
func newCode(n int) (string, error) {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
	v, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return "", fmt.Errorf("email: draw code: %w", err)
	}
	return fmt.Sprintf("%0*d", n, v), nil
}

// readCode finds the n digits in what a person typed or pasted: whatever stands
// between, before and after them is dropped, and the digits of other scripts are
// digits too (UX P3.3). If there are more digits, as in a whole subject line, it
// is the one run of exactly n. Without a code it returns "".
func readCode(s string, n int) string {
	var all, run strings.Builder
	var runs []string
	end := func() {
		if run.Len() == n {
			runs = append(runs, run.String())
		}
		run.Reset()
	}
	for _, r := range s {
		d, ok := digit(r)
		if !ok {
			end()
			continue
		}
		all.WriteByte('0' + d)
		run.WriteByte('0' + d)
	}
	end()
	switch {
	case all.Len() == n:
		return all.String()
	case len(runs) == 1:
		return runs[0]
	}
	return ""
}

// digit returns the value of a decimal digit of any script. Unicode keeps the
// ten of a script together and in order (Unicode §4.6), so that a range of the
// table begins at a zero.
func digit(r rune) (byte, bool) {
	if r <= unicode.MaxASCII {
		return byte(r - '0'), '0' <= r && r <= '9'
	}
	for _, t := range unicode.Nd.R16 {
		if r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10), r >= rune(t.Lo)
		}
	}
	for _, t := range unicode.Nd.R32 {
		if r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10), r >= rune(t.Lo)
		}
	}
	return 0, false
}
