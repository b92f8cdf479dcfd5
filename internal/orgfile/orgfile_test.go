package orgfile_test

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-id/stile/internal/orgfile"
	"github.com/stile-id/stile/internal/policy"
)

var update = flag.Bool("update", false, "rewrite testdata")

func known(key string) bool { return slices.Contains(policy.Installed, key) }

func parse(t *testing.T, text string) orgfile.File {
	t.Helper()
	f, err := orgfile.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The golden file has every key, in the form that Write gives it.
func TestEveryKeyRoundTrips(t *testing.T) {
	golden := filepath.Join("testdata", "full.yaml")
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	f := parse(t, string(text))
	if err := f.Validate(known); err != nil {
		t.Errorf("it does not validate: %v", err)
	}
	out, err := f.Write()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, out, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if d := cmp.Diff(string(text), string(out)); d != "" {
		t.Errorf("written anew (-read +written)\n%s", d)
	}
	missing(t, f)
}

// missing fails for a key that the golden file has nowhere: one that is new.
func missing(t *testing.T, f orgfile.File) {
	t.Helper()
	seen := map[reflect.Type]map[string]bool{}
	var visit func(reflect.Value)
	visit = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				visit(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				visit(v.Index(i))
			}
		case reflect.Struct:
			if seen[v.Type()] == nil {
				seen[v.Type()] = map[string]bool{}
			}
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() {
					seen[v.Type()][f.Name] = seen[v.Type()][f.Name] || !v.Field(i).IsZero()
					visit(v.Field(i))
				}
			}
		}
	}
	visit(reflect.ValueOf(f))
	for of, fields := range seen {
		for name, set := range fields {
			if !set {
				t.Errorf("%s.%s is not in the golden file", of, name)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"enumeration: protect\nfoo: 2\n":                                    `line 2: unknown field "foo"`,
		"version: 1\nversion: 1\n":                                          `line 2: mapping key "version" already defined`,
		"access:\n- name: default\n  rules:\n  - name: x\n    factorz: 1\n": `line 5: unknown field "factorz"`,
		"apps:\n- id: web\n  secret: x\n":                                   `line 3: unknown field "secret"`,
		"session:\n- name: default\n  idle: soon\n":                         `"soon" is not a duration`,
		"session:\n- name: default\n  max: many\n":                          `line 3: cannot unmarshal string`,
		"session:\n- name: default\n  max: 1.5\n":                           `session.max: a value of type int was expected`,
		"apps:\n- id: 12\n":                                                 `apps.id: a text was expected here, not a number; put it in quotes`,
		"apps: 3\n":                                                         `line 1: `,
		"apps: [\n":                                                         `line 1: `,
		"enumeration: protect\n---\nversion: 1\n":                           `more than one document`,
		"brand: {name: " + strings.Repeat("x", orgfile.MaxSize) + "}\n":     `longer than`,
	} {
		_, err := orgfile.Parse([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "org file: "+want) && !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

func TestWhatIsLeftOutIsTheDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "version: 1\n"} {
		f := parse(t, text)
		if d := cmp.Diff(policy.PasswordOptional(), f.Org, cmp.AllowUnexported(policy.AccessRule{}, policy.Evidence{})); d != "" || f.Version != 1 || f.Apps != nil {
			t.Errorf("%q: %s", text, d)
		}
	}
}

func TestValidateNamesThePath(t *testing.T) {
	text := `version: 2
session:
  - name: default
    max: 1000
apps:
  - name: No id
    type: web
  - id: a b
    type: public
    access: nowhere
  - id: x
    type: public
    profile: nowhere
  - id: x
    type: public
`
	f := parse(t, text)
	var got []string
	for line := range strings.Lines(f.Validate(known).Error()) {
		path, _, _ := strings.Cut(line, ": ")
		got = append(got, path)
	}
	want := []string{
		"version", "session[0].max", "apps[0].id", "apps[0].type", "apps[1].id", "apps[1].access", "apps[2].profile", "apps[3].id",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for path, line := range map[string]int{"version": 1, "session[0].max": 4, "apps[1].access": 10, "apps[3].id": 14, "apps[0].id": 0, "nonsense[": 0} {
		if n := orgfile.Line([]byte(text), path); n != line {
			t.Errorf("%s is in line %d, want %d", path, n, line)
		}
	}
}

func TestDiff(t *testing.T) {
	old := parse(t, "groups: [{id: a}, {id: b}]\ntrustedOrigins: [https://a.example]\napps: [{id: web, type: public, name: Web}, {id: old, type: public}]\n"+
		"access: [{name: default, rules: [{name: a, groups: [a]}, {name: b, groups: [b]}, {name: default}]}]\n")
	f := parse(t, "brand: {name: Acme <1>}\ngroups: [{id: b}, {id: a, name: A}]\ntrustedOrigins: [https://b.example]\napps: [{id: new, type: public}, {id: web, type: public, disabled: true}]\n"+
		"access: [{name: default, rules: [{name: b, groups: [b]}, {name: a, groups: [a]}, {name: default, factors: 2}]}]\nsession: [{name: default, idle: 1h}]\n")
	var got []string
	for _, c := range orgfile.Diff(old, f) {
		got = append(got, c.String())
	}
	want := []string{
		`+ brand: {"name":"Acme <1>"}`,
		`~ trustedOrigins: ["https://a.example"] -> ["https://b.example"]`,
		`+ groups[a].name: "A"`,
		`~ session[default].idle: "2h" -> "1h"`,
		`- session[default].lifetime: "1d"`,
		`- session[default].max: 20`,
		`- session[default].primary: "identifier"`,
		`- session[default].rememberIdle: "14d"`,
		`- session[default].rememberLifetime: "30d"`,
		`+ access[default].rules[default].factors: 2`,
		`~ access[default].rules: order ["a","b","default"] -> ["b","a","default"]`,
		`+ apps[web].disabled: true`,
		`- apps[web].name: "Web"`,
		`- apps[old]: {"id":"old","type":"public"}`,
		`+ apps[new]: {"id":"new","type":"public"}`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if same := orgfile.Diff(f, f); len(same) != 0 {
		t.Errorf("a file differs from itself: %v", same)
	}
}

// Whatever texts a document holds, its file says it, and nothing differs.
func TestRoundTrip(t *testing.T) {
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"yes", "null", "~", "1", "1e3", "0x1", "2030-01-01", "a: b", "# x", "- x", "'", `"`, "\\", "%", "@", "`", "{}", "[]", "&a", "*a", "!t", "|", ">", " x ", "", "x\ny", "\t", "é", "\u2028",
	})).Filter(func(s string) bool {
		return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == '\ufffd' })
	})
	durations := rapid.Custom(func(t *rapid.T) policy.Duration {
		return policy.Minutes(rapid.IntRange(0, 1_000_000).Draw(t, "minutes"))
	})
	rapid.Check(t, func(t *rapid.T) {
		f := orgfile.File{Version: 1, Org: policy.PasswordOptional()}
		f.Brand = policy.Brand{Name: texts.Draw(t, "brand"), Logo: texts.Draw(t, "logo")}
		for _, id := range rapid.SliceOfN(texts, 0, 3).Draw(t, "groups") {
			f.Groups = append(f.Groups, policy.Group{ID: id, Description: texts.Draw(t, "description")})
		}
		f.Session[0].Idle, f.Password[0].MaxAge = durations.Draw(t, "idle"), durations.Draw(t, "age")
		if rapid.Bool().Draw(t, "constrained") {
			f.Access[0].Rules[0].Constraints = []policy.Constraint{{Knowledge: &policy.Evidence{Types: rapid.SliceOfN(texts, 1, 3).Draw(t, "types")}}, {Inherence: &policy.Evidence{}}}
		}
		f.Profile[0].Attributes = []policy.Attribute{{Name: "a", Pattern: texts.Draw(t, "pattern"), Enum: rapid.SliceOfN(texts, 1, 3).Draw(t, "enum")}}
		f.Apps = []orgfile.App{{ID: texts.Draw(t, "id"), Type: orgfile.Public, Name: texts.Draw(t, "name"), RedirectURIs: rapid.SliceOfN(texts, 1, 2).Draw(t, "uris")}}
		data, err := f.Write()
		if err != nil {
			t.Fatal(err)
		}
		g, err := orgfile.Parse(data)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if d := cmp.Diff(f, g, cmp.AllowUnexported(policy.AccessRule{}, policy.Evidence{})); d != "" {
			t.Fatalf("%s\n%s", d, data)
		}
		if c := orgfile.Diff(f, g); len(c) > 0 {
			t.Fatalf("differs: %v", c)
		}
	})
}
