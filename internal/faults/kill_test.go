package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/internal/store/sqlite"
)

// process is a real `stile dev` that is killed and started again on the same
// port and data.
type process struct {
	t      *testing.T
	binary string
	data   string
	listen string
	args   []string          // more flags
	read   map[string]string // address -> id of the newest mail that was read

	mu    sync.Mutex
	cmd   *exec.Cmd
	exits chan error
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "stile")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/stile-id/stile/cmd/stile").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

const clientID, clientSecret, redirectURI = "web", "a secret of this test alone", "http://localhost:8080/login/callback"

func (p *process) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = exec.Command(p.binary, append([]string{"dev", "--listen", p.listen, "--app-listen", "off", "--data", p.data,
		"--client-id", clientID, "--client-secret", clientSecret, "--redirect-uri", redirectURI}, p.args...)...)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		p.t.Error(err)
		return
	}
	p.exits = make(chan error, 1)
	go func(cmd *exec.Cmd, exits chan<- error) { exits <- cmd.Wait() }(p.cmd, p.exits)
}

// end sends a signal and returns once the process is gone.
func (p *process) end(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Signal(s) // it may have ended by itself: then Wait has
	<-p.exits
}

// ready returns once the engine answers.
func (p *process) ready(ctx context.Context) error {
	for {
		r, err := http.NewRequestWithContext(ctx, "GET", "http://"+p.listen+"/healthz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			res.Body.Close()
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// A journal is what clients know: what was acknowledged to them, and as whom.
type journal struct {
	mu    sync.Mutex
	users map[string]string // address -> user id of the first acknowledged proof
}

func (j *journal) acknowledged(t *testing.T, address, user string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if was, ok := j.users[address]; ok && was != user {
		t.Errorf("%s was acknowledged as user %s and then as %s", address, was, user)
	}
	j.users[address] = user
}

// TestREL_R01_KillInTheMiddleOfSignUps: kill -9 loses no acknowledged sign-up and
// leaves no user without proof, and every person gets in at last.
func TestREL_R01_KillInTheMiddleOfSignUps(t *testing.T) {
	const people, clients, kills = 100, 8, 8
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, binary: build(t), data: t.TempDir(), listen: l.Addr().String()}
	l.Close()
	p.start()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := p.ready(ctx); err != nil {
		t.Fatal(err)
	}

	j := &journal{users: map[string]string{}}
	addresses := make(chan string)
	var workers sync.WaitGroup
	for range clients {
		workers.Go(func() {
			for address := range addresses {
				for try := 0; ; try++ {
					err := p.signUp(ctx, t, j, address)
					if err == nil {
						break
					}
					if ctx.Err() != nil {
						t.Errorf("%s never got in: %v", address, err)
						return
					}
					pause(ctx, 10*time.Millisecond) // the engine is down just now
				}
			}
		})
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	killed := 0
	for i := range people {
		if i%(people/kills) == people/kills/2 {
			pause(ctx, time.Duration(random.IntN(40))*time.Millisecond)
			p.end(syscall.SIGKILL)
			killed++
			p.start()
		}
		select {
		case addresses <- fmt.Sprintf("p%d@example.com", i):
		case <-ctx.Done():
		}
	}
	close(addresses)
	workers.Wait()
	p.end(syscall.SIGTERM)
	t.Logf("%d sign-ups, %d kills, %d acknowledged", people, killed, len(j.users))

	out, err := exec.Command(p.binary, "audit", "verify", "--data", p.data).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\n0 rows not sealed yet.\n") {
		t.Errorf("I9: %v\n%s", err, out)
	}
	db, err := sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(p.data, "stile.db"), QuickCheck: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if len(j.users) != people {
		t.Errorf("%d of %d people were acknowledged", len(j.users), people)
	}
	for address, user := range j.users {
		a, err := db.Account(context.Background(), user)
		if err != nil {
			t.Errorf("I1: acknowledged %s as %s: %v", address, user, err)
			continue
		}
		if a.Email != address {
			t.Errorf("I1: user %s has %s, was acknowledged as %s", user, a.Email, address)
		}
		if _, ok := a.Enrolled("okta_email"); !ok || a.EmailVerifiedAt.IsZero() {
			t.Errorf("I3: user %s has no proven address", user)
		}
	}
	created := map[string]int{}
	for after := ""; ; {
		rows, err := db.AuditRows(context.Background(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			for _, e := range r.Events {
				if e.Type == "user.lifecycle.create" {
					created[e.Target]++
				}
			}
			after = r.ID
		}
	}
	if len(created) != people {
		t.Errorf("I2 I9: %d users were made, want %d", len(created), people)
	}
	for user, n := range created {
		if n != 1 {
			t.Errorf("I9: user %s was made %d times", user, n)
		}
	}
}

// signUp runs one journey, or as much of it as the engine lives for.
func (p *process) signUp(ctx context.Context, t *testing.T, j *journal, address string) error {
	c, err := idx.New(idx.Config{
		Issuer: "http://" + p.listen + "/oauth2/default", ClientID: clientID, ClientSecret: clientSecret, RedirectURI: redirectURI,
		HTTPClient: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	})
	if err != nil {
		return err
	}
	tx, err := c.Register(ctx, idx.Profile{FirstName: "A", LastName: "B", Email: address})
	if err != nil {
		return err
	}
	code, err := p.code(ctx, address)
	if err != nil {
		return err
	}
	tx, err = c.Proceed(ctx, tx, idx.Input{VerificationCode: code})
	if err != nil {
		return err
	}
	if tx.NextStep != nil && tx.NextStep.Name == "enroll-authenticator" {
		return errors.New("an older mail's code")
	}
	if tx.User != nil {
		j.acknowledged(t, address, tx.User.ID)
	}
	if tx.Status == idx.StatusPending {
		if tx, err = c.Proceed(ctx, tx, idx.Input{Skip: true}); err != nil {
			return err
		}
	}
	if tx.Status != idx.StatusSuccess {
		return fmt.Errorf("ended %s: %+v", tx.Status, tx.Messages)
	}
	j.acknowledged(t, address, tx.Tokens.IDToken.Claims.Subject)
	return nil
}

// code is the newest one in the inbox.
func (p *process) code(ctx context.Context, address string) (string, error) {
	m, err := p.mail(ctx, address, "")
	return m.Code, err
}

// message is what the inbox tells of a mail.
type message struct{ ID, Code string }

// mail is the newest one that came after another, of the given id.
func (p *process) mail(ctx context.Context, address, after string) (message, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+p.listen+"/dev/inbox/api/messages?wait=3s&to="+address+"&after="+after, nil)
	if err != nil {
		return message{}, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return message{}, err
	}
	defer res.Body.Close()
	var list struct{ Messages []message }
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		return message{}, err
	}
	if len(list.Messages) == 0 {
		return message{}, errors.New("no mail yet")
	}
	return list.Messages[0], nil
}
