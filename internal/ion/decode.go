package ion

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The limits of a body (SEC S-135). Its size is limited by the reader.
const (
	maxDepth = 16
	maxKeys  = 1000
	maxKey   = 64  // bytes; every value is kept under its whole path
	maxPath  = 256 // bytes
)

// ErrBody is returned for a body that is not one JSON object of plain values.
var ErrBody = errors.New("ion: malformed body")

// A Body is the decoded object: its plain values by dotted path. Numbers keep
// their text, booleans are "true" and "false", null is as good as absent.
// Arrays are the paths that hold something no field of the protocol takes.
type Body struct {
	Values map[string]string
	Arrays []string
}

// Decode reads one JSON object. Repeated keys, keys that are long or hold a dot
// (which two readers would take for different paths), data after the object, more
// than 16 levels or 1,000 keys, and bytes that are not UTF-8 are refused with ErrBody.
func Decode(data []byte) (Body, error) {
	if !utf8.Valid(data) {
		return Body{}, fmt.Errorf("%w: not UTF-8", ErrBody)
	}
	d := &decoder{json: json.NewDecoder(bytes.NewReader(data)), body: Body{Values: map[string]string{}}}
	d.json.UseNumber()
	if t, err := d.json.Token(); err != nil || t != json.Delim('{') {
		return Body{}, fmt.Errorf("%w: not an object", ErrBody)
	}
	if err := d.object("", 1); err != nil {
		return Body{}, err
	}
	if _, err := d.json.Token(); !errors.Is(err, io.EOF) {
		return Body{}, fmt.Errorf("%w: data after the object", ErrBody)
	}
	return d.body, nil
}

type decoder struct {
	json *json.Decoder
	body Body
	keys int
}

func (d *decoder) object(path string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: too deep", ErrBody)
	}
	seen := map[string]bool{}
	for d.json.More() {
		t, err := d.json.Token()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBody, err)
		}
		key := t.(string) // inside an object the decoder yields nothing else here
		if d.keys++; seen[key] || d.keys > maxKeys {
			return fmt.Errorf("%w: repeated or too many keys", ErrBody)
		}
		seen[key] = true
		if len(key) > maxKey || strings.Contains(key, ".") || len(path)+1+len(key) > maxPath {
			return fmt.Errorf("%w: key", ErrBody)
		}
		if path != "" {
			key = path + "." + key
		}
		if err := d.value(key, depth); err != nil {
			return err
		}
	}
	_, err := d.json.Token()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBody, err)
	}
	return nil
}

func (d *decoder) value(path string, depth int) error {
	t, err := d.json.Token()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBody, err)
	}
	switch v := t.(type) {
	case string:
		d.body.Values[path] = v
	case json.Number:
		d.body.Values[path] = v.String()
	case bool:
		d.body.Values[path] = fmt.Sprint(v)
	case json.Delim:
		if v == '{' {
			return d.object(path, depth+1)
		}
		d.body.Arrays = append(d.body.Arrays, path)
		return d.array(depth + 1)
	}
	return nil
}

// array reads over an array within the same limits.
func (d *decoder) array(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: too deep", ErrBody)
	}
	for d.json.More() {
		if d.keys++; d.keys > maxKeys {
			return fmt.Errorf("%w: too many values", ErrBody)
		}
		t, err := d.json.Token()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBody, err)
		}
		switch t {
		case json.Delim('{'):
			inner := &decoder{json: d.json, keys: d.keys, body: Body{Values: map[string]string{}}}
			if err := inner.object("", depth+1); err != nil {
				return err
			}
			d.keys = inner.keys
		case json.Delim('['):
			if err := d.array(depth + 1); err != nil {
				return err
			}
		}
	}
	if _, err := d.json.Token(); err != nil {
		return fmt.Errorf("%w: %w", ErrBody, err)
	}
	return nil
}
