package app_test

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeShowsWhatIsCompiled holds the README's snippets to the examples that the build compiles.
func TestReadmeShowsWhatIsCompiled(t *testing.T) {
	readme := squeeze(t, "../../README.md")
	for file, from := range map[string]string{
		"../../examples/mount/main.go":    "const uri",
		"../../stiletest/example_test.go": "func TestSignUp",
	} {
		code := squeeze(t, file)
		start := strings.Index(code, squeezed(from))
		end := strings.Index(code[start:], squeezed("func check"))
		if end < 0 {
			end = len(code) - start
		}
		// The README leaves out the braces around the body of main.
		for _, part := range strings.Split(code[start:start+end], squeezed("}\n\n// home")) {
			if !strings.Contains(readme, part) {
				t.Errorf("README.md does not show %s as it is:\n%s", file, part)
			}
		}
	}
}

func squeeze(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return squeezed(string(data))
}

func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }
