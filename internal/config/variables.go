package config

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// besides are variables with the prefix that are no settings of `stile serve`, and that
// whoever starts it may have for others: STILE_DEBUG is stile dev's, the last three
// are the demo app's.
var besides = []string{"STILE_CONFIG", "STILE_DEBUG", "STILE_ISSUER", "STILE_REDIRECT_URI", "STILE_INBOX"}

// forTests is how those begin that tests set.
const forTests = "STILE_TEST_"

// linked are the variables that Kubernetes makes of a service whose name begins with
// stile. Where a port alone stands in one, somebody meant a setting.
var linked = regexp.MustCompile(`^STILE_(?:.*_)?(?:SERVICE_HOST=|SERVICE_PORT(?:_[^=]*)?=|PORT=[a-z]+://|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?=)`)

// UnknownVariables returns the names of an environment, as of os.Environ, that nothing
// reads, in order: with one of them somebody meant a setting.
func UnknownVariables(environ []string) []string {
	known := map[string]bool{}
	for _, name := range besides {
		known[name] = true
	}
	for _, t := range []reflect.Type{reflect.TypeFor[Serve](), reflect.TypeFor[Dev]()} {
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("env")
			known[name] = true
			if _, secret := t.Field(i).Tag.Lookup("secret"); secret {
				known[name+"_FILE"] = true
			}
		}
	}
	var unknown []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "STILE_") && !strings.HasPrefix(name, forTests) && !known[name] && !linked.MatchString(e) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// noteVariables notes those that nothing reads. What stands in them may be a secret.
func (f *Faults) noteVariables(environ []string) {
	for _, name := range UnknownVariables(environ) {
		hint := ""
		if key := strings.ToLower(strings.TrimPrefix(name, "STILE_")); known(key) {
			hint = "; write " + variable(key)
		} else if key := strings.TrimSuffix(key, "_file"); known(key) {
			hint = ", as " + variable(key) + " is no secret; write that"
		}
		f.Add(name, "there is no such setting%s", hint)
	}
}
