package signin

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-id/stile/idx"
)

func TestUX_P3_3_NormalCode(t *testing.T) {
	for in, want := range map[string]string{
		"123456":                         "123456",
		" 123456 ":                       "123456",
		"123 456":                        "123456",
		"1 2 3 4 5 6":                    "123456",
		"123-456":                        "123456",
		"123–456":                        "123456", // en dash
		"123−456":                        "123456", // minus sign
		"123\u00a0456":                   "123456",
		"12\u200b3456":                   "123456",
		"123456\r\n":                     "123456",
		"12\n34\n56":                     "123456",
		"Code: 123456":                   "123456",
		"code:123456.":                   "123456",
		"123456 is your Acme code":       "123456",
		"Your code 123456, for 10 mins.": "123456",
		"１２３４５６":                         "123456", // full-width
		"٠١٢٣٤٥":                         "012345", // Arabic-Indic
		"۰۱۲۳۴۵":                         "012345", // extended Arabic-Indic
		"१२३४५६":                         "123456", // Devanagari
		"𝟙𝟚𝟛𝟜𝟝𝟞":                         "123456", // mathematical
		"1234567890":                     "1234567890",
		"12345":                          "12345",
		"AB12 CD":                        "AB12CD",
		"":                               "",
		"  ":                             "",
		"Code:":                          "Code:",
	} {
		if got := normalCode(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestAUTH_A43_CodesWithLettersAreLeftAsTyped(t *testing.T) {
	for _, x := range []struct{ authenticator, typed, want string }{
		{"tac", "k3m4-8123-45wq-abcd", "k3m4-8123-45wq-abcd"},
		{"tac", "0123 4567 89ab cdef", "0123 4567 89ab cdef"},
		{"tac", "1234-5678-9012-3456", "1234-5678-9012-3456"},
		{"recovery_code", "k3m4-8123-45wq-abcd-8x", "k3m4-8123-45wq-abcd-8x"},
		{"google_otp", "123 456", "123456"},
		{"custom_otp", "Code: 12345678.", "12345678"},
		{"okta_verify", "123-456", "123456"},
		{"", "123 456", "123456"},
	} {
		step := &idx.NextStep{}
		if x.authenticator != "" {
			step.Authenticator = &idx.Authenticator{Key: x.authenticator}
		}
		if got := typedCode(step, x.typed); got != x.want {
			t.Errorf("%s: %q gives %q, want %q", x.authenticator, x.typed, got, x.want)
		}
	}
}

// Whatever code an operator hands out, and however it is grouped, all of it goes to
// the engine.
func TestAUTH_A43_EveryAccessCodeCanBeEntered(t *testing.T) {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	step := &idx.NextStep{Authenticator: &idx.Authenticator{Key: "tac"}}
	rapid.Check(t, func(t *rapid.T) {
		chars := rapid.SliceOfN(rapid.SampledFrom([]rune(alphabet+"0123456789")), 16, 16).Draw(t, "code") // more digits than by chance
		between := rapid.SampledFrom([]string{"-", " ", "", "\u2011", "\u00a0"}).Draw(t, "between")
		var code strings.Builder
		for i, r := range chars {
			if i > 0 && i%4 == 0 {
				code.WriteString(between)
			}
			code.WriteRune(r)
		}
		if got := typedCode(step, code.String()); got != code.String() {
			t.Fatalf("%q is given on as %q", code.String(), got)
		}
	})
}

func TestUX_P2_5_Addresses(t *testing.T) {
	for in, want := range map[string]string{
		"ada@example.com":             "",
		"ada+news@example.com":        "",
		"a@b.c.d.example.co.uk":       "",
		"ada@example.photography":     "",
		"ada@exämple.de":              "",
		"ada@xn--exmple-cua.de":       "",
		"o'brien@example.com":         "",
		"ada..b@example.com":          "", // decision D40: two dots are the domain's fault only
		`"ada@home"@example.com`:      "",
		"ada@[192.0.2.1]":             "",
		"пример@пример.рф":            "",
		"ada@localhost":               "",
		"":                            "error.email.blank",
		"ada":                         "error.email.at",
		"ada.example.com":             "error.email.at",
		"@example.com":                "error.email.local",
		"ada@":                        "error.email.domain",
		"ada@example..com":            "error.email.dots",
		"ada@.example.com":            "error.email.dots",
		"ada@example.com.":            "error.email.dots",
		"ada @example.com":            "error.email.space",
		"ada@exam ple.com":            "error.email.space",
		"ada\t@example.com":           "error.email.space",
		"ada\u202e@example.com":       "error.email.space",
		"ada@home@example.com":        "error.email.twice",
		long("a", 243) + "@example.x": "",
		long("a", 254) + "@x.example": "error.email.long",
	} {
		if got := addressFault(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"  Ada@Example.COM\r\n": "Ada@example.com",
		"\ufeffada@example.com": "ada@example.com",
		"ada@EXÄMPLE.de":        "ada@exämple.de",
		"no address":            "no address",
	} {
		if got := normalAddress(in); got != want {
			t.Errorf("UX P1.3: %q gives %q, want %q", in, got, want)
		}
	}
}

func long(s string, n int) string { return strings.Repeat(s, n) }

func TestUX_P2_4_Names(t *testing.T) {
	good := []string{
		"Ada", "A", "O'Brien", "O’Brien", "Anne-Marie", "van der Berg", "Ludwig van", "José", "Zoë", "Øystein", "Þórr",
		"Łukasz", "Çelik", "Ñandú", "Nguyễn", "Đặng", "İbrahim", "Čapek", "Ștefan", "Ágnes", "Jürgen", "Gößling", "Ἀριστοτέλης",
		"Ольга", "Ђорђе", "Հայկ", "ნინო", "אברהם", "محمد", "عبد الله", "فاطمه\u200cزهرا", "अनिल", "தமிழ்", "ஆ", "ไทย", "ខ្មែរ",
		"李", "王小明", "山田 太郎", "김민준", "ປະເທດ", "བསྟན་འཛིན", "ኃይለ", "ᏔᎵ", "X Æ A-12", "Jr.", "3rd", "d'Artagnan", "<b>", "Null",
		"\u200fשלום", "👩‍🚀", long("é", 50), "\"Ada\"",
	}
	if len(good) < 50 {
		t.Fatalf("only %d names", len(good))
	}
	for _, name := range good {
		if got := nameFault(trim(name), true, maxName); got != "" {
			t.Errorf("%q: %s", name, got)
		}
	}
	for name, want := range map[string]string{
		"": "blank", " \t ": "blank", long("a", 51): "long", long("李", 51): "long",
		"Ada\x00": "unprintable", "Ada\nLovelace": "unprintable", "\u202eadA": "unprintable", "a\u2066b": "unprintable", "a\xffb": "unprintable",
	} {
		if got := nameFault(trim(name), true, maxName); got != want {
			t.Errorf("%q gives %q, want %q", name, got, want)
		}
	}
	if got := nameFault("", false, maxName); got != "" {
		t.Errorf("an optional name may be left out, got %q", got)
	}
}

func TestUX_G27_ContrastOfTheBrand(t *testing.T) {
	rng := rand.New(rand.NewPCG(27, 27))
	for range 1000 {
		c := color{uint8(rng.UintN(256)), uint8(rng.UintN(256)), uint8(rng.UintN(256))}
		for name, s := range map[string]scheme{"light": light, "dark": dark} {
			got := map[string]color{}
			for part := range strings.SplitSeq(strings.Trim(palette(c, s), ";"), ";") {
				name, value, _ := strings.Cut(part, ":")
				parsed, err := parseColor(value)
				if err != nil {
					t.Fatal(err)
				}
				got[name] = parsed
			}
			for _, at := range []struct {
				what string
				a, b color
				want float64
			}{
				{"text on the button", got["--on-accent"], got["--accent"], 4.5},
				{"links on the card", got["--accent-ink"], s.card, 4.5},
				{"links on the ground", got["--accent-ink"], s.ground, 4.5},
				{"the button's edge", got["--accent-edge"], s.card, 3},
				{"focus", got["--accent-ink"], s.card, 3},
			} {
				if r := contrast(at.a, at.b); r < at.want {
					t.Errorf("%s %s: %s has %.2f:1, want %.1f:1", name, c, at.what, r, at.want)
				}
			}
		}
	}
	if _, err := parseColor("rgb(0 0 0)"); err == nil {
		t.Error("takes any text for a colour")
	}
	if c, err := parseColor("#1af"); err != nil || c != (color{0x11, 0xaa, 0xff}) {
		t.Errorf("#1af is %v, %v", c, err)
	}
}

// The style sheet's own colours, as the same two grounds have them.
func TestUX_G27_ContrastOfTheStyleSheet(t *testing.T) {
	css, err := files.ReadFile("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(css), "prefers-color-scheme: dark")
	second, _, _ := strings.Cut(rest, "\n}\n")
	for name, text := range map[string]string{"light": first, "dark": second} {
		get := func(property string) color {
			_, value, ok := strings.Cut(text, "--"+property+": ")
			value, _, _ = strings.Cut(value, ";")
			c, err := parseColor(value)
			if !ok || err != nil {
				t.Fatalf("%s: --%s is %q", name, property, value)
			}
			return c
		}
		if s := map[string]scheme{"light": light, "dark": dark}[name]; get("ground") != s.ground || get("card") != s.card {
			t.Errorf("%s: color.go has other grounds than style.css", name)
		}
		for _, at := range []struct {
			a, b string
			want float64
		}{
			{"text", "card", 4.5}, {"text", "ground", 4.5}, {"text", "soft", 4.5}, {"text", "wrong-soft", 4.5},
			{"quiet", "card", 4.5}, {"quiet", "ground", 4.5}, {"quiet", "soft", 4.5},
			{"wrong", "card", 4.5}, {"wrong", "wrong-soft", 3}, {"edge", "card", 3},
		} {
			if r := contrast(get(at.a), get(at.b)); r < at.want {
				t.Errorf("%s: --%s on --%s has %.2f:1, want %.1f:1", name, at.a, at.b, r, at.want)
			}
		}
	}
}

func TestUX_G41_Words(t *testing.T) {
	all, err := loadWords(fstest.MapFS{
		"de.json":    {Data: []byte(`{"sign_in.next": "Weiter", "code.sent": "An {address} ging {ein} Code."}`)},
		"en.json":    {Data: []byte(`{"sign_in.next": "Go on"}`)},
		"ar-EG.json": {Data: []byte(`{}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{
		all["en"].T("sign_in.next"), all["de"].T("sign_in.next"), all["de"].T("sign_in.sign_up"), all["de"].Dir(), all["ar-EG"].Dir(),
		all["de"].T("code.sent", "address", "{ein}"), string(all["de"].H("code.sent", "address", "<b>")),
		all["en"].T("no.such.key"), all["en"].Wait(0), all["en"].Wait(4*time.Minute - time.Second), all["en"].Wait(90 * time.Minute),
		all["en"].message(note{Key: "engine's own", Text: "As it said."}), all["en"].message(note{}),
	}
	want := []string{
		"Go on", "Weiter", "Sign up", "ltr", "rtl",
		"An {ein} ging {ein} Code.", "An &lt;b&gt; ging {ein} Code.",
		"no.such.key", "1 second", "4 minutes", "2 hours",
		"As it said.", "That did not work. Please try again.",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := loadWords(fstest.MapFS{"en.json": {Data: []byte(`{"a": 1}`)}}); err == nil || !strings.Contains(err.Error(), "en.json") {
		t.Errorf("a broken catalogue gives %v", err)
	}
}

func TestUX_G40_Tags(t *testing.T) {
	if d := cmp.Diff([]string{"de-CH", "de", "en"}, tags("en;q=0.5, de-CH, de;q=0.9, fr;q=0")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"fr-CA", "fr"}, tags("fr_CA fr")); d != "" {
		t.Error(d)
	}
}

func TestUX_G7_Once(t *testing.T) {
	now := time.Unix(0, 0)
	o := newOnce[int](func() time.Time { return now })
	n, inside, leave := 0, make(chan struct{}), make(chan struct{})
	work := func() (int, time.Duration) {
		n++
		if n == 1 {
			close(inside)
			<-leave
		}
		return n, time.Minute
	}
	var wg sync.WaitGroup
	results := make([]int, 10)
	wg.Go(func() { results[0] = o.do("a", work) })
	<-inside
	for i := 1; i < 10; i++ {
		wg.Go(func() { results[i] = o.do("a", work) })
	}
	close(leave)
	wg.Wait()
	for _, got := range results {
		if got != 1 {
			t.Errorf("did it %d times", got)
		}
	}
	now = now.Add(time.Minute)
	if got := o.do("a", work); got != 2 {
		t.Errorf("after its time: %d", got)
	}
	for i := range 3 * maxRuns {
		now = now.Add(time.Minute)
		o.do(string(rune(i)), work)
	}
	if len(o.runs) > maxRuns {
		t.Errorf("keeps %d runs", len(o.runs))
	}
	func() {
		defer func() { _ = recover() }()
		o.do("panics", func() (int, time.Duration) { panic("at the work") })
	}()
	if got := o.do("panics", func() (int, time.Duration) { return 7, 0 }); got != 7 {
		t.Errorf("after a panic: %d", got)
	}
}

// The browser drops the cookie of a session in time; who has copied it does not.
func TestSEC_S65_KeptSessionIsOver(t *testing.T) {
	now := time.Date(2026, 11, 22, 14, 2, 0, 0, time.UTC)
	ago, ahead := func(d time.Duration) int64 { return now.Add(-d).Unix() }, func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, tt := range map[string]struct {
		s    session
		over bool
		life time.Duration
	}{
		"until the browser is closed": {s: session{Since: ago(1000 * time.Hour)}},
		"kept":                        {s: session{Kept: ahead(30 * 24 * time.Hour), Since: ago(0)}, life: keptIdle},
		"nearly at its end":           {s: session{Kept: ahead(time.Hour), Since: ago(time.Hour)}, life: time.Hour},
		"at its end":                  {s: session{Kept: ago(0), Since: ago(time.Hour)}, over: true, life: time.Second},
		"not used for two weeks":      {s: session{Kept: ahead(time.Hour), Since: ago(keptIdle)}, over: true, life: time.Hour},
	} {
		if over, life := tt.s.over(now), tt.s.life(now); over != tt.over || life != tt.life {
			t.Errorf("%s: over %v, life %v", name, over, life)
		}
	}
}
