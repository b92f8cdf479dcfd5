package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile is the largest file of settings that is read, in bytes.
const maxFile = 64 << 10

// An entry is what a file says of one setting.
type entry struct {
	file   string
	open   bool // others can read the file
	line   int
	values []string
	list   bool
}

func (e entry) text() string { return strings.Join(e.values, ",") }

// readFile reads a file of settings: one mapping of keys to texts and lists of
// texts. Keys that do not exist, and those that stand there twice, are faults.
func readFile(name string, f *Faults) map[string]entry {
	f.source["config"] = name
	all := map[string]entry{}
	info, err := os.Stat(name)
	if err != nil {
		f.unread(err)
		return all
	}
	if info.Size() > maxFile {
		f.Add("config", "is longer than %d bytes", maxFile)
		return all
	}
	data, err := os.ReadFile(name)
	if err != nil {
		f.unread(err)
		return all
	}
	parsed, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // told below, all of them
	if err != nil {
		f.list = append(f.list, fmt.Sprintf("%s:%s", name, plain(err)))
		return all
	}
	if len(parsed.Docs) > 1 {
		f.Add("config", "is more than one document")
		return all
	}
	for _, pair := range pairs(parsed, f) {
		key, line := pair.Key.String(), pair.Key.GetToken().Position.Line
		note := func(format string, args ...any) {
			f.list = append(f.list, fmt.Sprintf("%s:%d: %s: %s", name, line, key, fmt.Sprintf(format, args...)))
		}
		if !known(key) {
			note("there is no such setting%s", meant(key))
			continue
		}
		if before, twice := all[key]; twice {
			note("stands on line %d already", before.line)
			continue
		}
		e := entry{file: name, open: info.Mode().Perm()&0o007 != 0, line: line}
		var ok bool
		if e.values, e.list, ok = values(pair.Value); !ok {
			note("a text was expected here, or a list of texts")
			continue
		}
		all[key] = e
	}
	return all
}

// unread notes why the file cannot be read; the error has its name.
func (f *Faults) unread(err error) {
	f.source["config"] = flag("config")
	hint := ""
	if errors.Is(err, fs.ErrPermission) {
		hint = "; run the command as the user that the engine runs as, for example with sudo -u stile"
	}
	f.Add("config", "%v%s", err, hint)
}

func pairs(file *ast.File, f *Faults) []*ast.MappingValueNode {
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil
	}
	switch body := file.Docs[0].Body.(type) {
	case *ast.MappingNode:
		return body.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{body}
	case *ast.NullNode, *ast.CommentGroupNode:
		return nil
	}
	f.Add("config", "is not a list of settings, key: value")
	return nil
}

// values are the texts of a value; numbers and the like are as they are written.
func values(n ast.Node) (texts []string, list, ok bool) {
	switch n := n.(type) {
	case *ast.NullNode:
		return []string{""}, false, true
	case *ast.StringNode:
		return []string{n.Value}, false, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return []string{n.GetToken().Value}, false, true
	case *ast.LiteralNode:
		return []string{strings.TrimSuffix(n.Value.Value, "\n")}, false, true
	case *ast.SequenceNode:
		for _, item := range n.Values {
			one, list, ok := values(item)
			if list || !ok {
				return nil, true, false
			}
			texts = append(texts, one...)
		}
		return texts, true, true
	}
	return nil, false, false
}

// known reports whether a file may say something of a key.
func known(key string) bool {
	for _, k := range Keys() {
		if k == key {
			return true
		}
	}
	return false
}

// Keys are the names of all settings in a file, in the order of the help.
func Keys() []string {
	var keys []string
	t := reflect.TypeFor[Serve]()
	for i := range t.NumField() {
		if field := t.Field(i); field.Tag.Get("setting") != "-" {
			keys = append(keys, keyOf(field))
		}
	}
	return keys
}

// meant helps those who wrote a flag or a variable in place of its key.
func meant(key string) string {
	s := strings.ToLower(strings.ReplaceAll(strings.TrimLeft(key, "-"), "-", "_"))
	s = strings.TrimPrefix(s, "stile_")
	if s != key && known(s) {
		return "; write " + s
	}
	return ""
}

// plain is an error of the library as one line, which begins with that of the file.
func plain(err error) string {
	var e yaml.Error
	if !errors.As(err, &e) {
		return " " + err.Error()
	}
	if t := e.GetToken(); t != nil && t.Position != nil {
		return fmt.Sprintf("%d: %s", t.Position.Line, e.GetMessage())
	}
	return " " + e.GetMessage()
}
