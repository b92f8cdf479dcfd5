package faults

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/loopback"
)

// screen is a terminal that tells when something new is on it.
type screen struct {
	mu   sync.Mutex
	b    bytes.Buffer
	news chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestDevSaysWhatToOpen starts the program as a newcomer does and reads what it
// prints; each address in it answers.
func TestDevSaysWhatToOpen(t *testing.T) {
	binary := build(t)
	if info, err := os.Stat(binary); err != nil || info.Size() > 40<<20 {
		t.Errorf("the binary has %d bytes, more than 40 MB (%v)", info.Size(), err)
	}
	listen := [2]string{loopback.Address(t), loopback.Address(t)}
	out := &screen{news: make(chan struct{}, 1)}
	cmd := exec.Command(binary, "dev", "--listen", listen[0], "--app-listen", listen[1], "--data", t.TempDir())
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !strings.Contains(out.String(), "Ctrl-C") {
		select {
		case <-out.news:
		case err := <-ended:
			t.Fatalf("it ended: %v\n%s", err, out)
		case <-ctx.Done():
			t.Fatalf("it never said that it runs:\n%s", out)
		}
	}
	for _, want := range []string{
		`for development only`, `Open first +http://` + listen[1], `Mail inbox +http://` + listen[0] + `/dev/inbox`,
		`Issuer +http://` + listen[0] + `/oauth2/default`, `Web app +client id \S+  secret \S+`, `Single-page app +client id \S+`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	for _, address := range []string{
		"http://" + listen[1] + "/", "http://" + listen[1] + "/login/sign-up", "http://" + listen[0] + "/dev/inbox",
		"http://" + listen[0] + "/oauth2/default/.well-known/openid-configuration",
	} {
		r, err := http.NewRequestWithContext(ctx, "GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d", address, res.StatusCode)
		}
	}
	if kib, ok := resident(cmd.Process.Pid); ok && kib > 60<<10 {
		t.Errorf("REL_R21: at rest it holds %d KiB, more than 60 MiB", kib)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := <-ended; err != nil {
		t.Errorf("stopped: %v\n%s", err, out)
	}
}

// resident is what a process has in memory, where the system tells.
func resident(pid int) (kib int, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(data)
	if m == nil {
		return 0, false
	}
	kib, err = strconv.Atoi(string(m[1]))
	return kib, err == nil
}
