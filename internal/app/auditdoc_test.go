package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAuditTable holds the table of docs/audit.md against the types of events that
// the code writes, each of which has one row.
func TestAuditTable(t *testing.T) {
	data, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(data), "| type | when | target |\n|---|---|---|\n")
	if !ok {
		t.Fatal("docs/audit.md has no table of events")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var told []string
	for _, row := range strings.Split(table, "\n") {
		var first string
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
			if !strings.HasPrefix(name[1], ".") {
				first = name[1]
				told = append(told, first)
				continue
			}
			told = append(told, first[:strings.LastIndexByte(first, '.')]+name[1])
		}
	}
	written := map[string]bool{}
	for _, name := range eventTypes(t) {
		if !strings.HasSuffix(name, ".") {
			written[name] = true
			continue
		}
		for _, one := range told { // the code puts the end to it
			written[one] = written[one] || strings.HasPrefix(one, name)
		}
	}
	var want []string
	for name, is := range written {
		if is {
			want = append(want, name)
		}
	}
	slices.Sort(told)
	slices.Sort(want)
	if d := cmp.Diff(told, want); d != "" {
		t.Errorf("docs/audit.md (-) and the code (+) differ:\n%s", d)
	}
}

// eventTypes are the strings of the code that name a type of event, or its beginning up to a dot.
func eventTypes(t *testing.T) []string {
	t.Helper()
	shape := regexp.MustCompile(`^(user|group|policy|app|application|security|system)\.[a-z0-9_]+\.[a-z0-9_.]*$`)
	var out []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "storetest":
			return fs.SkipDir
		case d.IsDir(), !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && shape.MatchString(s) {
					out = append(out, s)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
