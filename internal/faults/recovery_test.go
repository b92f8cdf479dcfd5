package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/internal/loopback"
)

// running starts a real engine for one test, with policies if there are any.
func running(t *testing.T, org string) *process {
	t.Helper()
	p := &process{t: t, binary: build(t), data: t.TempDir(), listen: loopback.Address(t), read: map[string]string{}}
	if org != "" {
		file := filepath.Join(t.TempDir(), "org.yaml")
		if err := os.WriteFile(file, []byte(org), 0o600); err != nil {
			t.Fatal(err)
		}
		p.args = []string{"--org", file}
	}
	p.start()
	t.Cleanup(func() { p.end(syscall.SIGTERM) })
	p.up()
	return p
}

// up waits until the engine answers.
func (p *process) up() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	if err := p.ready(ctx); err != nil {
		p.t.Fatal(err)
	}
}

// restart ends the engine, at once or with its leave, and starts it again.
func (p *process) restart(s syscall.Signal) {
	p.t.Helper()
	p.end(s)
	p.start()
	p.up()
}

// app is the app's server, which survives the engine.
func (p *process) app() *idx.Client {
	p.t.Helper()
	c, err := idx.New(idx.Config{
		Issuer: "http://" + p.listen + "/oauth2/default", ClientID: clientID, ClientSecret: clientSecret, RedirectURI: redirectURI,
		HTTPClient: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// mailed is the code of a mail that came after what was read before: one that was
// on its way when the engine ended comes after its start.
func (p *process) mailed(address string) string {
	p.t.Helper()
	// One that was being delivered when the engine was killed is leased for a minute.
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); {
		m, err := p.mail(p.t.Context(), address, p.read[address])
		if err != nil {
			continue // it has waited for some time
		}
		p.read[address] = m.ID
		if m.Code != "" {
			return m.Code
		}
	}
	p.t.Fatalf("no mail to %s", address)
	return ""
}

// A walker takes one step after the other, each of an engine that was started since.
type walker struct {
	p     *process
	c     *idx.Client
	tx    *idx.Transaction // what the app has kept
	seen  *idx.Transaction // what the person saw last
	steps int
}

// take is a step that a person sees go well.
func (w *walker) take(what string, tx *idx.Transaction, err error) {
	w.p.t.Helper()
	if err != nil {
		w.p.t.Fatalf("%s: %v", what, err)
	}
	if len(tx.Messages) > 0 || tx.Status != idx.StatusPending && tx.Status != idx.StatusSuccess {
		w.p.t.Fatalf("%s: the person notices: %s %+v", what, tx.Status, tx.Messages)
	}
	w.tx, w.seen = tx, tx
	// What the app keeps between two requests is text, too.
	if tx.Status == idx.StatusPending {
		text, err := tx.MarshalText()
		if err != nil {
			w.p.t.Fatal(err)
		}
		w.tx = &idx.Transaction{}
		if err := w.tx.UnmarshalText(text); err != nil {
			w.p.t.Fatal(err)
		}
	}
	w.steps++
	w.p.restart([]syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}[w.steps%2])
}

func (w *walker) proceed(what string, in idx.Input) {
	w.p.t.Helper()
	tx, err := w.c.Proceed(w.p.t.Context(), w.tx, in)
	w.take(what, tx, err)
}

const (
	oldPassword = "seven pale lanterns 41"
	newPassword = "nine quiet harbours 73"
	bothFactors = "access:\n- name: default\n  rules: [{name: default, factors: 2}]\n"
)

// register signs somebody up with the old password.
func (p *process) register(address string) {
	p.t.Helper()
	c, ctx := p.app(), p.t.Context()
	tx, err := c.Register(ctx, idx.Profile{FirstName: "Ada", LastName: "Lovelace", Email: address})
	for _, in := range []func() idx.Input{
		func() idx.Input { return idx.Input{VerificationCode: p.mailed(address)} },
		func() idx.Input { return idx.Input{Authenticator: "okta_password", Password: oldPassword} },
		func() idx.Input { return idx.Input{Skip: true} }, // what else is optional
	} {
		if err == nil {
			tx, err = c.Proceed(ctx, tx, in())
		}
	}
	if err != nil || tx.Status != idx.StatusSuccess {
		p.t.Fatalf("sign-up of %s: %+v %v", address, tx, err)
	}
}

// takes tells whether a password is the account's.
func (p *process) takes(address, password string) bool {
	p.t.Helper()
	c, ctx := p.app(), p.t.Context()
	tx, err := c.Authenticate(ctx, idx.Credentials{Username: address})
	for _, in := range []idx.Input{{Authenticator: "okta_password"}, {Password: password}} {
		if err == nil {
			tx, err = c.Proceed(ctx, tx, in)
		}
	}
	if err != nil {
		p.t.Fatalf("sign-in of %s: %v", address, err)
	}
	return tx.Status == idx.StatusSuccess
}

// TestREL_R01_SignInOverRestarts: between each two steps of a sign-in with two
// factors the engine ends and begins, and nobody notices.
func TestREL_R01_SignInOverRestarts(t *testing.T) {
	p := running(t, bothFactors)
	p.register(ada)
	w := &walker{p: p, c: p.app()}
	tx, err := w.c.Start(t.Context(), idx.StartOptions{})
	w.take("begin", tx, err)
	w.proceed("user name", idx.Input{Username: ada})
	w.proceed("choose the password", idx.Input{Authenticator: "okta_password"})
	w.proceed("the password", idx.Input{Password: oldPassword})
	if w.seen.Status == idx.StatusSuccess {
		t.Fatal("one factor is enough after a restart")
	}
	if w.seen.NextStep.Name != "challenge-authenticator" {
		w.proceed("choose the email", idx.Input{Authenticator: "okta_email"})
	}
	w.proceed("the code", idx.Input{VerificationCode: p.mailed(ada)})
	if w.seen.Status != idx.StatusSuccess {
		t.Fatalf("it ends %s %+v", w.seen.Status, w.seen.NextStep)
	}
	if _, err := w.c.UserInfo(t.Context(), w.seen.Tokens.AccessToken.Value); err != nil {
		t.Errorf("the tokens: %v", err)
	}
}

// TestREL_R01_RecoveryOverRestarts is the same for a forgotten password.
func TestREL_R01_RecoveryOverRestarts(t *testing.T) {
	p := running(t, "")
	p.register(ada)
	w := &walker{p: p, c: p.app()}
	tx, err := w.c.RecoverPassword(t.Context(), idx.Credentials{})
	w.take("forgotten", tx, err)
	w.proceed("user name", idx.Input{Username: ada})
	w.proceed("choose the email", idx.Input{Authenticator: "okta_email"})
	w.proceed("the code", idx.Input{VerificationCode: p.mailed(ada)})
	if w.seen.NextStep == nil || w.seen.NextStep.Name != "reset-authenticator" {
		t.Fatalf("the code leads to %+v", w.seen.NextStep)
	}
	w.proceed("the new password", idx.Input{Password: newPassword})
	if w.seen.Status != idx.StatusSuccess {
		t.Fatalf("it ends %s %+v", w.seen.Status, w.seen.NextStep)
	}
	if !p.takes(ada, newPassword) || p.takes(ada, oldPassword) {
		t.Error("the new password is not the only one")
	}
}

// TestREL_R01_KillInTheMiddleOfRecovery: kill -9 while the new password is sent
// leaves the old one or the new one, the new one if that was acknowledged, and
// never none; unless the person goes on without, then the old one or none.
func TestREL_R01_KillInTheMiddleOfRecovery(t *testing.T) {
	p := running(t, "")
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	ends := map[string]int{}
	const people = 14
	for i := range people {
		address := fmt.Sprintf("p%d@example.com", i)
		without := i%7 == 6
		last := idx.Input{Password: newPassword}
		if without {
			last = idx.Input{Skip: true}
		}
		p.register(address)
		c := p.app()
		tx, err := c.RecoverPassword(t.Context(), idx.Credentials{})
		for _, in := range []func() idx.Input{
			func() idx.Input { return idx.Input{Username: address} },
			func() idx.Input { return idx.Input{Authenticator: "okta_email"} },
			func() idx.Input { return idx.Input{VerificationCode: p.mailed(address)} },
		} {
			if err == nil {
				tx, err = c.Proceed(t.Context(), tx, in())
			}
		}
		if err != nil || tx.NextStep == nil || tx.NextStep.Name != "reset-authenticator" {
			t.Fatalf("recovery of %s: %+v %v", address, tx, err)
		}
		acknowledged := make(chan bool, 1)
		go func() {
			done, err := c.Proceed(t.Context(), tx, last)
			acknowledged <- err == nil && done.Status == idx.StatusSuccess
		}()
		pause(t.Context(), time.Duration(random.IntN(180))*time.Millisecond)
		p.restart(syscall.SIGKILL)
		was := <-acknowledged

		old, fresh := p.takes(address, oldPassword), p.takes(address, newPassword)
		switch {
		case old && fresh:
			t.Errorf("%s has two passwords", address)
		case without && fresh:
			t.Errorf("%s went on without, and has a password that nobody chose", address)
		case !without && !old && !fresh:
			t.Errorf("%s has no password", address)
		case was && old:
			t.Errorf("%s was told that the old password is gone, and it is not", address)
		}
		ends[fmt.Sprintf("acknowledged %v, old %v, new %v", was, old, fresh)]++
		if !fresh && !without { // the person tries once more where they were, with the same words
			again, err := p.app().Proceed(t.Context(), tx, last)
			if err != nil || again.Status != idx.StatusSuccess || !p.takes(address, newPassword) {
				t.Errorf("%s tries again: %+v %v", address, again, err)
			}
		}
	}
	t.Logf("ends of %d people: %v", people, ends)
	p.end(syscall.SIGTERM)
	out, err := exec.Command(p.binary, "audit", "verify", "--data", p.data).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\n0 rows not sealed yet.\n") {
		t.Errorf("I9: %v\n%s", err, out)
	}
	p.start() // for the clean-up
}
