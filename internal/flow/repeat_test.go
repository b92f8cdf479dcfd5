package flow

import (
	"testing"
	"time"

	"github.com/stile-id/stile/internal/policy"
)

// The password just proven, typed again as the new one, is no lost answer that is
// repeated: the authenticator refuses it and says why.
func TestTheSamePasswordAsTheNewOne(t *testing.T) {
	org := emailAndPassword()
	org.Password[0].MaxAge, org.Password[0].Warn = policy.Days(90), policy.Days(5)
	for days, offer := range map[time.Duration]string{86: "reenroll-authenticator-warning", 91: "reenroll-authenticator"} {
		r := newRig(t, org)
		r.withPassword("ada@example.com")
		r.pass(days * 24 * time.Hour)
		v := r.begin()
		v.answer("identify", "identifier", "ada@example.com")
		v.choose(passwordKey)
		v.prove(right)
		// The fake takes any password; what counts is that it is asked.
		if got := v.answer(offer, "credentials.passcode", right); got.Stage != Success {
			t.Errorf("after %d days it leads to %s", days, got.Stage)
		}
	}
}
