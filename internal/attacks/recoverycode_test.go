package attacks

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

const (
	codesID  = "aut1recoverycode000"
	keptOnes = twoFactors + `
enrollment:
- name: default
  authenticators: [{key: okta_email, need: required}, {key: okta_password, need: required}, {key: recovery_code, need: optional}]
`
)

// keeps enrols recovery codes where a list offers them, and gives the codes.
func (w *wire) keeps() (codes []string, last answer) {
	w.t.Helper()
	a := w.answer("credential/enroll", map[string]any{"authenticator": map[string]any{"id": codesID}})
	list, _ := a.context()["codes"].([]any)
	for _, c := range list {
		codes = append(codes, c.(string))
	}
	if len(codes) != 10 {
		w.t.Fatalf("no codes: %d %s", a.status, a.body)
	}
	return codes, w.prove("saved")
}

// asksPassword is a sign-in that has shown the password.
func asksPassword(t *testing.T, e *stiletest.Engine, address string) *wire {
	t.Helper()
	w := begin(t, e)
	w.identify(address)
	w.choose(passwordID)
	w.prove(secret)
	return w
}

// forgets removes a way to sign in, by the token that a sign-in ends in.
func (w *wire) forgets(a answer, key string) {
	w.t.Helper()
	token := w.redeem(a.code(), nil).str("access_token")
	id := w.idOf(token, key)
	if a := w.mine(token, "DELETE", "methods/"+id, ""); id == "" || a.status != http.StatusNoContent {
		w.t.Fatalf("%q: %d %s", id, a.status, a.body)
	}
}

// asksCode goes on to the question for a recovery code.
func asksCode(t *testing.T, e *stiletest.Engine, address string) *wire {
	t.Helper()
	w := asksPassword(t, e, address)
	if a := w.choose(codesID); !a.has("challenge-authenticator") {
		t.Fatalf("no question for a code: %d %s", a.status, a.body)
	}
	return w
}

// S-54: of one code given in many sign-ins at the same time, one is accepted; a new
// set ends the old one; and no file of the engine has a code in it.
func TestSEC_S54_RecoveryCodes(t *testing.T) {
	const address = "vera@example.com"
	dir := t.TempDir()
	var old, fresh []string
	t.Run("race and replacement", func(t *testing.T) {
		e := stiletest.Start(t, stiletest.Org(keptOnes), stiletest.Dir(dir))
		w := begin(t, e)
		w.enrolled(address)
		w.prove(e.Code(t, address))
		w.addPassword()
		old, _ = w.keeps()
		e.Clock.Advance(time.Hour)

		var all []*wire
		for range 10 {
			all = append(all, asksCode(t, e, address))
		}
		var through atomic.Int32
		var group sync.WaitGroup
		for _, w := range all {
			group.Go(func() {
				if w.prove(old[3]).code() != "" {
					through.Add(1)
				}
			})
		}
		group.Wait()
		if n := through.Load(); n != 1 {
			t.Errorf("one code in ten sign-ins at once: %d went through", n)
		}

		e.Clock.Advance(time.Hour)
		w = &wire{t: t, e: e, verifier: all[0].verifier}
		w.begun(w.interact(func(v url.Values) {
			v.Set("scope", "openid okta.myAccount.profile.manage")
			v.Set("enroll_authenticator", "recovery_code")
		}))
		w.identify(address)
		w.choose(passwordID)
		w.prove(secret)
		w.choose(emailID)
		a := w.prove(e.Code(t, address))
		if a.code() == "" {
			t.Fatalf("a set beside the one that is there: %d %s", a.status, a.body)
		}
		w.forgets(a, "recovery_code")
		gone := asksPassword(t, e, address)
		gone.choose(codesID)
		if a := gone.prove(old[5]); a.code() != "" {
			t.Error("a code of a list that was removed")
		}
		e.Clock.Advance(time.Hour)
		w.begun(w.interact(func(v url.Values) { v.Set("enroll_authenticator", "recovery_code") }))
		w.identify(address)
		w.choose(passwordID)
		w.prove(secret)
		if a := w.choose(emailID); !a.has("challenge-authenticator") {
			t.Fatalf("the password alone adds a way to sign in: %d %s", a.status, a.body)
		}
		if a := w.prove(e.Code(t, address)); !a.has("select-authenticator-enroll") {
			t.Fatalf("after both: %d %s", a.status, a.body)
		}
		var done answer
		if fresh, done = w.keeps(); done.code() == "" {
			t.Fatalf("a new set: %d %s", done.status, done.body)
		}
		for _, c := range []string{old[3], old[4]} {
			if a := asksCode(t, e, address).prove(c); !a.wrong() {
				t.Errorf("a code of the old set: %d %s", a.status, a.body)
			}
		}
		if a := asksCode(t, e, address).prove(fresh[0]); a.code() == "" {
			t.Errorf("a code of the new set: %d %s", a.status, a.body)
		}
	})
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		for _, c := range append(old, fresh...) {
			for _, written := range []string{c, strings.ReplaceAll(c, "-", "")} {
				if bytes.Contains(data, []byte(written)) {
					t.Errorf("%s has a code in it", path)
				}
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}
