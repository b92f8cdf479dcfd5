package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSEC_S107_Inventory holds the table of docs/cryptography.md against the imports.
func TestSEC_S107_Inventory(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		uses := slices.DeleteFunc(p.Imports, func(i string) bool {
			return i != "crypto" && !strings.HasPrefix(i, "crypto/") && !strings.HasPrefix(i, "golang.org/x/crypto/") && !strings.HasPrefix(i, "github.com/go-jose/") &&
				i != "github.com/SherClockHolmes/webpush-go" &&
				!strings.HasPrefix(i, "filippo.io/") && !strings.HasPrefix(i, "github.com/go-webauthn/")
		})
		if len(uses) > 0 {
			slices.Sort(uses)
			rows = append(rows, fmt.Sprintf("| `%s` | %s |", strings.TrimPrefix(p.ImportPath, module+"/"), strings.Join(uses, ", ")))
		}
	}
	slices.Sort(rows)
	doc, err := os.ReadFile("../../docs/cryptography.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(doc), "| package | imports |\n|---|---|\n")
	if !ok {
		t.Fatal("docs/cryptography.md has no table of imports")
	}
	have := strings.Split(strings.TrimSpace(table), "\n")
	slices.Sort(have)
	if d := cmp.Diff(have, rows); d != "" {
		t.Errorf("docs/cryptography.md (-) and the code (+) differ:\n%s", d)
	}
}
