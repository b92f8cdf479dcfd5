package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/stile-id/stile/internal/config"
)

// A composeFile is what is looked at of the Compose file.
type composeFile struct {
	Services map[string]struct {
		Environment map[string]string
		Secrets     []string
		Networks    any
		Healthcheck struct{ Test []string }
	}
	Networks map[string]struct {
		IPAM struct {
			Config []struct {
				Subnet, Gateway string
				Range           string `yaml:"ip_range"`
			}
		}
	}
	Secrets map[string]struct{ File string }
}

// Each node starts with the settings in the Compose file: the engine's own reader takes
// them, with secrets as README.md has them made.
func TestCompose(t *testing.T) {
	data, err := os.ReadFile("../../packaging/compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file composeFile
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	secrets := t.TempDir()
	for name, text := range map[string]string{
		"database_url": "postgres://stile:0123abcd@database/stile\n", "smtp_url": "smtp://user:password@relay.example.com\n",
		"master_key": strings.Repeat("A", 43) + "=\n",
	} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	example := regexp.MustCompile(`\$\{\w+:\?as (.*)\}`) // what Compose says to whoever has not set it
	for _, name := range []string{"stile1", "stile2", "stile3"} {
		s := file.Services[name]
		environ := []string{"HOSTNAME=" + name}
		for variable, value := range s.Environment {
			if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok {
				if !slices.Contains(s.Secrets, secret) || file.Secrets[secret].File != "./secrets/"+secret {
					t.Errorf("%s: %s is not there", name, value)
				}
				value = filepath.Join(secrets, secret)
			}
			environ = append(environ, variable+"="+example.ReplaceAllString(value, "$1"))
		}
		settings, faults := config.Serve{}.Load(environ)
		if err := faults.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if settings.Database == "" || settings.PublicURL != "https://id.example.com" || settings.MasterKeyFile != filepath.Join(secrets, "master_key") {
			t.Errorf("%s: %+v", name, settings)
		}
		if !slices.Equal(s.Healthcheck.Test, []string{"CMD", "/stile", "ready"}) {
			t.Errorf("%s: it is asked by %q", name, s.Healthcheck.Test)
		}
		if door, err := (config.Ready{}).Door(environ); err != nil || door.URL != "http://127.0.0.1:9100" {
			t.Errorf("%s: it is asked at %q, %v", name, door.URL, err)
		}
		if proxy := file.address(t); !slices.Equal(settings.TrustedProxies, []netip.Prefix{netip.PrefixFrom(proxy, 32)}) {
			t.Errorf("%s: it believes %v, and the proxy has %v", name, settings.TrustedProxies, proxy)
		}
	}
	if test := file.Services["database"].Healthcheck.Test; !slices.Equal(test, []string{"CMD", "pg_isready", "-h", "127.0.0.1", "-U", "stile"}) {
		t.Errorf("the database is asked by %q", test)
	}
	proxy, err := os.ReadFile("../../packaging/compose/haproxy.cfg")
	if err != nil || strings.Count(string(proxy), ":9000\n") != 3 || !strings.Contains(string(proxy), "/readyz") {
		t.Errorf("haproxy.cfg: %v", err)
	}
}

// address is the proxy's, which no other container can be given.
func (f composeFile) address(t *testing.T) netip.Addr {
	t.Helper()
	networks, _ := f.Services["proxy"].Networks.(map[string]any)
	outside, _ := networks["outside"].(map[string]any)
	address, err := netip.ParseAddr(fmt.Sprint(outside["ipv4_address"]))
	if err != nil || len(f.Networks["outside"].IPAM.Config) != 1 {
		t.Fatalf("%v, %+v", err, f.Networks)
	}
	c := f.Networks["outside"].IPAM.Config[0]
	subnet, others := netip.MustParsePrefix(c.Subnet), netip.MustParsePrefix(c.Range)
	if !subnet.Contains(address) || !subnet.Contains(others.Addr()) || others.Contains(address) || c.Gateway == address.String() {
		t.Errorf("the proxy has %v of %v, others get %v, the gateway has %v", address, subnet, others, c.Gateway)
	}
	return address
}

// The image has nothing but the engine to ask itself with.
func TestREL_R30_ContainerHealth(t *testing.T) {
	file, err := os.ReadFile("../../packaging/Containerfile")
	if err != nil || !regexp.MustCompile(`(?m)^HEALTHCHECK .*CMD \["/stile", "ready"\]$`).Match(file) {
		t.Errorf("no HEALTHCHECK, %v", err)
	}
}

// systemd takes the units, of which the engine's waits for what it tells, with whatever
// program there is in its place.
func TestUnit(t *testing.T) {
	unit := packaged(t, "stile.service")
	for _, line := range []string{"Type=notify", "NotifyAccess=main"} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	for _, command := range regexp.MustCompile(`(?m)^Exec\w+=(.*)$`).FindAllStringSubmatch(unit, -1) {
		if !strings.HasPrefix(command[1], "/usr/local/bin/stile serve --config /etc/stile/stile.yaml") {
			t.Errorf("%s", command[1])
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip("no systemd-analyze") // macOS, Windows, and Linux without systemd have none
	}
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, name := range []string{"stile.service", "stile-backup.service", "stile-backup.timer"} {
		text := strings.ReplaceAll(packaged(t, name), "/usr/local/bin/stile", program)
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput(); err != nil || bytes.Contains(out, []byte("stile")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// What the unit of the timer runs makes a backup that can be restored, and then removes
// old ones alone; where it fails nothing is removed.
func TestREL_R25_BackupUnit(t *testing.T) {
	unit := packaged(t, "stile-backup.service")
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept")
	old := time.Now().Add(-50 * time.Hour)
	for name, at := range map[string]time.Time{
		"stile-1.backup": old, ".stile-1.backup.incomplete-2": old, "stile-3.backup": time.Now().Add(-40 * time.Hour), "other": old,
	} {
		name = filepath.Join(kept, name)
		err := os.MkdirAll(kept, 0o700)
		if err == nil {
			err = os.WriteFile(name, nil, 0o600)
		}
		if err == nil {
			err = os.Chtimes(name, at, at)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(unit, "\nEnvironment=STILE_CONFIG=/etc/stile/stile.yaml\n") { // which says where the data is
		t.Error("no STILE_CONFIG")
	}
	settings := filepath.Join(dir, "stile.yaml")
	// run does with a line what systemd does: % stands twice for one, and $ in what is not its own.
	run := func(key, data string) error {
		if err := os.WriteFile(settings, []byte("data: "+data+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(unit, "\n"+key+"=")
		line, _, _ = strings.Cut(line, "\n")
		if !strings.Contains(line, " ") {
			t.Fatalf("no %s", key)
		}
		line = strings.NewReplacer("$$", "$", "%%", "%", "/usr/local/bin/stile", self).Replace(line)
		c := exec.CommandContext(t.Context(), "/bin/sh", "-c", line)
		c.Env = append(os.Environ(), "STILE_TEST_COMMAND=1", "STILE_CONFIG="+settings, "STILE_DATA=", "STATE_DIRECTORY="+kept)
		out, err := c.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	if err := run("ExecStart", filepath.Join(dir, "none")); err == nil {
		t.Error("a backup of nothing")
	}
	data := filepath.Join(dir, "data")
	defer engine(t, data)()
	for _, key := range []string{"ExecStart", "ExecStartPost"} {
		if err := run(key, data); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(kept, "*"))
	if err != nil || len(files) != 3 || filepath.Base(files[0]) != "other" {
		t.Fatalf("%v, %v", files, err)
	}
	made := files[1]
	if !regexp.MustCompile(`^stile-\d{8}T\d{6}Z\.backup$`).MatchString(filepath.Base(made)) || filepath.Base(files[2]) != "stile-3.backup" {
		t.Fatalf("%v", files)
	}
	stile(t, "restore --from "+made+" --to sqlite:"+filepath.Join(dir, "again"))
	stile(t, "verify --data "+filepath.Join(dir, "again")+" --master-key-file "+filepath.Join(data, "master.key"))
}

func packaged(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../packaging/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Go reads the length of the queue of a listener from /proc/sys, which is 128 where that
// cannot be read, and metrics the start of the process from /proc/stat.
func TestREL_R20_UnitLeavesProc(t *testing.T) {
	unit := packaged(t, "stile.service")
	if strings.Contains(unit, "\nProcSubset=pid") || !strings.Contains(unit, "\nProtectProc=invisible\n") {
		t.Error("the unit hides /proc/sys and /proc/stat, or shows the processes of others")
	}
}

// The engine may ask which addresses are its own: it dials none while it does not know.
func TestSEC_S120_UnitAllowsNetlink(t *testing.T) {
	unit := packaged(t, "stile.service")
	if !regexp.MustCompile(`(?m)^RestrictAddressFamilies=.*\bAF_NETLINK\b`).MatchString(unit) {
		t.Error("RestrictAddressFamilies lacks AF_NETLINK")
	}
}
