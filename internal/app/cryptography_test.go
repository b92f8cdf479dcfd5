package app_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSEC_S46_Argon2idAlone: what people choose is hashed by one package, and the
// program has no bcrypt in it, which would cut at 72 bytes.
func TestSEC_S46_Argon2idAlone(t *testing.T) {
	var hashes []string
	for _, p := range list(t, "-deps", module+"/cmd/stile") {
		if strings.HasSuffix(p.ImportPath, "/bcrypt") {
			t.Errorf("the program has %s", p.ImportPath)
		}
		if !strings.HasPrefix(p.ImportPath, module+"/") {
			continue
		}
		for _, i := range p.Imports {
			if i == "golang.org/x/crypto/argon2" || strings.HasSuffix(i, "/pbkdf2") || strings.HasSuffix(i, "/scrypt") || strings.Contains(i, "blowfish") {
				hashes = append(hashes, strings.TrimPrefix(p.ImportPath, module+"/")+" "+i)
			}
		}
	}
	if want := []string{"internal/argon2id golang.org/x/crypto/argon2"}; !slices.Equal(hashes, want) {
		t.Errorf("secrets are hashed by %q, want %q", hashes, want)
	}
}

// TestSEC_S107_Inventory holds the table of docs/cryptography.md against the imports.
func TestSEC_S107_Inventory(t *testing.T) {
	var rows []string
	for _, p := range list(t, module+"/...") {
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
