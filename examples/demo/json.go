package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// A node is a JSON value whose members keep their order, so that a document is
// shown as it was sent.
type node struct {
	kind    kind
	text    string   // of a string its value, of other scalars their spelling
	members []member // of an object; of an array without names
}

type kind int

const (
	scalar kind = iota
	str
	object
	array
)

type member struct {
	name  string
	value *node
}

const maxDepth = 40

func parseJSON(b []byte) (*node, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	n, err := parseNode(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return n, nil
}

func parseNode(dec *json.Decoder, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := t.(type) {
	case string:
		return &node{kind: str, text: v}, nil
	case json.Number:
		return &node{text: v.String()}, nil
	case bool:
		return &node{text: map[bool]string{true: "true", false: "false"}[v]}, nil
	case nil:
		return &node{text: "null"}, nil
	}
	n := &node{kind: array}
	if t == json.Delim('{') {
		n.kind = object
	}
	for dec.More() {
		var m member
		if n.kind == object {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			m.name, _ = name.(string)
		}
		if m.value, err = parseNode(dec, depth+1); err != nil {
			return nil, err
		}
		n.members = append(n.members, m)
	}
	_, err = dec.Token() // the end that More saw
	return n, err
}

// get gives a member of an object, nil where there is none.
func (n *node) get(name string) *node {
	if n == nil || n.kind != object {
		return nil
	}
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// each calls f with every scalar and its name. In an array the name is that of
// the array. The value of an Ion field has the field's name: {"name": "passcode",
// "value": "…"}; that of a secret one is called password, whatever its name.
func (n *node) each(f func(name string, v *node)) { n.walk("", f) }

func (n *node) walk(name string, f func(string, *node)) {
	if n.kind == scalar || n.kind == str {
		f(name, n)
		return
	}
	field := ""
	if at := n.get("name"); at != nil && at.kind == str {
		field = at.text
	}
	if s := n.get("secret"); s != nil && s.text == "true" {
		field = "password"
	}
	for _, m := range n.members {
		switch {
		case n.kind == array:
			m.value.walk(name, f)
		case m.name == "value" && field != "":
			m.value.walk(field, f)
		default:
			m.value.walk(m.name, f)
		}
	}
}

// names passes every member's name through f.
func (n *node) names(f func(string) string) {
	for i := range n.members {
		n.members[i].name = f(n.members[i].name)
		n.members[i].value.names(f)
	}
}

// pretty prints n with two spaces for each level. What fits into a line of so many
// characters is on one.
func (n *node) pretty(line int) string {
	var b strings.Builder
	n.print(&b, "", line)
	return b.String()
}

func (n *node) print(b *strings.Builder, indent string, line int) {
	if n.kind == scalar || n.kind == str || len(n.members) == 0 {
		n.inline(b)
		return
	}
	if len(indent)+n.width(line) <= line {
		n.inline(b)
		return
	}
	open, end := n.brackets()
	b.WriteString(open)
	column := line + 1
	for i, m := range n.members {
		if i > 0 {
			b.WriteByte(',')
		}
		// Plain values fill the line; anything else has one of its own.
		plain := n.kind == array && len(m.value.members) == 0
		if w := m.value.width(line); plain && column+w+len(", ") <= line {
			b.WriteByte(' ')
			column += w + len(", ")
		} else {
			b.WriteString("\n" + indent + "  ")
			column = len(indent) + 2 + w
		}
		if !plain {
			column = line + 1
		}
		if n.kind == object {
			b.WriteString(quote(m.name) + ": ")
		}
		m.value.print(b, indent+"  ", line)
	}
	b.WriteString("\n" + indent + end)
}

func (n *node) inline(b *strings.Builder) {
	switch n.kind {
	case scalar:
		b.WriteString(n.text)
		return
	case str:
		b.WriteString(quote(n.text))
		return
	}
	open, end := n.brackets()
	b.WriteString(open)
	for i, m := range n.members {
		if i > 0 {
			b.WriteString(", ")
		}
		if n.kind == object {
			b.WriteString(quote(m.name) + ": ")
		}
		m.value.inline(b)
	}
	b.WriteString(end)
}

// width is that of the inline form, or any number above enough.
func (n *node) width(enough int) int {
	w := utf8.RuneCountInString(n.text)
	if n.kind != scalar {
		w += 2 // quotes or brackets
	}
	for i, m := range n.members {
		if w > enough {
			break
		}
		if i > 0 {
			w += len(", ")
		}
		if n.kind == object {
			w += utf8.RuneCountInString(m.name) + len(`"": `)
		}
		w += m.value.width(enough)
	}
	return w
}

func (n *node) brackets() (string, string) {
	if n.kind == object {
		return "{", "}"
	}
	return "[", "]"
}

// quote writes a JSON string, and leaves the letters that HTML escapes as they are.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}
