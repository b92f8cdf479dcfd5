package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/stile-id/stile"

// A rule says what packages may import. Patterns are paths in the module; "/..."
// at the end stands for all packages below, "/*" for those right below.
type rule struct {
	packages string
	// std says that of what is outside the module they import the standard library only.
	std bool
	// may lists what they may import of the module, besides the packages of the
	// same tree: {} nothing, nil anything.
	may []string
	// never lists what must not be reached by any path.
	never []string
	why   string
}

var (
	none  = []string{}
	wires = []string{"net/http", "database/sql"}
)

// The arrows of docs/architecture.md. A package without a row fails the test.
var rules = []rule{
	{packages: "idx", std: true, may: none,
		why: "the SDK is standard library only, and shares no type with the server"},
	{packages: "signin", std: true, may: []string{"idx"},
		why: "the pages are a customer"},
	{packages: "examples/...", std: true, may: []string{"idx", "signin"},
		why: "an example is what a customer would write"},
	{packages: "stiletest", std: true, may: []string{"idx", "internal/app", "internal/flow", "internal/mail/...", "internal/oauth", "internal/orgfile", "internal/policy", "internal/store/postgres/pgtest"},
		why: "the test kit is an engine, its inbox and its databases"},
	{packages: "cmd/stile", may: []string{"internal/admincli", "internal/app", "internal/config"},
		why: "the command parses arguments and runs the app"},

	{packages: "internal/bench", may: []string{"internal/app", "internal/audit", "internal/config", "internal/directory", "internal/flow", "internal/oauth", "internal/policy", "internal/store"},
		why: "what is measured is what runs"},

	{packages: "internal/problem", std: true, may: none, why: "everybody imports it"},
	{packages: "internal/keyring", std: true, may: none, why: "everybody imports it"},
	{packages: "internal/pool", std: true, may: []string{"internal/problem"}, never: wires, why: "it bounds work of any kind"},
	{packages: "internal/policy", std: true, may: none, never: wires, why: "values"},
	{packages: "internal/audit", std: true, may: []string{"internal/keyring", "internal/problem"}, never: wires, why: "the log and its seals, on a port"},
	{packages: "internal/verify", std: true, may: []string{"internal/audit", "internal/directory", "internal/keyring", "internal/oauth", "internal/store/transfer"},
		why: "it holds rows against each other, of whichever database"},
	{packages: "internal/orgfile", may: []string{"internal/policy"}, never: wires, why: "a file is values"},
	{packages: "internal/config", may: []string{"internal/policy"}, never: wires, why: "settings are values"},
	{packages: "internal/directory", may: none, never: wires, why: "a domain knows no edge"},

	{packages: "internal/session", std: true, may: none, never: wires, why: "values"},
	{packages: "internal/limit", std: true, may: none, never: wires, why: "rules of counting, on values"},

	{packages: "internal/argon2id", may: none, never: wires, why: "values"},
	{packages: "internal/oath", std: true, may: none, never: wires, why: "values"},
	{packages: "internal/authenticator", std: true, may: []string{"internal/policy", "internal/problem"}, never: wires,
		why: "the port"},
	{packages: "internal/authenticator/webauthn", may: []string{"internal/authenticator", "internal/directory", "internal/keyring", "internal/policy", "internal/problem"}, never: []string{"database/sql"},
		why: "as any authenticator; its library can read requests, which brings net/http along"},
	{packages: "internal/authenticator/webauthn/webauthntest", may: none, why: "a key for tests knows no engine"},
	{packages: "internal/authenticator/*", may: []string{"internal/argon2id", "internal/authenticator", "internal/directory", "internal/keyring", "internal/oath", "internal/policy", "internal/pool", "internal/problem"}, never: wires,
		why: "an authenticator acts on nothing: no engine, no store, no other authenticator"},

	{packages: "internal/flow", std: true,
		may:   []string{"internal/audit", "internal/authenticator", "internal/directory", "internal/keyring", "internal/limit", "internal/outbox", "internal/policy", "internal/problem", "internal/session"},
		never: append([]string{module + "/internal/oauth"}, wires...),
		why:   "the rules know no wire, and ask for an interaction code by their own interface"},
	{packages: "internal/account", std: true,
		may:   []string{"internal/audit", "internal/authenticator", "internal/directory", "internal/keyring", "internal/limit", "internal/outbox", "internal/policy", "internal/problem", "internal/session"},
		never: append([]string{module + "/internal/oauth", module + "/internal/flow"}, wires...),
		why:   "what people change knows no wire, and neither the flow nor OAuth"},
	{packages: "internal/metrics", may: none, why: "it counts for everybody and knows nobody"},
	{packages: "internal/accent", std: true, may: none, never: wires, why: "colours are values"},
	{packages: "internal/edge", std: true, may: []string{"internal/accent", "internal/problem"}, never: []string{"database/sql"},
		why: "what all doors share knows none of them"},
	{packages: "internal/ion", std: true, may: []string{"internal/problem"}, never: wires,
		why: "the wire format knows no rules"},
	{packages: "internal/ion/iontest", std: true, may: none, why: "what clients rely on, told by nothing of the engine"},
	{packages: "internal/idxapi", std: true, may: []string{"internal/authenticator", "internal/edge", "internal/flow", "internal/ion", "internal/problem"}, never: []string{"database/sql"},
		why: "an edge translates"},
	{packages: "internal/deviceapi", std: true, may: []string{"internal/accent", "internal/account", "internal/authenticator", "internal/edge", "internal/flow", "internal/limit", "internal/problem"}, never: []string{"database/sql"},
		why: "an edge translates"},
	{packages: "internal/myaccount", std: true, may: []string{"internal/account", "internal/audit", "internal/authenticator", "internal/edge", "internal/policy", "internal/problem"}, never: []string{"database/sql"},
		why: "an edge translates"},
	{packages: "internal/oauth", may: []string{"internal/audit", "internal/directory", "internal/edge", "internal/keyring", "internal/pool", "internal/problem", "internal/session"}, never: []string{"database/sql"},
		why: "OAuth knows nothing of the flow"},

	{packages: "internal/admin", std: true,
		may:   []string{"internal/audit", "internal/authenticator", "internal/directory", "internal/keyring", "internal/oauth", "internal/orgfile", "internal/outbox", "internal/policy", "internal/problem"},
		never: []string{"database/sql"},
		why:   "what operators do knows no wire, no store and no flow"},
	{packages: "internal/adminapi", std: true,
		may:   []string{"internal/admin", "internal/directory", "internal/edge", "internal/oauth", "internal/orgfile", "internal/policy", "internal/problem"},
		never: []string{"database/sql"},
		why:   "an edge translates"},
	{packages: "internal/admincli", std: true, may: []string{"internal/adminapi", "internal/config", "internal/orgfile"}, never: []string{"database/sql"},
		why: "the commands are a client of the management API"},

	{packages: "internal/outbox", std: true, may: []string{"internal/keyring", "internal/problem"}, never: wires,
		why: "it delivers by a port"},
	{packages: "internal/telephony", may: []string{"internal/outbox"}, never: []string{"database/sql"},
		why: "texts know neither flow nor store"},
	{packages: "internal/outbound", std: true, may: none, never: []string{"database/sql"}, why: "it reaches what others name, and knows nobody"},
	{packages: "internal/webpush", may: []string{"internal/outbound", "internal/outbox"}, never: []string{"database/sql"},
		why: "what wakes a device knows neither flow nor store"},
	{packages: "internal/webpush/webpushtest", may: none, why: "a push service for tests knows no engine"},
	{packages: "internal/mail/...", may: []string{"internal/accent", "internal/outbox", "internal/problem"}, never: []string{"database/sql"},
		why: "letters know neither flow nor store"},

	{packages: "internal/store", std: true, may: []string{"internal/audit", "internal/directory", "internal/flow", "internal/limit", "internal/oauth", "internal/outbox", "internal/problem", "internal/session"}, never: []string{"database/sql"},
		why: "the port names the domain's types and no database"},
	{packages: "internal/store/sqlstore", std: true, may: []string{"internal/audit", "internal/directory", "internal/flow", "internal/limit", "internal/oauth", "internal/outbox", "internal/problem", "internal/session", "internal/store"},
		why: "queries are written once, for no driver"},
	{packages: "internal/store/schema", may: none, why: "versions of a schema, in whichever database"},
	{packages: "internal/store/transfer", std: true, may: []string{"internal/audit", "internal/oauth", "internal/store", "internal/store/sqlstore"},
		why: "rows, of whichever database"},
	{packages: "internal/store/sqlite", may: []string{"internal/directory", "internal/flow", "internal/outbox", "internal/store", "internal/store/schema", "internal/store/sqlstore", "internal/store/transfer"},
		why: "an adapter"},
	{packages: "internal/store/postgres", may: []string{"internal/outbox", "internal/store", "internal/store/schema", "internal/store/sqlstore", "internal/store/transfer"},
		why: "an adapter"},
	{packages: "internal/store/postgres/pgtest", may: []string{"internal/loopback", "internal/store/postgres"},
		why: "a server for tests, with the schema"},
	{packages: "internal/store/sqlite/slowtest", may: none, why: "it plants in files alone"},
	{packages: "internal/store/storetest", may: []string{"internal/audit", "internal/directory", "internal/flow", "internal/limit", "internal/oauth", "internal/outbox", "internal/problem", "internal/session", "internal/store", "internal/store/schema"},
		why: "the conformance suite knows the port only"},

	{packages: "internal/app", why: "the one place that knows concrete types"},

	{packages: "internal/load", std: true, may: none, why: "a generator of work knows nothing of it"},
	{packages: "internal/loopback", std: true, may: none, why: "places for the servers of tests"},
	{packages: "internal/attacks", why: "tests of the whole"},
	{packages: "internal/browser", why: "tests of the whole"},
	{packages: "internal/faults/...", why: "tests of the whole"},
}

// Who may import a concrete thing: everybody else knows its port.
var importers = map[string][]string{
	"internal/store/sqlite":    {"internal/app"},
	"internal/store/postgres":  {"internal/app", "internal/store/postgres/pgtest"},
	"internal/store/sqlstore":  {"internal/store/sqlite", "internal/store/postgres", "internal/store/transfer"},
	"internal/authenticator/*": {"internal/app"},

	"internal/authenticator/webauthn/webauthntest": none,
	"internal/deviceapi":                           {"internal/app"},
	"internal/ion/iontest":                         none,
	"internal/webpush":                             {"internal/app"},
	"internal/webpush/webpushtest":                 none,
	"internal/idxapi":                              {"internal/app"},
	"internal/admin":                               {"internal/adminapi", "internal/app"},
	"internal/adminapi":                            {"internal/admincli", "internal/app"},
	"internal/admincli":                            {"cmd/stile"},
	"internal/metrics":                             {"internal/app"},
	"internal/myaccount":                           {"internal/app"},
	"internal/app":                                 {"cmd/stile", "stiletest", "internal/bench"},
	"signin":                                       {"internal/app", "examples/..."},
	"examples/...":                                 {"internal/app", "examples/..."},
	"internal/attacks":                             none,
	"internal/browser":                             none,
	"internal/faults/...":                          none,
	"internal/load":                                none,
	"internal/loopback":                            {"internal/store/postgres/pgtest"},
}

type listed struct {
	ImportPath string
	Imports    []string // of the package itself
	Deps       []string // by any path
}

func TestImports(t *testing.T) {
	for _, p := range list(t, module+"/...") {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.packages, path) })
		if i < 0 {
			t.Errorf("%s: no rule says what it may import; add one", path)
			continue
		}
		r := rules[i]
		for _, imported := range p.Imports {
			inside, ok := strings.CutPrefix(imported, module+"/")
			switch {
			case ok && r.may != nil && !among(r.may, inside) && !sameTree(r.packages, inside):
				t.Errorf("%s imports %s: %s", path, inside, r.why)
			case ok && !mayBeImported(inside, path):
				t.Errorf("%s imports %s, which only %v may", path, inside, importers[concrete(inside)])
			case !ok && !standard(imported) && r.std:
				t.Errorf("%s imports %s: %s", path, imported, r.why)
			}
		}
		for _, dep := range p.Deps {
			if slices.Contains(r.never, dep) {
				t.Errorf("%s depends on %s: %s", path, dep, r.why)
			}
		}
	}
}

// A rule that no package falls under is out of date.
func TestImportRulesAreCurrent(t *testing.T) {
	packages := list(t, module+"/...")
	for _, r := range rules {
		if !slices.ContainsFunc(packages, func(p listed) bool {
			return matches(r.packages, strings.TrimPrefix(p.ImportPath, module+"/"))
		}) {
			t.Errorf("no package is %s", r.packages)
		}
	}
}

// list is what go list knows of packages.
func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func matches(pattern, path string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == tree || strings.HasPrefix(path, tree+"/")
	}
	if parent, ok := strings.CutSuffix(pattern, "/*"); ok {
		below, ok := strings.CutPrefix(path, parent+"/")
		return ok && !strings.Contains(below, "/")
	}
	return pattern == path
}

func among(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

// sameTree reports whether path falls under a rule for a whole tree.
func sameTree(pattern, path string) bool {
	return strings.HasSuffix(pattern, "/...") && matches(pattern, path)
}

func concrete(path string) string {
	for pattern := range importers {
		if matches(pattern, path) {
			return pattern
		}
	}
	return ""
}

func mayBeImported(path, by string) bool {
	pattern := concrete(path)
	return pattern == "" || among(importers[pattern], by)
}

// standard reports whether an import path is the standard library's: its first
// element is no host name.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}
