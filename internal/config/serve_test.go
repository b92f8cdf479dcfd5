package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// load reads a file of settings and variables, and returns what is wrong.
func load(t *testing.T, flags Serve, yaml string, variables map[string]string) (*Settings, string) {
	t.Helper()
	if yaml != "" {
		flags.Config = filepath.Join(t.TempDir(), "stile.yaml")
		if err := os.WriteFile(flags.Config, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var environ []string
	for name, value := range variables {
		environ = append(environ, name+"="+value)
	}
	s, f := flags.Load(environ)
	err := f.Err()
	if err == nil {
		return s, ""
	}
	return s, strings.ReplaceAll(err.Error(), flags.Config, "stile.yaml")
}

const enough = "public_url: https://id.example.com\nsmtp: smtp://relay.example\nmail_from: id@example.com\n"

func TestServeDefaults(t *testing.T) {
	s, wrong := load(t, Serve{}, enough, nil)
	if wrong != "" {
		t.Fatal(wrong)
	}
	if s.Listen != "localhost:9000" || s.Data != "/var/lib/stile" || s.MasterKeyFile != "/var/lib/stile/master.key" || !s.CodeInSubject ||
		s.AccessTokenAlg != "RS256" || s.AccessTokenLife != time.Hour || !s.LogJSON || s.LogLevel != 0 || s.MetricsListen != "" ||
		s.Drain != 5*time.Second || s.Grace != 20*time.Second || s.Loopback || s.MakeMasterKey {
		t.Errorf("%+v", s)
	}
}

func TestServeFaults(t *testing.T) {
	for name, c := range map[string]struct {
		yaml string // after what is enough, whose keys it may replace
		want string // a fault, or more, one a line
	}{
		"unknown key":         {"public_ulr: x\n", "stile.yaml:4: public_ulr: there is no such setting"},
		"a flag's name":       {"log-level: info\n", "stile.yaml:4: log-level: there is no such setting; write log_level"},
		"a variable's name":   {"STILE_LOG_LEVEL: info\n", "stile.yaml:4: STILE_LOG_LEVEL: there is no such setting; write log_level"},
		"flag alone":          {"make_master_key: true\n", "stile.yaml:4: make_master_key: there is no such setting"},
		"twice":               {"smtp: smtp://b\n", "stile.yaml:4: smtp: stands on line 2 already"},
		"a mapping":           {"listen: {a: b}\n", "stile.yaml:4: listen: a text was expected here, or a list of texts"},
		"a list of lists":     {"trusted_proxies: [[a]]\n", "stile.yaml:4: trusted_proxies: a text was expected here, or a list of texts"},
		"a list":              {"listen: [a, b]\n", "stile.yaml:4: listen: one value was expected here, not a list"},
		"an anchor":           {"listen: &a localhost:1\n", "stile.yaml:4: listen: a text was expected here, or a list of texts"},
		"two documents":       {"---\nlisten: localhost:1\n", "stile.yaml: is more than one document"},
		"syntax":              {"listen: [a\n", "stile.yaml:4: sequence end token ']' not found"},
		"listen":              {"listen: 9000\n", `stile.yaml:4: listen: "9000" is not HOST:PORT`},
		"in the clear":        {"listen: :9000\n", `stile.yaml:4: listen: ":9000" is open to other machines without TLS: set tls_cert and tls_key, or name the proxies in front in trusted_proxies, or listen on localhost`},
		"proxy":               {"trusted_proxies: 10.0.0.0/33\n", `stile.yaml:4: trusted_proxies: "10.0.0.0/33" is neither an address nor a network such as 10.0.0.0/8`},
		"every proxy":         {"trusted_proxies: [0.0.0.0/0]\n", `stile.yaml:4: trusted_proxies: "0.0.0.0/0" would believe everybody`},
		"certificate alone":   {"tls_cert: a.pem\n", "stile.yaml:4: tls_cert: goes together with tls_key"},
		"database":            {"database: mysql://root:sesame@h/d\n", "stile.yaml:4: database: not of the form postgres://user:password@host/name"},
		"connections":         {"database: postgres:///x\ndatabase_connections: 1\n", `stile.yaml:5: database_connections: "1" is not a number from 2 to 100`},
		"no number":           {"database: postgres:///x\ndatabase_connections: many\n", `stile.yaml:5: database_connections: "many" is not a number from 2 to 100`},
		"connections to none": {"database_connections: 20\n", "stile.yaml:4: database_connections: goes together with database"},
		"bool":                {"code_in_subject: 1\n", `stile.yaml:4: code_in_subject: "1" is neither true nor false`},
		"algorithm":           {"access_token_alg: none\n", `stile.yaml:4: access_token_alg: "none" is neither RS256 nor ES256`},
		"life":                {"access_token_life: 25h\n", `stile.yaml:4: access_token_life: "25h" is not a time from 5m0s to 24h0m0s, such as 30s`},
		"log format":          {"log_format: xml\n", `stile.yaml:4: log_format: "xml" is neither json nor text`},
		"log level":           {"log_level: loud\n", `stile.yaml:4: log_level: "loud" is none of debug, info, warn and error`},
		"metrics":             {"metrics_listen: x\n", `stile.yaml:4: metrics_listen: "x" is not HOST:PORT`},
		"metrics for all":     {"listen: localhost:1\nmetrics_listen: localhost:1\n", "stile.yaml:5: metrics_listen: must be another address than listen: metrics are not for the public"},
		"drain":               {"shutdown_drain: 2m\n", `stile.yaml:4: shutdown_drain: "2m" is not a time from 0s to 1m0s, such as 30s`},
		"grace":               {"shutdown_grace: 21s\n", `stile.yaml:4: shutdown_grace: "21s" is not a time from 1s to 20s, such as 30s`},
		"all at once, by row": {"log_level: x\nlog_format: y\n", "stile.yaml:5: log_format: \"y\" is neither json nor text\nstile.yaml:4: log_level: \"x\" is none of debug, info, warn and error"},
	} {
		t.Run(name, func(t *testing.T) {
			_, wrong := load(t, Serve{}, enough+c.yaml, nil)
			for _, want := range strings.Split(c.want, "\n") {
				if !strings.Contains(wrong, want) {
					t.Errorf("no %s in\n%s", want, wrong)
				}
			}
			if strings.Contains(wrong, "sesame") {
				t.Errorf("it tells a password: %s", wrong)
			}
		})
	}
}

// Nothing is the default of what must be said; the public URL is https, or this machine's.
func TestSEC_S141_PublicURL(t *testing.T) {
	_, wrong := load(t, Serve{}, "# nothing\n", nil)
	for _, want := range []string{"public_url: is needed; set it in the file, as STILE_PUBLIC_URL or as --public-url", "smtp: is needed", "mail_from: is needed"} {
		if !strings.Contains(wrong, want) {
			t.Errorf("no %s in\n%s", want, wrong)
		}
	}
	for url, want := range map[string]string{
		"https://id.example.com": "", "https://id.example.com/": "", "https://id.example.com:8443": "", "http://localhost:9000": "", "http://127.0.0.1": "",
		"http://[::1]:9000": "", "http://id.example.com": "must begin with https://", "https://id.example.com/a": "is not of the form",
		"https://a:b@id.example.com": "is not of the form", "id.example.com": "is not of the form", "https://id.example.com?x": "is not of the form",
	} {
		_, wrong := load(t, Serve{PublicURL: url}, strings.SplitAfterN(enough, "\n", 2)[1], nil)
		if (wrong == "") != (want == "") || !strings.Contains(wrong, want) {
			t.Errorf("%s: %s", url, wrong)
		}
	}
	// An address of this machine alone does not go with a door to others.
	_, wrong = load(t, Serve{PublicURL: "http://localhost", Listen: ":9000", TrustedProxies: []string{"10.0.0.1"}}, strings.SplitAfterN(enough, "\n", 2)[1], nil)
	if !strings.Contains(wrong, "--listen:") {
		t.Errorf("open and loopback: %q", wrong)
	}
}

// Flags go before variables, variables before the file; a secret may be in a file that a variable names.
func TestServeSources(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "database")
	if err := os.WriteFile(secret, []byte("postgres://a:b@h/d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{
		"STILE_LOG_LEVEL": "warn", "STILE_LISTEN": "localhost:1", "STILE_DATABASE_FILE": secret, "STILE_TRUSTED_PROXIES": "10.0.0.1,::ffff:10.0.0.2,2001:db8::/32",
	}
	s, wrong := load(t, Serve{Listen: "localhost:2"}, enough+"log_level: debug\nlisten: localhost:3\ndatabase: postgres:///x\nlog_format: text\n", variables)
	if wrong != "" {
		t.Fatal(wrong)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32"), netip.MustParsePrefix("2001:db8::/32")}
	if s.Listen != "localhost:2" || s.LogLevel != 4 || s.Database != "postgres://a:b@h/d" || s.LogJSON || !slices.Equal(s.TrustedProxies, want) {
		t.Errorf("%+v", s)
	}
	for key, want := range map[string]string{"listen": "--listen", "log_level": "STILE_LOG_LEVEL", "database": "STILE_DATABASE_FILE", "data": "data"} {
		if got := s.Source(key); got != want {
			t.Errorf("%s is from %s, want %s", key, got, want)
		}
	}

	variables["STILE_DATABASE"] = "postgres:///y"
	if _, wrong = load(t, Serve{}, enough, variables); !strings.Contains(wrong, "STILE_DATABASE and STILE_DATABASE_FILE are both set") {
		t.Errorf("both: %s", wrong)
	}
	delete(variables, "STILE_DATABASE")
	variables["STILE_DATABASE_FILE"] = secret + ".none"
	if _, wrong = load(t, Serve{}, enough, variables); !strings.Contains(wrong, "STILE_DATABASE_FILE: stat ") {
		t.Errorf("no such file: %s", wrong)
	}
}

// A password that others can read is refused.
func TestSEC_S142_SecretsOfOthers(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		return name
	}
	for name, c := range map[string]struct {
		yaml string
		mode os.FileMode
		want string
	}{
		"no password":  {enough, 0o644, ""},
		"password":     {enough + "database: postgres://a:sesame@h/d\n", 0o644, "database: others can read"},
		"for a group":  {enough + "database: postgres://a:sesame@h/d\n", 0o640, ""},
		"for one only": {enough + "database: postgres://a:sesame@h/d\n", 0o600, ""},
	} {
		_, f := Serve{Config: file(name, c.yaml, c.mode)}.Load(nil)
		wrong := ""
		if err := f.Err(); err != nil {
			wrong = err.Error()
		}
		if (wrong == "") != (c.want == "") || !strings.Contains(wrong, c.want) || strings.Contains(wrong, "sesame") {
			t.Errorf("%s: %q", name, wrong)
		}
	}
	secret := file("secret", "postgres://a:sesame@h/d", 0o604)
	if _, wrong := load(t, Serve{}, enough, map[string]string{"STILE_DATABASE_FILE": secret}); !strings.Contains(wrong, "others can read "+secret+"; run: chmod o-rwx") {
		t.Errorf("variable's file: %q", wrong)
	}
}

// Every setting has a row in docs/operations.md, and one name in three spellings.
func TestServeIsDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, settings, _ := strings.Cut(string(doc), "\n## Settings\n")
	settings, _, _ = strings.Cut(settings, "\n## ")
	var rows []string
	for _, line := range strings.Split(settings, "\n") {
		if name, ok := strings.CutPrefix(line, "| `"); ok && strings.Count(line, "|") == 5 {
			key, _, _ := strings.Cut(name, "`")
			rows = append(rows, key)
		}
	}
	if !slices.Equal(rows, Keys()) {
		t.Errorf("the table has\n%q, the settings are\n%q", rows, Keys())
	}
}

func FuzzServeFile(f *testing.F) {
	f.Add(enough)
	f.Add("a: &x [1, 2]\nb: *x\n? [c]\n: d\n<<: {e: f}\n--- |\n x\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(dir, "fuzz.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		Serve{Config: name}.Load(nil)
	})
}
