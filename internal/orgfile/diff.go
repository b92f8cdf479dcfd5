package orgfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The ways in which two files differ at a path.
const (
	Added   = "added"
	Changed = "changed"
	Removed = "removed"
	Moved   = "moved" // a list has the same elements in another order, which decides who is first
)

// A Change is one difference. Elements of lists go by their id, key or name.
type Change struct {
	Path string          `json:"path"`
	Kind string          `json:"kind"`
	Old  json.RawMessage `json:"old,omitempty"`
	New  json.RawMessage `json:"new,omitempty"`
}

// String is the change as a line for people.
func (c Change) String() string {
	switch c.Kind {
	case Added:
		return fmt.Sprintf("+ %s: %s", c.Path, c.New)
	case Removed:
		return fmt.Sprintf("- %s: %s", c.Path, c.Old)
	case Moved:
		return fmt.Sprintf("~ %s: order %s -> %s", c.Path, c.Old, c.New)
	}
	return fmt.Sprintf("~ %s: %s -> %s", c.Path, c.Old, c.New)
}

// Diff lists what has to change for old to become what f says, in the order of the file.
func Diff(old, f File) []Change {
	var d differ
	d.objects("", tree(old), tree(f))
	return d.changes
}

// sections is the order of the file; elsewhere keys are in the order of the alphabet.
var sections = []string{
	"version", "enumeration", "brand", "trustedOrigins", "groups",
	"session", "access", "enrollment", "profile", "password", "webauthn", "apps",
}

func tree(f File) map[string]any {
	data, err := json.Marshal(f)
	if err != nil {
		panic(err) // plain values always encode
	}
	var out map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		panic(err)
	}
	return out
}

type differ struct{ changes []Change }

func (d *differ) add(path, kind string, old, new any) {
	c := Change{Path: path, Kind: kind}
	if kind != Added {
		c.Old = compact(old)
	}
	if kind != Removed {
		c.New = compact(new)
	}
	d.changes = append(d.changes, c)
}

func compact(v any) json.RawMessage {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(out.Bytes())
}

func (d *differ) values(path string, old, new any) {
	a, aok := old.(map[string]any)
	b, bok := new.(map[string]any)
	if aok && bok {
		d.objects(path, a, b)
		return
	}
	x, xok := named(old)
	y, yok := named(new)
	if xok && yok {
		d.lists(path, x, y)
		return
	}
	if !bytes.Equal(compact(old), compact(new)) {
		d.add(path, Changed, old, new)
	}
}

func (d *differ) objects(path string, old, new map[string]any) {
	keys := slices.Collect(maps.Keys(old))
	for k := range new {
		if _, ok := old[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		if path == "" {
			return slices.Index(sections, a) - slices.Index(sections, b)
		}
		return strings.Compare(a, b)
	})
	for _, k := range keys {
		at := k
		if path != "" {
			at = path + "." + k
		}
		a, aok := old[k]
		b, bok := new[k]
		switch {
		case !aok:
			d.whole(at, Added, b)
		case !bok:
			d.whole(at, Removed, a)
		default:
			d.values(at, a, b)
		}
	}
}

// whole tells of a value that is on one side only; of a list of named elements, of each.
func (d *differ) whole(path, kind string, v any) {
	l, ok := named(v)
	if !ok {
		d.add(path, kind, v, v)
		return
	}
	for i, name := range l.names {
		d.add(path+"["+name+"]", kind, l.values[i], l.values[i])
	}
}

// A list is one whose elements have names of their own.
type list struct {
	names  []string
	values []any
}

func named(v any) (list, bool) {
	elements, ok := v.([]any)
	if !ok || len(elements) == 0 {
		return list{}, ok
	}
	var l list
	for _, e := range elements {
		o, ok := e.(map[string]any)
		if !ok {
			return list{}, false
		}
		name := ""
		for _, k := range []string{"id", "key", "name"} {
			if s, ok := o[k].(string); ok {
				name = s
				break
			}
		}
		if name == "" || slices.Contains(l.names, name) {
			return list{}, false
		}
		l.names, l.values = append(l.names, name), append(l.values, e)
	}
	return l, true
}

func (d *differ) lists(path string, old, new list) {
	if len(old.names) == 0 && len(new.names) == 0 {
		return
	}
	var kept, keptNew []string
	for i, name := range old.names {
		at := path + "[" + name + "]"
		j := slices.Index(new.names, name)
		if j < 0 {
			d.add(at, Removed, old.values[i], nil)
			continue
		}
		kept = append(kept, name)
		d.values(at, old.values[i], new.values[j])
	}
	for i, name := range new.names {
		if !slices.Contains(old.names, name) {
			d.add(path+"["+name+"]", Added, nil, new.values[i])
			continue
		}
		keptNew = append(keptNew, name)
	}
	if ordered := path != "apps" && path != "groups"; ordered && (!slices.Equal(kept, keptNew)) {
		d.add(path, Moved, kept, keptNew)
	}
}
