package mail

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// variants are messages that together use all words.
func variants() []Message {
	var out []Message
	for _, template := range templates {
		out = append(out, message(template))
	}
	for _, change := range []func(*Message){
		func(m *Message) { m.FirstName = "" },
		func(m *Message) { m.Link = "" },
		func(m *Message) { m.Inviter, m.Method, m.Date = "", "", time.Time{} },
		func(m *Message) { m.Origin.IP = "192.0.2.1" },
		func(m *Message) { m.Origin = Origin{At: at1402} },
		func(m *Message) { m.Origin.Browser = "" },
		func(m *Message) { m.Origin.OS = "" },
		func(m *Message) { m.Count = 1 },
		func(m *Message) { m.Date = at1402.AddDate(1, 0, 0) },
		func(m *Message) { m.Method = "Password" },
		func(m *Message) { m.Method = "Security Key or Biometric" },
		func(m *Message) { m.Method = "Passkey" },
		func(m *Message) { m.Method = "Email" },
		func(m *Message) { m.Method = "Phone" },
		func(m *Message) { m.Method, m.Which = "Phone", "+1 XXX-XXX-0100" },
		func(m *Message) { m.Method = "Recovery Codes" },
		func(m *Message) { m.Method = "One-Time Code Token" },
		func(m *Message) { m.Method = "Security Question" },
		func(m *Message) { m.Method = "Temporary Access Code" },
		func(m *Message) { m.ExpiresAt = at1402.Add(time.Minute) },
	} {
		for _, template := range templates {
			out = append(out, message(template, change))
		}
	}
	return out
}

// TestUX_G41_EnglishIsComplete composes with words that begin with their own key.
func TestUX_G41_EnglishIsComplete(t *testing.T) {
	english := map[string]string{}
	data, err := shippedWords.ReadFile("words/en.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &english); err != nil {
		t.Fatal(err)
	}
	marked := map[string]string{}
	for key, text := range english {
		marked[key] = "<" + key + ">" + text
	}
	marked["months"] = "<months>" + strings.ReplaceAll(english["months"], "|", "|<months>")
	if data, err = json.Marshal(marked); err != nil {
		t.Fatal(err)
	}
	c, bare := newComposer(t), newComposer(t, func(c *Config) { c.NoCodeInSubject = true })
	c.words = catalog(t, map[string]string{"en.json": string(data)})
	bare.words = c.words
	// English has these forms, and no mail needs them yet.
	used := map[string]bool{"hours.one": true, "days.one": true}
	for _, m := range variants() {
		said := fmt.Sprint(c.view(m), bare.view(m))
		for _, found := range regexp.MustCompile(`<([a-z.-]+)>`).FindAllStringSubmatch(said, -1) {
			used[found[1]] = true
		}
	}
	for key := range english {
		if !used[key] {
			t.Errorf("words/en.json has %q, which nothing uses", key)
		}
	}
}

// TestNothingIsMissing finds words that the catalogue does not have, and words
// that ask for what is not there.
func TestNothingIsMissing(t *testing.T) {
	c := newComposer(t)
	gap := regexp.MustCompile(`\{|\}|  | [.,:;)?]|\(\)|^ | $|^$`)
	for _, m := range variants() {
		v := c.view(m)
		said := slices.Concat([]string{v.Lang, v.Dir, v.Subject, v.Heading, v.Greeting}, v.Body, v.Foot)
		if v.Link != "" {
			said = append(said, v.Button, v.LinkElse, v.LinkOpen)
		}
		if v.Code != "" {
			said = append(said, v.CodeIs, v.LinkCode)
		}
		for _, s := range said {
			// A message that lacks what its template needs is refused before.
			if c.check("id", m) == nil && gap.MatchString(s) {
				t.Errorf("%s says %q", m.Template, s)
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
		"en.json": `{"minutes.one":"{n} minute","minutes.other":"{n} minutes","hours.other":"{n} hours","days.other":"{n} days"}`,
		"ar.json": `{"minutes.two":"two","minutes.few":"few {n}","minutes.other":"other {n}","days.two":"two days"}`,
	})
	var got []string
	for _, d := range []time.Duration{
		0, time.Minute, 89 * time.Second, 2 * time.Minute, 10 * time.Minute, 100 * time.Minute, 48 * time.Hour,
		2 * time.Hour, 150 * time.Minute, 24*time.Hour - time.Second, 7*24*time.Hour - time.Second, 180 * time.Hour,
	} {
		got = append(got, w.in("en").span(d)+", "+w.in("ar").span(d))
	}
	// The Arabic catalogue has no form for one and takes English's.
	want := []string{
		"1 minute, 1 minute", "1 minute, 1 minute", "1 minute, 1 minute", "2 minutes, two", "10 minutes, few 10", "100 minutes, other 100", "2 days, two days",
		"2 hours, 2 hours", "2 hours, 2 hours", "24 hours, 24 hours", "7 days, 7 days", "7 days, 7 days",
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
