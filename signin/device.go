package signin

import (
	"crypto/rand"
	"regexp"
	"time"

	"github.com/stile-id/stile/idx"
)

// What the pages keep of a browser beyond one flow and one session.
const (
	deviceCookie  = "d"  // a secret by which the engine knows a browser
	addressCookie = "me" // the address to fill in (UX P1.7)

	knownLife = 365 * 24 * time.Hour
)

// deviceSecret is the form of the secret: 32 letters and digits, 160 bits.
var deviceSecret = regexp.MustCompile(`^[A-Z2-7]{32}$`)

// device gives the browser's secret, "" if it has none yet.
func (v *visit) device() string {
	if s, ok := v.sent(deviceCookie); ok && deviceSecret.MatchString(s) {
		return s
	}
	return ""
}

// knowDevice gives the browser a secret at its first form: opening a page sets
// nothing. Wrong passwords from elsewhere then do not lock its person out.
func (p *Pages) knowDevice(v *visit) {
	if v.device() != "" {
		return
	}
	secret := (rand.Text() + rand.Text())[:32]
	v.set(p.cookies.cookie(deviceCookie, secret, knownLife))
	v.from.DeviceToken = secret
	v.ctx = idx.WithDevice(v.ctx, v.from)
}

// remembered is the address that somebody asked this browser to keep.
func (v *visit) remembered() string {
	var address string
	if v.get(addressCookie, &address) != nil || addressFault(address) != "" {
		return ""
	}
	return address
}

// remember keeps the address of a sign-in, or forgets the one before, as the
// person has ticked. Other forms have no box to tick and change nothing.
func (v *visit) remember(f *flow) error {
	switch {
	case f.Form != signInForm:
		return nil
	case f.Remember && f.address() != "":
		return v.put(addressCookie, f.address(), knownLife)
	}
	v.remove(addressCookie)
	return nil
}
