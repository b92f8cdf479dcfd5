package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/stile-id/stile/internal/config"
)

// The Compose file can be read, and its variables are settings.
func TestCompose(t *testing.T) {
	data, err := os.ReadFile("../../packaging/compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Environment map[string]string
			Secrets     []string
			Networks    any
		}
		Secrets map[string]struct{ File string }
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stile1", "stile2", "stile3"} {
		s := file.Services[name]
		if len(s.Environment) < 8 {
			t.Errorf("%s: %v", name, s.Environment)
		}
		for variable, value := range s.Environment {
			key := strings.ToLower(strings.TrimPrefix(variable, "STILE_"))
			if !slices.Contains(config.Keys(), key) && !slices.Contains([]string{"database_file", "smtp_file"}, key) {
				t.Errorf("%s: %s is no setting", name, variable)
			}
			if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok && (!slices.Contains(s.Secrets, secret) || file.Secrets[secret].File == "") {
				t.Errorf("%s: %s is not there", name, value)
			}
		}
	}
	proxy, err := os.ReadFile("../../packaging/compose/haproxy.cfg")
	if err != nil || strings.Count(string(proxy), ":9000\n") != 3 || !strings.Contains(string(proxy), "/readyz") {
		t.Errorf("haproxy.cfg: %v", err)
	}
}

// systemd takes the unit, which waits for what the engine tells it, with whatever program there is in place of the engine.
func TestUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip("no systemd-analyze") // macOS, Windows, and Linux without systemd have none
	}
	unit, err := os.ReadFile("../../packaging/stile.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Type=notify", "NotifyAccess=main"} {
		if !bytes.Contains(unit, []byte("\n"+line+"\n")) {
			t.Errorf("no %s", line)
		}
	}
	for _, command := range regexp.MustCompile(`(?m)^Exec\w+=(.*)$`).FindAllSubmatch(unit, -1) {
		if !bytes.HasPrefix(command[1], []byte("/usr/local/bin/stile serve --config /etc/stile/stile.yaml")) {
			t.Errorf("%s", command[1])
		}
	}
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "stile.service")
	if err := os.WriteFile(name, bytes.ReplaceAll(unit, []byte("/usr/local/bin/stile"), []byte(program)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", name).CombinedOutput(); err != nil || bytes.Contains(out, []byte("stile.service")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// Go reads the length of the queue of a listener from /proc/sys, which is 128 where that
// cannot be read, and metrics the start of the process from /proc/stat.
func TestREL_R20_UnitLeavesProc(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/stile.service")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(unit, []byte("\nProcSubset=pid")) || !bytes.Contains(unit, []byte("\nProtectProc=invisible\n")) {
		t.Error("the unit hides /proc/sys and /proc/stat, or shows the processes of others")
	}
}

// The engine may ask which addresses are its own: it dials none while it does not know.
func TestSEC_S120_UnitAllowsNetlink(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/stile.service")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^RestrictAddressFamilies=.*\bAF_NETLINK\b`).Match(unit) {
		t.Error("RestrictAddressFamilies lacks AF_NETLINK")
	}
}
