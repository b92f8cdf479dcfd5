package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The engine is asked where its settings have it listen: at the door of operators first.
func TestREL_R30_ReadyDoor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stile.yaml")
	if err := os.WriteFile(file, []byte("public_url: https://id.example.com\nlisten: :8443\ntls_cert: chain.pem\ntls_key: key.pem\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ready   Ready
		environ []string
		want    Door
	}{
		"defaults":         {want: Door{URL: "http://localhost:9000"}},
		"a container's":    {environ: []string{"STILE_LISTEN=:9000", "STILE_METRICS_LISTEN=:9100"}, want: Door{URL: "http://127.0.0.1:9100"}},
		"the public's":     {environ: []string{"STILE_LISTEN=0.0.0.0:9000"}, want: Door{URL: "http://127.0.0.1:9000"}},
		"of IPv6":          {environ: []string{"STILE_LISTEN=[::]:9000"}, want: Door{URL: "http://[::1]:9000"}},
		"one address":      {environ: []string{"STILE_LISTEN=192.0.2.1:9000"}, want: Door{URL: "http://192.0.2.1:9000"}},
		"TLS":              {ready: Ready{Config: file}, want: Door{URL: "https://127.0.0.1:8443", Host: "id.example.com", Certificate: "chain.pem"}},
		"variables before": {ready: Ready{Config: file}, environ: []string{"STILE_METRICS_LISTEN=[::1]:1"}, want: Door{URL: "http://[::1]:1"}},
		"an address":       {ready: Ready{URL: "https://id.example.com/", Config: file}, want: Door{URL: "https://id.example.com"}},
	} {
		if got, err := c.ready.Door(c.environ); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, c := range map[string]struct {
		ready   Ready
		environ string
		want    string
	}{
		"no file":     {Ready{Config: file + ".none"}, "", "--config: stat "},
		"no port":     {Ready{}, "STILE_METRICS_LISTEN=9100", `STILE_METRICS_LISTEN: "9100" is not HOST:PORT`},
		"no scheme":   {Ready{URL: "localhost:9000"}, "", "not of the form http://host:port"},
		"a path":      {Ready{URL: "http://localhost:9000/readyz"}, "", "not of the form http://host:port"},
		"a password":  {Ready{URL: "http://a:sesame@localhost"}, "", "not of the form http://host:port"},
		"no public's": {Ready{}, "STILE_LISTEN=x", `STILE_LISTEN: "x" is not HOST:PORT`},
	} {
		if _, err := c.ready.Door([]string{c.environ}); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
