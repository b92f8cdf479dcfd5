package orgfile_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/orgfile"
)

// The examples of docs/policies.md can be applied, and every key is in its tables.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "policies.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1)
	if len(examples) < 3 {
		t.Errorf("%d examples", len(examples))
	}
	for _, e := range examples {
		f := parse(t, e[1])
		if err := f.Validate(known); err != nil {
			t.Errorf("%v\n%s", err, e[1])
		}
	}
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice:
			visit(of.Elem())
		case reflect.Struct:
			if seen[of] {
				return
			}
			seen[of] = true
			for i := range of.NumField() {
				f := of.Field(i)
				if !f.IsExported() {
					continue
				}
				key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if key != "" && !regexp.MustCompile("[`.]"+key+"[`.\\[]").Match(data) {
					t.Errorf("%s of %s is not in docs/policies.md", key, of)
				}
				visit(f.Type)
			}
		}
	}
	visit(reflect.TypeFor[orgfile.File]())
}
