package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Operators' commands take from the file of `stile serve` what they need. Flags go
// before variables, variables before the file, each setting by itself.
func TestDataConfig(t *testing.T) {
	const pg, other = "postgres://a:sesame@db.example/stile", "postgres:///other"
	type place struct{ Data, Database, MasterKeyFile string }
	for name, c := range map[string]struct {
		yaml      string // "": no file
		mode      os.FileMode
		flags     Data
		variables map[string]string
		want      place
		fault     string
	}{
		"nothing":            {want: place{Data: "./.stile"}},
		"the file alone":     {yaml: "data: d\ndatabase: " + pg + "\nmaster_key_file: k\n", want: place{"d", pg, "k"}},
		"its default folder": {yaml: "smtp: smtp://relay.example\n", want: place{Data: "/var/lib/stile"}},
		"an empty variable": {
			yaml: "data: d\n", variables: map[string]string{"STILE_DATA": "", "STILE_DATABASE": ""}, want: place{Data: "d"},
		},
		"variables first": {
			yaml: "data: d\ndatabase: " + pg + "\nmaster_key_file: k\n", variables: map[string]string{"STILE_DATA": "v", "STILE_DATABASE": other},
			want: place{"v", other, "k"},
		},
		"flags before both": {
			yaml: "data: d\nmaster_key_file: k\n", flags: Data{Data: "f"}, variables: map[string]string{"STILE_DATA": "v", "STILE_MASTER_KEY_FILE": "w"},
			want: place{"f", "", "w"},
		},
		"settings of serve alone": {
			yaml: "public_url: nonsense\nlisten: nonsense\ndata: d\n", want: place{Data: "d"},
		},
		"unknown key":      {yaml: "data: d\nlog-level: info\n", fault: "stile.yaml:2: log-level: there is no such setting; write log_level"},
		"flag alone":       {yaml: "config: x\n", fault: "stile.yaml:1: config: there is no such setting"},
		"twice":            {yaml: "data: d\ndata: e\n", fault: "stile.yaml:2: data: stands on line 1 already"},
		"a list":           {yaml: "data: [a, b]\n", fault: "stile.yaml:1: data: one value was expected here, not a list"},
		"no such form":     {yaml: "database: mysql://a:sesame@b/c\n", fault: "stile.yaml:1: database: not of the form postgres://user:password@host/name"},
		"open to others":   {yaml: "database: " + pg + "\n", mode: 0o644, fault: "stile.yaml:1: database: others can read stile.yaml"},
		"open, not theirs": {yaml: "smtp: smtp://a:sesame@b\ndata: d\n", mode: 0o644, want: place{Data: "d"}},
		"two of a secret": {
			yaml: "data: d\n", variables: map[string]string{"STILE_DATABASE": other, "STILE_DATABASE_FILE": "x"},
			fault: "STILE_DATABASE and STILE_DATABASE_FILE are both set",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, name := range []string{"STILE_DATA", "STILE_DATABASE", "STILE_MASTER_KEY_FILE"} { // of whoever runs the test
				t.Setenv(name, c.variables[name])
			}
			for name, value := range c.variables {
				t.Setenv(name, value)
			}
			d := c.flags
			if c.yaml != "" {
				d.Config = filepath.Join(t.TempDir(), "stile.yaml")
				mode := c.mode
				if mode == 0 {
					mode = 0o600
				}
				if err := os.WriteFile(d.Config, []byte(c.yaml), mode); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(d.Config, mode); err != nil { // whatever the umask is
					t.Fatal(err)
				}
			}
			before := d
			for range 2 { // the second finds all of it said
				err := d.Load()
				if c.fault == "" {
					if got := (place{d.Data, d.Database, d.MasterKeyFile}); err != nil || got != c.want {
						t.Errorf("%+v, %v; want %+v", got, err, c.want)
					}
					continue
				}
				wrong := ""
				if err != nil {
					wrong = strings.ReplaceAll(err.Error(), d.Config, "stile.yaml")
				}
				if !strings.Contains(wrong, c.fault) || strings.Contains(wrong, "sesame") {
					t.Errorf("%q, want %s", wrong, c.fault)
				}
				if got, want := (place{d.Data, d.Database, d.MasterKeyFile}), (place{before.Data, before.Database, before.MasterKeyFile}); got != want {
					t.Errorf("after a fault %+v, want %+v", got, want)
				}
			}
		})
	}
}

// A file that cannot be read says by whom it can.
func TestConfigUnread(t *testing.T) {
	name := filepath.Join(t.TempDir(), "stile.yaml")
	if err := (&Data{Config: name}).Load(); err == nil || !strings.HasPrefix(err.Error(), "--config: stat "+name+": ") {
		t.Errorf("none there: %v", err)
	}
	f := &Faults{source: map[string]string{}}
	f.unread(&fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission})
	want := "--config: open " + name + ": permission denied; run the command as the user that the engine runs as, for example with sudo -u stile"
	if diff := cmp.Diff([]string{want}, f.list); diff != "" {
		t.Error(diff)
	}
}

// The places of copy and restore that no flag says are those of the file.
func TestPlacesOfConfig(t *testing.T) {
	for _, name := range []string{"STILE_DATA", "STILE_DATABASE", "STILE_MASTER_KEY_FILE"} {
		t.Setenv(name, "")
	}
	file := filepath.Join(t.TempDir(), "stile.yaml")
	if err := os.WriteFile(file, []byte("data: d\ndatabase: postgres:///x\nmaster_key_file: k\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "stile.yaml")
	if err := os.WriteFile(folder, []byte("data: d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		copy Copy
		want string
	}{
		{Copy{Config: file, To: "sqlite:a"}, "postgres:///x sqlite:a"},
		{Copy{Config: file, From: "sqlite:a"}, "sqlite:a postgres:///x"},
		{Copy{Config: folder, To: "sqlite:a"}, "sqlite:" + filepath.Join("d", "stile.db") + " sqlite:a"},
		{Copy{Config: "none", From: "sqlite:a", To: "sqlite:b"}, "sqlite:a sqlite:b"}, // nothing of it is of use
		{Copy{Config: file}, "--from and --to are needed; with --config one of them"},
		{Copy{From: "sqlite:a"}, "--from and --to go together, unless --config says where the other is"},
		{Copy{Config: "none", From: "sqlite:a"}, "--config: stat none"},
		{Copy{Config: file, From: "a"}, "--from: neither of the form"},
	} {
		got := ""
		if err := tt.copy.Load(); err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprint(tt.copy.From, " ", tt.copy.To)
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("copy: %q, want %q", got, tt.want)
		}
	}
	for _, tt := range []struct {
		restore Restore
		want    string // place, master key, folder of the key that is not named
	}{
		{Restore{Config: file}, "postgres:///x k d"},
		{Restore{Config: folder}, "sqlite:" + filepath.Join("d", "stile.db") + "  d"},
		{Restore{Config: file, To: "sqlite:a"}, "sqlite:a k a"},
		{Restore{Config: file, To: "sqlite:a", MasterKeyFile: "f"}, "sqlite:a f a"},
		{Restore{To: "postgres:///y"}, "postgres:///y  "},
		{Restore{}, "--to is needed, unless --config says where"},
		{Restore{Config: "none"}, "--config: stat none"},
	} {
		got := ""
		for range 2 {
			if err := tt.restore.Load(); err != nil {
				got = err.Error()
			} else {
				got = fmt.Sprint(tt.restore.To, " ", tt.restore.MasterKeyFile, " ", tt.restore.KeyFolder())
			}
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("restore: %q, want %q", got, tt.want)
			}
		}
	}
}
