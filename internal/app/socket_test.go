package app

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/policy"
)

// Only who owns the data folder opens the socket; one that an engine left behind
// is in nobody's way, and the path may be longer than an address can be.
func TestOperatorsSocket(t *testing.T) {
	for name, dir := range map[string]string{"short": t.TempDir(), "long": filepath.Join(t.TempDir(), strings.Repeat("a-long-name/", 10))} {
		t.Run(name, func(t *testing.T) {
			a, err := New(t.Context(), Config{Dir: dir, PublicURL: "http://localhost:9000", Policy: policy.PasswordOptional()})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := a.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			for range 2 { // the second finds a socket in its place
				l, _, err := listenSocket(dir)
				if err != nil {
					t.Fatal(err)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			stop, err := a.serveOperators(t.Context(), dir, "http://localhost:9000")
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(filepath.Join(dir, socketName))
			if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
				t.Errorf("%v %v", info.Mode(), err)
			}
			o, err := OpenOperators(t.Context(), config.Data{Data: dir})
			if err != nil || !o.Running {
				t.Fatalf("%+v %v", o, err)
			}
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://stile/api/v1/users", nil)
			res, err := o.RoundTrip(r)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%v %v", res, err)
			}
			_ = res.Body.Close()
			if err := o.Close(); err != nil {
				t.Error(err)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*admin*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if hidden, _ := filepath.Glob(filepath.Join(dir, ".admin*")); len(hidden) > 0 {
				t.Errorf("left behind: %v", hidden)
			}
		})
	}
}
