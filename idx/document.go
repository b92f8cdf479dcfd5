package idx

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An object is a decoded JSON object, read leniently: a member that is missing
// or of another type reads as zero, so that an engine's novelties do no harm.
type object map[string]any

func (o object) str(name string) string {
	s, _ := o[name].(string)
	return s
}

func (o object) int(name string) int {
	f, _ := o[name].(float64)
	if f < 0 || f > 1<<31-1 {
		return 0
	}
	return int(f)
}

func (o object) bool(name string, absent bool) bool {
	if b, ok := o[name].(bool); ok {
		return b
	}
	return absent
}

func (o object) obj(name string) object {
	m, _ := o[name].(map[string]any)
	return m
}

func (o object) list(name string) []object {
	all, _ := o[name].([]any)
	list := make([]object, 0, len(all))
	for _, v := range all {
		if m, ok := v.(map[string]any); ok {
			list = append(list, m)
		}
	}
	return list
}

// A document is one IDX response: the Ion envelope of version 1.0.0.
type document struct {
	root        object
	stateHandle string
	expiresAt   time.Time
	forms       []*form // remediations, in the engine's order, which is significant
	actions     []*form // cancel, currentAuthenticator-resend, …
	messages    []Message
	code        string // interaction code, once the transaction has succeeded
}

var errNotIon = errors.New("idx: not an IDX document")

// parseDocument decodes a body. It fails only where the body is no IDX document
// at all: no JSON object, or another version.
func parseDocument(body []byte) (*document, error) {
	var tree any
	if err := json.Unmarshal(body, &tree); err != nil {
		return nil, errNotIon
	}
	m, _ := tree.(map[string]any)
	root := object(m)
	if root.str("version") != "1.0.0" {
		return nil, errNotIon
	}
	d := &document{root: root, stateHandle: root.str("stateHandle"), messages: readMessages(root)}
	d.expiresAt, _ = time.Parse(time.RFC3339, root.str("expiresAt"))
	for _, r := range root.obj("remediation").list("value") {
		if r.str("name") != "" {
			d.forms = append(d.forms, d.readForm(r.str("name"), r))
		}
	}
	d.readActions()
	for _, f := range root.obj("successWithInteractionCode").list("value") {
		if f.str("name") == "interaction_code" {
			d.code = f.str("value")
			break
		}
	}
	return d, nil
}

// readActions collects what may be done besides the remediations: a member that
// is a form itself, or a form inside the value of one. The order is made stable,
// so that equal documents give equal lists of steps.
func (d *document) readActions() {
	for _, name := range slices.Sorted(maps.Keys(d.root)) {
		member := d.root.obj(name)
		if isForm(member) && name != "successWithInteractionCode" {
			d.actions = append(d.actions, d.readForm(name, member))
		}
		value := member.obj("value")
		for _, inner := range slices.Sorted(maps.Keys(value)) {
			if a := value.obj(inner); isForm(a) {
				d.actions = append(d.actions, d.readForm(name+"-"+inner, a))
			}
		}
	}
}

// isForm holds for objects that can be submitted; rel is the protocol's mark of it.
func isForm(o object) bool {
	_, ok := o["rel"]
	return ok && o.str("href") != ""
}

func (d *document) form(name string) *form {
	for _, f := range d.forms {
		if f.name == name {
			return f
		}
	}
	return nil
}

func (d *document) action(suffix string) *form {
	for _, a := range d.actions {
		if a.name == suffix || strings.HasSuffix(a.name, "-"+suffix) {
			return a
		}
	}
	return nil
}

// current is the authenticator being enrolled or challenged, nil if none is.
func (d *document) current() object {
	if v := d.root.obj("currentAuthenticator").obj("value"); v != nil {
		return v
	}
	return d.root.obj("currentAuthenticatorEnrollment").obj("value")
}

// resolve follows a path of the grammar $.word.word[digits]… and unwraps
// {"type":"object","value":…}. A path that leads nowhere gives nil.
func (d *document) resolve(path string) object {
	// Engines leave "$." out of the name of the challenge for passkeys (AUTH §4.3).
	rest := strings.TrimPrefix(path, "$.")
	var at any = map[string]any(d.root)
	for part := range strings.SplitSeq(rest, ".") {
		name, index, indexed := strings.Cut(part, "[")
		m, _ := at.(map[string]any)
		at = m[name]
		if indexed {
			i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			list, _ := at.([]any)
			if err != nil || i < 0 || i >= len(list) {
				return nil
			}
			at = list[i]
		}
	}
	found, _ := at.(map[string]any)
	if inner := object(found).obj("value"); inner != nil {
		return inner
	}
	return found
}

// relation resolves relatesTo, which is a string on options and a list of one on forms.
func (d *document) relation(o object) object {
	switch p := o["relatesTo"].(type) {
	case string:
		return d.resolve(p)
	case []any:
		if len(p) > 0 {
			s, _ := p[0].(string)
			return d.resolve(s)
		}
	}
	return nil
}

func readMessages(o object) []Message {
	var all []Message
	for _, m := range o.obj("messages").list("value") {
		i18n := m.obj("i18n")
		msg := Message{Class: m.str("class"), Text: m.str("message"), I18n: I18n{Key: i18n.str("key")}}
		params, _ := i18n["params"].([]any)
		for _, p := range params {
			s, _ := p.(string)
			msg.I18n.Params = append(msg.I18n.Params, s)
		}
		all = append(all, msg)
	}
	return all
}

func hasKey(messages []Message, key string) bool {
	for _, m := range messages {
		if m.I18n.Key == key {
			return true
		}
	}
	return false
}
