package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWebPushSettings(t *testing.T) {
	s, wrong := load(t, Serve{}, enough+"web_push_key: hush\nweb_push_subject: mailto:ops@example.com\nweb_push_hosts: [push.example.com]\n", nil)
	if wrong != "" || s.WebPushKey != "hush" || s.WebPushSubject != "mailto:ops@example.com" || !slices.Equal(s.WebPushHosts, []string{"push.example.com"}) {
		t.Errorf("%s: %+v", wrong, s)
	}
	for yaml, want := range map[string]string{
		"web_push_key: hush\n":                       "web_push_key: goes together with web_push_subject",
		"web_push_subject: mailto:ops@example.com\n": "web_push_key: goes together with web_push_subject",
		"web_push_hosts: [push.example.com]\n":       "web_push_hosts: goes together with web_push_key",
	} {
		if _, wrong := load(t, Serve{}, enough+yaml, nil); !strings.Contains(wrong, want) || strings.Contains(wrong, "hush") {
			t.Errorf("%s: %q, want %q", yaml, wrong, want)
		}
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, wrong = load(t, Serve{}, enough+"web_push_subject: mailto:ops@example.com\n", map[string]string{"STILE_WEB_PUSH_KEY_FILE": file})
	if wrong != "" || s.WebPushKey != "hush" {
		t.Errorf("%s: %q", wrong, s.WebPushKey)
	}
}
