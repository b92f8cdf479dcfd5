package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
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

// program is the binary, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stile")
	if err != nil {
		return "", err
	}
	folder = dir
	binary := filepath.Join(dir, "stile")
	out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", binary, // as make build does
		"github.com/stile-id/stile/cmd/stile").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return binary, nil
})

// folder is what holds it; empty if no test needed it.
var folder string

func TestMain(m *testing.M) {
	status := m.Run()
	if folder != "" {
		_ = os.RemoveAll(folder)
	}
	os.Exit(status)
}

func build(t *testing.T) string {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
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
