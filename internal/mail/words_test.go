package mail

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// usedKeys are the keys that the source asks for: literals, and those made of a
// template's name and an ending.
func usedKeys(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{"minutes.one": true}
	source := ""
	for _, file := range []string{"words.go", "compose.go"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source += string(b)
	}
	for _, m := range regexp.MustCompile(`(?:say\(|key := |key = |valid := |valid = )"([^"]+)"`).FindAllStringSubmatch(source, -1) {
		used[m[1]] = true
	}
	endings := regexp.MustCompile(`key ?\+ ?"([^"]+)"`).FindAllStringSubmatch(source, -1)
	for _, template := range templates {
		for _, m := range endings {
			used[string(template)+"."+m[1]] = true
		}
		if template != SignInUnknown {
			used[string(template)+".subject.code"] = true
		}
	}
	delete(used, "minutes.") // the forms are listed above
	return used
}

func TestUX_G41_EnglishIsComplete(t *testing.T) {
	w, err := loadWords(shippedWords)
	if err != nil {
		t.Fatal(err)
	}
	english := w.in("en").words
	used := usedKeys(t)
	if len(used) < 30 {
		t.Fatalf("only %d keys found in the source", len(used))
	}
	for key := range used {
		if english[key] == "" {
			t.Errorf("words/en.json has no %q", key)
		}
	}
	for key := range english {
		if !used[key] {
			t.Errorf("words/en.json has %q, which nothing uses", key)
		}
	}
}

func TestNoPlaceholderIsLeft(t *testing.T) {
	c := newComposer(t)
	for _, template := range templates {
		l := compose(t, c, message(template, func(m *Message) { m.Origin.IP = "192.0.2.1" }))
		for _, s := range []string{l.Subject, l.Text, stripCSS(l.HTML)} {
			if regexp.MustCompile(`\{[a-z]+\}`).MatchString(s) {
				t.Errorf("%s: %s", template, s)
			}
		}
	}
}

func catalog(t *testing.T, files map[string]string) *words {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, data := range files {
		fsys["words/"+name] = &fstest.MapFile{Data: []byte(data)}
	}
	w, err := loadWords(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestUX_M0_9_Language(t *testing.T) {
	w := catalog(t, map[string]string{
		"en.json":    `{"hello":"Hello","bye":"Bye","dir":"ltr"}`,
		"de.json":    `{"hello":"Hallo"}`,
		"pt-BR.json": `{"hello":"Olá"}`,
		"ar.json":    `{"hello":"مرحبا","dir":"rtl"}`,
	})
	for locale, want := range map[string]string{
		"":        "Hello",
		"en-GB":   "Hello",
		"de":      "Hallo",
		"de-AT":   "Hallo",
		"de_CH":   "Hallo",
		"pt":      "Olá",
		"ar-EG":   "مرحبا",
		"tlh":     "Hello",
		"x\r\ny":  "Hello",
		"*":       "Hello",
		"de;q=.1": "Hello",
	} {
		if got := w.in(locale).say("hello"); got != want {
			t.Errorf("%q: %q, want %q", locale, got, want)
		}
	}
	if got := w.in("de").say("bye"); got != "Bye" {
		t.Errorf("UX_G41: a missing key gives %q", got)
	}
	if !w.in("ar").rightToLeft() || w.in("de").rightToLeft() {
		t.Error("direction")
	}
	if got := w.in("ar").isolate("Acme"); got != "\u2068Acme\u2069" {
		t.Errorf("isolate: %q", got)
	}
}

func TestLoadWordsRefuses(t *testing.T) {
	for name, fsys := range map[string]fs.FS{
		"no English": fstest.MapFS{"words/de.json": {Data: []byte(`{}`)}},
		"no JSON":    fstest.MapFS{"words/en.json": {Data: []byte(`{`)}},
		"no tag":     fstest.MapFS{"words/en.json": {Data: []byte(`{}`)}, "words/not a tag.json": {Data: []byte(`{}`)}},
	} {
		if _, err := loadWords(fsys); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestPlurals(t *testing.T) {
	w := catalog(t, map[string]string{
		"en.json": `{"minutes.one":"{n} minute","minutes.other":"{n} minutes"}`,
		"ar.json": `{"minutes.two":"two","minutes.few":"few {n}","minutes.other":"other {n}"}`,
	})
	var got []string
	for _, d := range []time.Duration{0, time.Minute, 89 * time.Second, 2 * time.Minute, 10 * time.Minute, 100 * time.Minute} {
		got = append(got, w.in("en").minutes(d), w.in("ar").minutes(d))
	}
	// The Arabic catalogue has no form for one and takes English's.
	want := []string{
		"1 minute", "1 minute", "1 minute", "1 minute", "1 minute", "1 minute",
		"2 minutes", "two", "10 minutes", "few 10", "100 minutes", "other 100",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestValuesAreNotWords(t *testing.T) {
	w := catalog(t, map[string]string{"en.json": `{"x":"{a} and {b}"}`})
	if got := w.in("en").say("x", "a", "{b}", "b", "{a}"); got != "{b} and {a}" {
		t.Errorf("%q", got)
	}
}

func TestUntilNamesTheDateWhereItIsAnother(t *testing.T) {
	w, err := loadWords(shippedWords)
	if err != nil {
		t.Fatal(err)
	}
	l := w.in("en")
	begin := time.Date(2026, 12, 31, 23, 55, 0, 0, time.UTC)
	if got := until(l, begin.Add(4*time.Minute), begin); got != "23:59 UTC" {
		t.Errorf("%q", got)
	}
	if got := until(l, begin.Add(10*time.Minute), begin); got != "00:05 UTC on 1 January 2027" {
		t.Errorf("%q", got)
	}
}

func TestUX_M0_5_Defuse(t *testing.T) {
	for in, want := range map[string]string{
		"Ada":                       "Ada",
		"  Ada \t Lovelace\n":       "Ada Lovelace",
		"J.R. Smith":                "J. R. Smith",
		"AC/DC":                     "AC/DC",
		"O'Hara-Łukasz":             "O'Hara-Łukasz",
		"Win at evil.example":       "Win at evil. example",
		"http://evil.example":       "http: //evil. example",
		"mailto:x@evil.example":     "mailto: x@ evil. example",
		"evil。example":              "evil。 example",
		"www.evil.example\r\nHello": "www. evil. example Hello",
		"<b>":                       "<b>",
		"a\u202eb\u200bc\x00d\x7f":  "abcd",
		"👩‍🔬":                       "👩‍🔬",
		"\xff\xfe":                  "",
		strings.Repeat("名", 51):     strings.Repeat("名", 49) + "…",
		strings.Repeat("名", 50):     strings.Repeat("名", 50),
		"12.34.56.78":               "12. 34. 56. 78",
	} {
		if got := defuse(in); got != want {
			t.Errorf("defuse(%q) = %q, want %q", in, got, want)
		}
	}
}

func checkDefused(t interface{ Errorf(string, ...any) }, in string) {
	got := defuse(in)
	if n := utf8.RuneCountInString(got); n > maxPersonal {
		t.Errorf("defuse(%q) has %d characters", in, n)
	}
	if strings.ContainsAny(got, "\r\n\x00\t") || !utf8.ValidString(got) {
		t.Errorf("defuse(%q) = %q", in, got)
	}
	if regexp.MustCompile(`[.:@][^ .:@]`).MatchString(strings.TrimSuffix(got, "…")) {
		t.Errorf("defuse(%q) = %q may be read as an address", in, got)
	}
}

func TestDefuseProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkDefused(t, rapid.String().Draw(t, "text")) })
}

func FuzzDefuse(f *testing.F) {
	for _, s := range []string{"Ada", "http://evil.example", "a.b:c@d/e", "\u202e", "名", "...", "a..b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkDefused(t, s) })
}

func TestParseUserAgent(t *testing.T) {
	for ua, want := range map[string][2]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                       {"Chrome", "Windows"},
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":         {"Edge", "Windows"},
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":                 {"Safari", "macOS"},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604": {"Safari", "iPhone"},
		"Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/120.0 Mobile/15E148 Safari/604.1":         {"Chrome", "iPad"},
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                {"Firefox", "Linux"},
		"Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0 Mobile Safari/537":   {"Samsung Internet", "Android"},
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                        {"Chrome", "ChromeOS"},
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36":                         {"Chrome", "Linux"},
		"Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko":                                                                 {"Internet Explorer", "Windows"},
		"okta-auth-js/8.0.0 node/22": {"", ""},
		"curl/8.9.1":                 {"", ""},
		"":                           {"", ""},
		"<b>evil.example</b>":        {"", ""},
		strings.Repeat("x", 600) + "Windows NT Chrome/1": {"", ""},
	} {
		browser, os := ParseUserAgent(ua)
		if got := [2]string{browser, os}; got != want {
			t.Errorf("%q: %q, want %q", ua, got, want)
		}
	}
}

func TestUX_G27_Contrast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rgb{}
		for i := range c {
			c[i] = float64(rapid.IntRange(0, 255).Draw(t, "channel"))
		}
		if got := contrast(c, c.ink()); got < 4.5 {
			t.Errorf("ink on %s reaches %.2f", c, got)
		}
		for _, ground := range []rgb{lightCard, darkCard} {
			if got := contrast(c.readableOn(ground), ground); got < 4.5 {
				t.Errorf("%s for %s on %s reaches %.2f", c.readableOn(ground), c, ground, got)
			}
		}
		if back, ok := parseColor(c.String()); !ok || back != c {
			t.Errorf("%s reads as %s", c, back)
		}
	})
	for _, bad := range []string{"", "#", "red", "#1234", "#12345", "#1234567", "#12345g", "1234567", "#+12345"} {
		if _, ok := parseColor(bad); ok {
			t.Errorf("%q was taken for a colour", bad)
		}
	}
}
