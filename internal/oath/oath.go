// Package oath computes the one-time codes that a device and an engine make from a
// secret that both have (RFC 4226, RFC 6238).
package oath

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what every app computes with; HMAC does not need collision resistance
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

const (
	// Digits are those of a code.
	Digits = 6
	// Step is how long a code of a clock holds.
	Step = 30 * time.Second

	secretSize = 20 // bytes: what RFC 4226 §4 R6 recommends (SEC S-52)
)

// A Secret is what both have.
type Secret []byte

// NewSecret returns 160 random bits.
func NewSecret() Secret {
	s := make(Secret, secretSize)
	rand.Read(s)
	return s
}

var base = base32.StdEncoding.WithPadding(base32.NoPadding)

// String is the secret as people type it: base32 without padding.
func (s Secret) String() string { return base.EncodeToString(s) }

// ParseSecret reads what String writes; spaces, hyphens, padding and case do not count.
// One of fewer than 128 bits is refused (RFC 4226 §4 R6).
func ParseSecret(text string) (Secret, error) {
	text = strings.ToUpper(strings.TrimRight(strings.NewReplacer(" ", "", "-", "").Replace(text), "="))
	s, err := base.DecodeString(text)
	if err != nil || len(s) < 16 || len(s) > 64 {
		return nil, fmt.Errorf("oath: a secret is 16 to 64 bytes in base32")
	}
	return s, nil
}

// Code is the one at a count, or at a step of the clock (RFC 4226 §5.3).
func (s Secret) Code(counter int64) string {
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(counter)) //nolint:gosec // counts and steps are not negative
	mac := hmac.New(sha1.New, s)
	mac.Write(at[:])
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&0xf:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", Digits, n%1_000_000)
}

// StepOf is the step of the clock at a time (RFC 6238 §4.2).
func StepOf(at time.Time) int64 { return at.Unix() / int64(Step/time.Second) }

// Match finds the newest count from first to last whose code is the one typed. It
// compares with all of them, so that its time tells nothing.
func (s Secret) Match(typed string, first, last int64) (counter int64, ok bool) {
	typed = clean(typed)
	for at := max(0, first); at <= last; at++ {
		if subtle.ConstantTimeCompare([]byte(typed), []byte(s.Code(at))) == 1 {
			counter, ok = at, true
		}
	}
	return counter, ok
}

// clean drops what people type between the digits.
func clean(typed string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '\t', '\n', '\r', '\u00a0', '\u202f':
			return -1
		}
		return r
	}, typed)
}

// URI is what apps scan. The secret is its first parameter, and the issuer stands in
// the label too, since some apps read it there alone.
func (s Secret) URI(issuer, account string) string {
	label := url.PathEscape(issuer + ":" + account)
	if issuer == "" {
		label = url.PathEscape(account)
	}
	return "otpauth://totp/" + label + "?secret=" + s.String() + "&issuer=" + strings.ReplaceAll(url.QueryEscape(issuer), "+", "%20")
}
