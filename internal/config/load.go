package config

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Faults is all that is wrong with the settings, so that one start tells all of it.
type Faults struct {
	source map[string]string
	list   []string
}

// Add notes a fault of the setting with a key. Its text must not contain secrets.
func (f *Faults) Add(key, format string, args ...any) {
	where := f.source[key]
	if where == "" {
		where = key
	}
	f.list = append(f.list, where+": "+fmt.Sprintf(format, args...))
}

// Err is what was noted, nil if nothing was.
func (f *Faults) Err() error {
	switch len(f.list) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("cannot start: %s", f.list[0])
	}
	return fmt.Errorf("cannot start, for %d reasons:\n  %s", len(f.list), strings.Join(f.list, "\n  "))
}

func (f *Faults) need(key, value string) bool {
	if value == "" {
		f.Add(key, "is needed; set it in the file, as %s or as %s", variable(key), flag(key))
	}
	return value != ""
}

// truth is what a setting says that holds unless it is false.
func (f *Faults) truth(key, value string) bool {
	if value != "" && value != "true" && value != "false" {
		f.Add(key, "%q is neither true nor false", value)
	}
	return value != "false"
}

func (f *Faults) duration(key, value string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most {
		f.Add(key, "%q is not a time from %s to %s, such as 30s", value, least, most)
	}
	return d
}

func (f *Faults) number(key, value string, least, most int) int {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		f.Add(key, "%q is not a number from %d to %d", value, least, most)
	}
	return n
}

func variable(key string) string { return "STILE_" + strings.ToUpper(key) }

func flag(key string) string { return "--" + strings.ReplaceAll(key, "_", "-") }

// Load fills what no flag said from the environment, and what that does not say
// from the file. environ is all of it, as os.Environ has it. What is wrong is in the
// Faults, to which more can be added.
func (s Serve) Load(environ []string) (*Settings, *Faults) {
	f := &Faults{source: map[string]string{}}
	f.noteVariables(environ)
	variables := map[string]string{}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			variables[name] = value
		}
	}
	lookup := func(name string) (string, bool) { value, ok := variables[name]; return value, ok }
	f.fillAll(reflect.ValueOf(&s).Elem(), s.Config, lookup)
	t := s.settings(f)
	t.source = f.source
	return t, f
}

// Source is where a setting comes from, as an operator finds it.
func (t *Settings) Source(key string) string { return or(t.source[key], key) }

// keyOf is the name of a setting in the file.
func keyOf(field reflect.StructField) string {
	return strings.ToLower(strings.TrimPrefix(field.Tag.Get("env"), "STILE_"))
}

// fillAll sets the settings of a struct that no flag has set. The whole file must be
// in order, whichever of them it is read for; empty: there is none.
func (f *Faults) fillAll(v reflect.Value, config string, lookup func(string) (string, bool)) {
	file := map[string]entry{}
	if config != "" {
		file = readFile(config, f)
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Tag.Get("setting") == "-" {
			continue
		}
		kind, secret := field.Tag.Lookup("secret")
		f.fill(v.Field(i), keyOf(field), secret, kind == "whole", lookup, file)
	}
}

// fill sets one setting, and notes where its value comes from. One that is a secret
// as a whole has no form by which it can be told from none. The parser of
// arguments, which puts flags before variables, may have read both already.
func (f *Faults) fill(v reflect.Value, key string, secret, whole bool, lookup func(string) (string, bool), file map[string]entry) {
	in, set := lookup(variable(key))
	name, inFile := "", false
	if secret {
		name, inFile = lookup(variable(key) + "_FILE")
	}
	switch {
	case set && inFile:
		f.Add(key, "%s and %s_FILE are both set; unset one", variable(key), variable(key))
	case !v.IsZero() && set && text(v) == in:
		f.source[key] = variable(key)
	case !v.IsZero():
		f.source[key] = flag(key)
	case in != "":
		f.source[key] = variable(key)
		put(v, strings.Split(in, ","))
	case inFile:
		f.source[key] = variable(key) + "_FILE"
		v.SetString(f.secretFile(key, name))
	case file[key].line > 0:
		e := file[key]
		f.source[key] = fmt.Sprintf("%s:%d: %s", e.file, e.line, key)
		if secret && e.open && (whole || strings.Contains(e.text(), "@")) {
			f.Add(key, "others can read %s, and a password may stand here; run: chmod o-rwx %s", e.file, e.file)
		}
		if e.list && v.Kind() != reflect.Slice {
			f.Add(key, "one value was expected here, not a list")
			return
		}
		put(v, e.values)
	}
}

func put(v reflect.Value, values []string) {
	if v.Kind() == reflect.Slice {
		v.Set(reflect.ValueOf(values))
		return
	}
	v.SetString(strings.Join(values, ","))
}

func text(v reflect.Value) string {
	if list, ok := v.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	return v.String()
}

// secretFile is what a file that a variable names holds, without the line's end.
func (f *Faults) secretFile(key, name string) string {
	info, err := os.Stat(name)
	if err != nil {
		f.Add(key, "%v", err)
		return ""
	}
	if info.Mode().Perm()&0o007 != 0 {
		f.Add(key, "others can read %s; run: chmod o-rwx %s", name, name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		f.Add(key, "%v", err)
	}
	return strings.TrimRight(string(data), "\r\n")
}
