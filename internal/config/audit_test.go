package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The operators' commands read the database's address where `stile serve` does.
func TestDataDatabase(t *testing.T) {
	const url, other = "postgres://a:secret@db.example/stile", "postgres:///other"
	file := filepath.Join(t.TempDir(), "url")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		flag, variable, content string
		mode                    os.FileMode // 0: no such file
		want, fault             string
	}{
		"nothing":        {content: "\n", mode: 0o600},
		"a file":         {content: url + "\n", mode: 0o600, want: url},
		"a flag first":   {flag: other, content: url, mode: 0o600, want: other},
		"two of them":    {variable: other, content: url, mode: 0o600, fault: "STILE_DATABASE and STILE_DATABASE_FILE are both set"},
		"none there":     {fault: "STILE_DATABASE_FILE: stat "},
		"open to others": {content: url, mode: 0o644, fault: "others can read "},
		"no such form":   {content: "mysql://a:secret@b/c", mode: 0o600, fault: "STILE_DATABASE_FILE: not of the form"},
		"flag's form":    {flag: "mysql://a:secret@b/c", content: url, mode: 0o600, fault: "--database: not of the form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("STILE_DATABASE_FILE", file)
			if c.mode != 0 {
				write(c.content, c.mode)
			} else {
				_ = os.Remove(file)
			}
			if c.variable != "" {
				t.Setenv("STILE_DATABASE", c.variable)
			}
			d := Data{Database: c.flag}
			for range 2 { // the second finds all of it said
				err := d.Load()
				switch {
				case c.fault == "" && (err != nil || d.Database != c.want):
					t.Errorf("%q, %v", d.Database, err)
				case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
					t.Errorf("%v, want %s", err, c.fault)
				case err != nil && strings.Contains(err.Error(), "secret"):
					t.Errorf("the password is told: %v", err)
				}
			}
		})
	}
}
