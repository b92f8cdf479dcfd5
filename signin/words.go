package signin

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/idx"
)

//go:embed words/*.json
var shipped embed.FS

// fallback is the language that has every key.
const fallback = "en"

// words are what the pages say in one language: texts by stable keys, with
// parameters in braces. A key that is missing is taken from English.
type words struct {
	Lang string
	text map[string]string
	base *words
}

// loadWords reads the shipped catalogues and lays the operator's over them, file
// by file and key by key. A file is named after its language: de.json, pt-BR.json.
func loadWords(over fs.FS) (map[string]*words, error) {
	all := map[string]*words{}
	layer := func(from fs.FS, dir string) error {
		files, err := fs.Glob(from, path.Join(dir, "*.json"))
		if err != nil {
			return fmt.Errorf("signin: catalogue: %w", err)
		}
		for _, file := range files {
			data, err := fs.ReadFile(from, file)
			if err != nil {
				return fmt.Errorf("signin: catalogue: %w", err)
			}
			lang := strings.TrimSuffix(path.Base(file), ".json")
			if all[lang] == nil {
				all[lang] = &words{Lang: lang, text: map[string]string{}}
			}
			if err := json.Unmarshal(data, &all[lang].text); err != nil {
				return fmt.Errorf("signin: catalogue %s: %w", file, err)
			}
		}
		return nil
	}
	if err := layer(shipped, "words"); err != nil {
		return nil, err
	}
	if over != nil {
		if err := layer(over, "."); err != nil {
			return nil, err
		}
	}
	for lang, w := range all {
		if lang != fallback {
			w.base = all[fallback]
		}
	}
	return all, nil
}

func (w *words) lookup(key string) (string, bool) {
	for ; w != nil; w = w.base {
		if s, ok := w.text[key]; ok {
			return s, true
		}
	}
	return "", false
}

// T gives the text of key as plain text. args are pairs of a parameter's name and value.
func (w *words) T(key string, args ...any) string {
	return w.fill(key, args, func(v any) string { return fmt.Sprint(v) })
}

// H is T for a place that takes markup: all is escaped but values that are
// template.HTML already.
func (w *words) H(key string, args ...any) template.HTML {
	return template.HTML(w.fill(key, args, func(v any) string {
		if h, ok := v.(template.HTML); ok {
			return string(h)
		}
		return template.HTMLEscapeString(fmt.Sprint(v))
	}))
}

// fill puts args into the text of key, once: what looks like a parameter inside a
// value stays as it is.
func (w *words) fill(key string, args []any, show func(any) string) string {
	s, ok := w.lookup(key)
	if !ok {
		s = key
	}
	var out strings.Builder
	for {
		before, rest, open := strings.Cut(s, "{")
		out.WriteString(show(before))
		if !open {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		value := any("{" + name + "}")
		for i := 0; i+1 < len(args); i += 2 {
			if args[i] == name {
				value = args[i+1]
			}
		}
		out.WriteString(show(value))
		s = after
	}
}

// Strong marks a value that must stand out and keep its own direction, such as an
// address inside a sentence.
func (w *words) Strong(s string) template.HTML {
	return template.HTML(`<strong><bdi>` + template.HTMLEscapeString(s) + `</bdi></strong>`)
}

// N is T in the form that n asks for: key.one or key.other.
func (w *words) N(key string, n int, args ...any) string {
	form := ".other"
	if n == 1 {
		form = ".one"
	}
	return w.T(key+form, append(args, "n", strconv.Itoa(n))...)
}

// Wait says a length of time in words, rounded up: "12 seconds", "4 minutes".
func (w *words) Wait(d time.Duration) string {
	switch s := max(1, int((d+time.Second-1)/time.Second)); {
	case s <= 60:
		return w.N("time.seconds", s)
	case s <= 3600:
		return w.N("time.minutes", (s+59)/60)
	case s <= 48*3600:
		return w.N("time.hours", (s+3599)/3600)
	default:
		return w.N("time.days", (s+24*3600-1)/(24*3600))
	}
}

// Day says a day, which the page's script puts as the reader is used to it.
func (w *words) Day(t time.Time) template.HTML { return w.time(t, "day", w.day(t)) }

// Moment says a day and a time.
func (w *words) Moment(t time.Time) template.HTML {
	return w.time(t, "moment", w.T("date.moment", "day", w.day(t), "time", t.UTC().Format("15:04")))
}

func (w *words) day(t time.Time) string {
	t = t.UTC()
	return w.T("date.day", "day", t.Day(), "month", w.T("date.month."+strconv.Itoa(int(t.Month()))), "year", t.Year())
}

func (w *words) time(t time.Time, as, text string) template.HTML {
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `" data-as="` + as + `">` + template.HTMLEscapeString(text) + `</time>`)
}

// Dir is the direction of the language's script.
func (w *words) Dir() string {
	lang, _, _ := strings.Cut(w.Lang, "-")
	if slices.Contains([]string{"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"}, lang) {
		return "rtl"
	}
	return "ltr"
}

// message gives the words for a note: the catalogue's for its key, else the
// engine's own.
func (w *words) message(n note) string {
	if n.Key == notMet && len(n.Params) == 0 {
		return w.T("password.not_met")
	}
	for _, key := range []string{"engine." + n.Key, n.Key} {
		if _, ok := w.lookup(key); ok {
			var args []any
			for i, p := range n.Params {
				args = append(args, strconv.Itoa(i), p)
			}
			return w.T(key, args...)
		}
	}
	if n.Text != "" {
		return n.Text
	}
	return w.T("error.unknown")
}

// notMet is the protocol's key for a password that the policy does not take; its
// parameter is a sentence that says why.
const notMet = "password.passwordRequirementsNotMet"

// A note is a message kept between a POST and the page that shows it.
type note struct {
	Key    string   `json:"k,omitempty"`
	Params []string `json:"p,omitempty"`
	Text   string   `json:"t,omitempty"`
	Class  string   `json:"c,omitempty"` // "" is an error
	Field  string   `json:"f,omitempty"`
	Until  int64    `json:"u,omitempty"` // Unix seconds; not shown from then on
}

const info = "INFO"

// notes keeps messages. One of a key and field is enough, and the second of the two
// that the protocol sends for a malformed address says nothing new.
func notes(messages []idx.Message) []note {
	var all []note
	for _, m := range messages {
		n := note{Key: m.I18n.Key, Params: m.I18n.Params, Text: clip(m.Text, 300), Field: m.Field}
		if m.Class == info || m.Class == "WARNING" {
			n.Class = info
		}
		twin := slices.ContainsFunc(all, func(have note) bool {
			return have.Field == n.Field && (have.Key == n.Key || n.Field != "" && have.Class == n.Class)
		})
		if !twin {
			all = append(all, n)
		}
	}
	return all
}

// chooseWords picks the first wish that there is a catalogue for: the language as
// it stands, then without its region (RFC 4647 §3.4).
func (p *Pages) chooseWords(wishes ...string) *words {
	for _, wish := range wishes {
		for _, tag := range tags(wish) {
			for ; tag != ""; tag, _, _ = cutLast(tag, "-") {
				for lang, w := range p.languages {
					if strings.EqualFold(lang, tag) {
						return w
					}
				}
				if !strings.Contains(tag, "-") {
					break
				}
			}
		}
	}
	return p.languages[fallback]
}

// tags gives the languages of an Accept-Language or ui_locales value, the most
// wanted first.
func tags(s string) []string {
	type wish struct {
		tag string
		q   float64
	}
	var wishes []wish
	for part := range strings.FieldsFuncSeq(clip(s, 500), func(r rune) bool { return r == ',' || r == ' ' }) {
		tag, params, _ := strings.Cut(part, ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			q, _ = strconv.ParseFloat(v, 64)
		}
		if tag = strings.TrimSpace(strings.ReplaceAll(tag, "_", "-")); tag != "" && q > 0 {
			wishes = append(wishes, wish{tag, q})
		}
	}
	slices.SortStableFunc(wishes, func(a, b wish) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	all := make([]string, len(wishes))
	for i, w := range wishes {
		all[i] = w.tag
	}
	return all
}
