package mail

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed words
var shippedWords embed.FS

// Words are the catalogues, one per language, in the order that the matcher knows.
type words struct {
	matcher  language.Matcher
	lexicons []lexicon
}

// A lexicon is one language's words by key; English stands in for a missing key.
type lexicon struct {
	tag      language.Tag
	words    map[string]string
	fallback map[string]string
}

// loadWords reads the catalogues words/*.json, named by BCP 47 tag. There must be English.
func loadWords(fsys fs.FS) (*words, error) {
	names, err := fs.Glob(fsys, "words/*.json")
	if err != nil {
		return nil, err
	}
	w := &words{}
	english := -1
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		l := lexicon{}
		if err := json.Unmarshal(data, &l.words); err != nil {
			return nil, fmt.Errorf("mail: %s: %w", name, err)
		}
		if l.tag, err = language.Parse(strings.TrimSuffix(path.Base(name), ".json")); err != nil {
			return nil, fmt.Errorf("mail: %s: %w", name, err)
		}
		if l.tag == language.English {
			english = len(w.lexicons)
		}
		w.lexicons = append(w.lexicons, l)
	}
	if english < 0 {
		return nil, errors.New("mail: no words/en.json")
	}
	// The first is what the matcher falls back to.
	w.lexicons[0], w.lexicons[english] = w.lexicons[english], w.lexicons[0]
	var tags []language.Tag
	for i := range w.lexicons {
		w.lexicons[i].fallback = w.lexicons[0].words
		tags = append(tags, w.lexicons[i].tag)
	}
	w.matcher = language.NewMatcher(tags)
	return w, nil
}

// in returns the words that fit a locale best.
func (w *words) in(locale string) *lexicon {
	tag, err := language.Parse(locale)
	if err != nil {
		return &w.lexicons[0]
	}
	_, i, _ := w.matcher.Match(tag)
	return &w.lexicons[i]
}

// say returns the words of a key with {name}s replaced; values come as pairs of
// name and value, and are not looked into again.
func (l *lexicon) say(key string, pairs ...string) string {
	text, ok := l.words[key]
	if !ok {
		text = l.fallback[key]
	}
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "{")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				out.WriteString(pairs[i+1])
			}
		}
		text = after
	}
}

func (l *lexicon) has(key string) bool {
	_, own := l.words[key]
	_, english := l.fallback[key]
	return own || english
}

func (l *lexicon) rightToLeft() bool { return l.say("dir") == "rtl" }

// clock writes a time of day to the minute with its zone.
func (l *lexicon) clock(t time.Time) string {
	return l.say("clock", "time", t.Format("15:04"), "zone", zone(t))
}

// moment writes a time of day and its date (UX M0.8).
func (l *lexicon) moment(t time.Time) string {
	return l.say("moment",
		"time", t.Format("15:04"), "zone", zone(t), "day", strconv.Itoa(t.Day()), "month", l.month(t), "year", strconv.Itoa(t.Year()))
}

// day writes the date of t as begin's zone has it, with the year if that is another.
func (l *lexicon) day(t, begin time.Time) string {
	t = t.In(begin.Location())
	key := "day"
	if t.Year() != begin.Year() {
		key = "day.year"
	}
	return l.say(key, "day", strconv.Itoa(t.Day()), "month", l.month(t), "year", strconv.Itoa(t.Year()))
}

func (l *lexicon) month(t time.Time) string {
	if names := strings.Split(l.say("months"), "|"); len(names) == 12 {
		return names[t.Month()-1]
	}
	return ""
}

func zone(t time.Time) string {
	name, offset := t.Zone()
	switch {
	case offset == 0:
		return "UTC"
	case name != "" && unicode.IsLetter(rune(name[0])):
		return name
	}
	return t.Format("UTC-07:00")
}

// span writes a length of time: minutes, from two hours on whole hours, from two
// days on whole days. Its end is written beside it, to the minute.
func (l *lexicon) span(d time.Duration) string {
	switch n := int(d.Round(time.Minute) / time.Minute); {
	case n >= 48*60:
		return l.count("days", n/(24*60))
	case n >= 2*60:
		return l.count("hours", n/60)
	default:
		return l.count("minutes", max(1, n))
	}
}

// count writes a number of something in the language's plural form.
func (l *lexicon) count(what string, n int) string {
	form := [...]string{
		plural.Other: "other", plural.Zero: "zero", plural.One: "one",
		plural.Two: "two", plural.Few: "few", plural.Many: "many",
	}[plural.Cardinal.MatchPlural(l.tag, n, 0, 0, 0, 0)]
	key := what + "." + form
	if !l.has(key) {
		key = what + ".other"
	}
	return l.say(key, "n", strconv.Itoa(n))
}

// isolate keeps text of the other direction from disturbing the sentence that it
// is put into, as HTML's bdi element does, but in plain text too.
func (l *lexicon) isolate(s string) string {
	if s == "" || l.rightToLeft() == strings.ContainsFunc(s, rightToLeft) {
		return s
	}
	return "\u2068" + s + "\u2069"
}

func rightToLeft(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Adlam)
}

// article is the English indefinite article of a name; other languages' words do not use it.
func article(name string) string {
	if name != "" && strings.ContainsRune("aeiouAEIOU", rune(name[0])) {
		return "an"
	}
	return "a"
}
