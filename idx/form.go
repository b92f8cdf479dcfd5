package idx

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A form is a remediation or an action: where to post, and which fields.
type form struct {
	name, href, method, accepts string

	fields  []field
	related object // the authenticator that it is about
	refresh time.Duration
	submit  bool // it has rel; without, it is a place to send the browser to
}

type field struct {
	name, label, kind        string
	required, secret, hidden bool
	fixed                    bool // mutable: false; goes back as it came
	minLength, maxLength     int
	value                    any
	fields                   []field // of a nested form
	options                  []option
	messages                 []Message
	related                  object
}

type option struct {
	label   string
	value   any     // of a plain choice
	fields  []field // of a choice that is a form itself
	related object
}

// maxDepth bounds how far forms nest; the protocol nests twice.
const maxDepth = 4

func (d *document) readForm(name string, o object) *form {
	return &form{
		name:    name,
		href:    o.str("href"),
		method:  o.str("method"),
		accepts: o.str("accepts"),
		fields:  d.readFields(o.list("value"), 0),
		related: d.relation(o),
		refresh: time.Duration(o.int("refresh")) * time.Millisecond,
		submit:  isForm(o),
	}
}

func (d *document) readFields(list []object, depth int) []field {
	if depth == maxDepth {
		return nil
	}
	var all []field
	for _, o := range list {
		f := field{
			name:      o.str("name"),
			label:     o.str("label"),
			kind:      o.str("type"),
			required:  o.bool("required", false),
			secret:    o.bool("secret", false),
			hidden:    !o.bool("visible", true),
			fixed:     !o.bool("mutable", true),
			minLength: o.int("minLength"),
			maxLength: o.int("maxLength"),
			value:     o["value"],
			messages:  readMessages(o),
			related:   d.relation(o),
		}
		inner := o.obj("form")
		if inner == nil {
			inner = o.obj("value").obj("form")
		}
		if inner != nil {
			f.fields, f.value = d.readFields(inner.list("value"), depth+1), nil
		}
		for _, c := range o.list("options") {
			f.options = append(f.options, option{
				label:   c.str("label"),
				value:   c["value"],
				fields:  d.readFields(c.obj("value").obj("form").list("value"), depth+1),
				related: d.relation(c),
			})
		}
		if f.name != "" {
			all = append(all, f)
		}
	}
	return all
}

// key is the value by which a person's choice names the option: an
// authenticator's key, or the plain value.
func (o option) key() string {
	if k := o.related.str("key"); k != "" {
		return k
	}
	switch v := o.value.(type) {
	case string:
		return v
	case bool, float64:
		return fmt.Sprint(v)
	}
	return o.fixed("id")
}

func (o option) fixed(name string) string {
	for _, f := range o.fields {
		if f.name == name {
			s, _ := f.value.(string)
			return s
		}
	}
	return ""
}

// matches accepts the id of the authenticator or of the enrollment too, for
// those who have two of a kind.
func (o option) matches(choice string) bool {
	return choice != "" && (choice == o.key() || choice == o.fixed("id") || choice == o.fixed("enrollmentId"))
}

// A leaf is one value that a form takes, under the name by which callers know it.
type leaf struct {
	InputField
	aliases []string
	hidden  bool
	choice  bool // an authenticator's key stands for a whole option
}

// inputs are the option's own fields that are for the caller to fill in.
func (o option) inputs() []InputField {
	var all []InputField
	for _, fd := range o.fields {
		if !fd.fixed && !fd.hidden && fd.name != "id" {
			all = append(all, newLeaf(fd, fd.name, fd.name).InputField)
		}
	}
	return all
}

// isChoice holds where the options are forms themselves.
func (fd field) isChoice() bool {
	return slices.ContainsFunc(fd.options, func(o option) bool { return len(o.fields) > 0 })
}

// leaves flattens the form. Names follow the protocol's public clients: the
// identifier is "username", a profile's fields lose their prefix, and a passcode
// is named by what it is. Values that the engine fixed are not among them.
func (f *form) leaves() []leaf {
	var all []leaf
	for _, fd := range f.fields {
		switch {
		case fd.fixed || fd.name == "stateHandle":
		case len(fd.fields) > 0:
			all = append(all, f.nested(fd, fd.fields)...)
		case fd.isChoice():
			all = append(all, f.choice(fd)...)
		case fd.name == "identifier":
			all = append(all, newLeaf(fd, "username", fd.name))
		default:
			all = append(all, newLeaf(fd, fd.name, fd.name))
		}
	}
	return all
}

func newLeaf(fd field, name string, path ...string) leaf {
	l := leaf{hidden: fd.hidden, aliases: []string{strings.Join(path, ".")}}
	l.InputField = InputField{
		Name: name, Label: fd.label, Type: fd.kind, Required: fd.required, Secret: fd.secret,
		MinLength: fd.minLength, MaxLength: fd.maxLength, Value: fd.value, path: path,
	}
	for _, o := range fd.options {
		l.Options = append(l.Options, Option{Label: o.label, Value: o.key(), Inputs: o.inputs()})
	}
	for _, m := range fd.messages {
		m.Field = name
		l.Messages = append(l.Messages, m)
	}
	return l
}

func (f *form) nested(outer field, inner []field) []leaf {
	var all []leaf
	for _, fd := range inner {
		if fd.fixed {
			continue
		}
		name := outer.name + "." + fd.name
		switch outer.name {
		case "userProfile", "authenticator":
			name = fd.name
		case "credentials":
			name = fd.name
			if fd.name == "passcode" || fd.name == "totp" {
				name = f.passcodeName(outer)
				if fd.kind == "" {
					fd.kind = "string"
				}
			}
		}
		l := newLeaf(fd, name, outer.name, fd.name)
		switch name {
		case "verificationCode":
			l.aliases = append(l.aliases, "otp", "passcode")
		case "password", "newPassword":
			l.aliases = append(l.aliases, "password", "newPassword", "passcode")
		}
		if len(all) == 0 {
			// What the engine says of the whole is said of its first part.
			l.Required = l.Required || (outer.required && outer.name == "credentials")
			for _, m := range outer.messages {
				m.Field = name
				l.Messages = append(l.Messages, m)
			}
		}
		all = append(all, l)
	}
	return all
}

func (f *form) passcodeName(outer field) string {
	about := outer.related
	if about == nil {
		about = f.related
	}
	password := about.str("key") == "okta_password" || about.str("type") == "password"
	switch {
	case f.name == "identify", strings.HasPrefix(f.name, "enroll-profile"):
		return "password"
	case strings.HasPrefix(f.name, "reenroll-authenticator") && (password || about == nil):
		return "newPassword"
	case password, f.name == "reset-authenticator" && about == nil:
		return "password"
	}
	return "verificationCode"
}

// choice flattens a field whose options are forms: the choice of an
// authenticator, or sets of fields of which one is to be filled in.
func (f *form) choice(fd field) []leaf {
	if fd.name == "authenticator" {
		if fd.kind == "object" {
			fd.kind = "string"
		}
		l := newLeaf(fd, "authenticator", "authenticator")
		l.choice = true
		return []leaf{l}
	}
	var all []leaf
	for _, o := range fd.options {
		for _, l := range f.nested(field{name: fd.name}, o.fields) {
			at := slices.IndexFunc(all, func(have leaf) bool { return have.Name == l.Name })
			if at < 0 {
				all = append(all, l)
			}
		}
	}
	for i := range all {
		needed := func(o option) bool {
			return slices.ContainsFunc(o.fields, func(fd field) bool {
				return fd.name == all[i].path[1] && fd.required && !fd.fixed
			})
		}
		all[i].Required = !slices.ContainsFunc(fd.options, func(o option) bool { return !needed(o) })
	}
	return all
}

// body builds what is posted: fixed fields as they came, pre-filled ones unless
// the caller has another value, and the caller's. It returns the names it used.
func (f *form) body(v values) (map[string]any, []string) {
	body := map[string]any{}
	var used []string
	leaves := f.leaves()
	for _, fd := range f.fields {
		switch {
		case len(fd.fields) > 0:
			sub := presets(fd.fields)
			used = append(used, fill(sub, leaves, fd.name, v)...)
			if len(sub) > 0 {
				body[fd.name] = sub
			}
		case fd.isChoice():
			o, ok := fd.choose(v)
			if !ok {
				continue
			}
			sub := presets(o.fields)
			for _, inner := range o.fields {
				if x, name := v.find(newLeaf(inner, inner.name, fd.name, inner.name)); name != "" && !inner.fixed {
					sub[inner.name] = x
					used = append(used, name)
				}
			}
			if fd.name == "authenticator" {
				used = append(used, "authenticator")
			}
			body[fd.name] = sub
		case fd.fixed:
			body[fd.name] = fd.value
			if fd.value == nil {
				body[fd.name] = ""
			}
		default:
			if truthy(fd.value) {
				body[fd.name] = fd.value
			}
		}
	}
	used = append(used, fill(body, leaves, "", v)...)
	return body, used
}

func presets(fields []field) map[string]any {
	set := map[string]any{}
	for _, fd := range fields {
		if truthy(fd.value) {
			set[fd.name] = fd.value
		}
	}
	return set
}

// fill sets the leaves inside parent, or, for an empty parent, those at the top.
func fill(into map[string]any, leaves []leaf, parent string, v values) (used []string) {
	for _, l := range leaves {
		within, name := "", l.path[0]
		if len(l.path) > 1 {
			within, name = l.path[0], l.path[1]
		}
		if within != parent || l.choice {
			continue
		}
		if x, found := v.find(l); found != "" {
			into[name] = x
			used = append(used, found)
		}
	}
	return used
}

// choose picks the option that the values name, or, where options are sets of
// fields, the one that they fill in with the least left over.
func (fd field) choose(v values) (option, bool) {
	if fd.name == "authenticator" {
		choice, _ := v["authenticator"].(string)
		for _, o := range fd.options {
			if o.matches(choice) {
				return o, true
			}
		}
		return option{}, false
	}
	known := map[string]bool{}
	for _, o := range fd.options {
		for _, inner := range o.fields {
			if _, ok := v[inner.name]; ok {
				known[inner.name] = true
			}
		}
	}
	best, least, found := option{}, len(known), false
	for _, o := range fd.options {
		left := maps.Clone(known)
		missing := false
		for _, inner := range o.fields {
			missing = missing || (inner.required && !inner.fixed && !known[inner.name])
			delete(left, inner.name)
		}
		if !missing && len(left) < least {
			best, least, found = o, len(left), true
		}
	}
	return best, found
}

func truthy(x any) bool {
	switch t := x.(type) {
	case nil:
		return false
	case string:
		return t != ""
	case bool:
		return t
	case float64:
		return t != 0
	}
	return false
}
