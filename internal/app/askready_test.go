package app

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/config"
)

// An engine that does TLS itself is known by the certificate in its settings, whoever
// signed it, and another one is not.
func TestREL_R30_AskReadyOverTLS(t *testing.T) {
	cert, key := issue(t, t.TempDir(), 1)
	l := aliveOverTLS(t, cert, key)

	other, _ := issue(t, t.TempDir(), 2)
	for name, want := range map[string]string{cert: "", other: "certificate", cert + ".none": "no such file"} {
		file := filepath.Join(t.TempDir(), "stile.yaml")
		text := "public_url: https://id.example.com\nlisten: " + l + "\ntls_cert: " + name + "\ntls_key: " + key + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err := AskReady(t.Context(), config.Ready{Config: file}, &out)
		if want == "" {
			if err != nil || out.String() != "https://"+l+" is ready.\n" {
				t.Errorf("%q, %v", out.String(), err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%s: %q, %v", name, out.String(), err)
		}
	}
}

// What somebody else answers is told in one line, and is no engine that is ready.
func TestREL_R30_AskReadyElsewhere(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("%s is asked for", r.URL.Path)
		}
		w.Header().Set("Location", "/healthz")
		w.WriteHeader(http.StatusFound)
		_, _ = w.Write([]byte("\x1b[31mfound\nelsewhere"))
	}))
	defer s.Close()
	err := AskReady(t.Context(), config.Ready{URL: s.URL}, io.Discard)
	if err == nil || err.Error() != s.URL+" answers 302: [31mfound" {
		t.Errorf("%v", err)
	}
}
