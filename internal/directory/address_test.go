package directory_test

import (
	"errors"
	"net/mail"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"github.com/stile-id/stile/internal/directory"
)

func TestParseAddress(t *testing.T) {
	tests := []struct {
		in   string
		want directory.Address
	}{
		{"ada@example.com", directory.Address{
			Display: "ada@example.com", Canonical: "ada@example.com", Local: "ada", Domain: "example.com"}},
		{"  Ada.Lovelace@EXAMPLE.com\r\n", directory.Address{
			Display: "Ada.Lovelace@EXAMPLE.com", Canonical: "ada.lovelace@example.com", Local: "Ada.Lovelace", Domain: "example.com"}},
		{"\u00a0ada@bu\u0308cher.example\u3000", directory.Address{
			Display: "ada@b\u00fccher.example", Canonical: "ada@xn--bcher-kva.example", Local: "ada", Domain: "xn--bcher-kva.example"}},
		{"info@例え.テスト", directory.Address{
			Display: "info@例え.テスト", Canonical: "info@xn--r8jz45g.xn--zckzah", Local: "info", Domain: "xn--r8jz45g.xn--zckzah"}},
	}
	for _, test := range tests {
		got, err := directory.ParseAddress(test.in)
		if err != nil {
			t.Errorf("ParseAddress(%q): %v", test.in, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("ParseAddress(%q) (-want +got):\n%s", test.in, diff)
		}
	}
}

func TestAddressMailbox(t *testing.T) {
	a, err := directory.ParseAddress("Ada@Bücher.example")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.Mailbox(), "Ada@xn--bcher-kva.example"; got != want {
		t.Errorf("Mailbox() = %q, want %q", got, want)
	}
}

// The table of UX P2.5: what is taken, and the fault that is named.
func TestUX_P2_5_EmailTable(t *testing.T) {
	long := strings.Repeat("d", 60) + "."
	tests := []struct {
		name, in string
		fault    directory.AddressFault
	}{
		{"plain", "ada@example.com", ""},
		{"plus addressing", "ada+news@example.com", ""},
		{"subdomains", "ada@mail.dept.example.co.uk", ""},
		{"long top-level domain", "ada@example.international", ""},
		{"international domain", "ada@münchen.example", ""},
		{"international domain, A-label", "ada@xn--mnchen-3ya.example", ""},
		{"international top-level domain", "ada@пример.рф", ""},
		{"Persian domain with a joiner", "info@نامه\u200cای.example", ""},
		{"apostrophe", "o'hara@example.com", ""},
		{"all of atext", "#$&'*+-/?=^_`{|}~@example.com", ""},
		{"two dots before the @", "ada..l@example.ne.jp", ""},
		{"dot at the end of the local part", "ada.@example.ne.jp", ""},
		{"dot at the start of the local part", ".ada@example.ne.jp", ""},
		{"one letter", "a@b.co", ""},
		{"digits", "12345@6789.example", ""},
		{"254 characters", strings.Repeat("l", 64) + "@" + strings.Repeat(long, 3) + "com.xy", ""},

		{"empty", "", directory.AddressEmpty},
		{"white space only", " \t\r\n", directory.AddressEmpty},
		{"missing @", "ada.example.com", directory.AddressNoAt},
		{"two @", "ada@home@example.com", directory.AddressManyAt},
		{"nothing before the @", "@example.com", directory.LocalEmpty},
		{"nothing after the @", "ada@", directory.DomainEmpty},
		{"two dots in a row in the domain", "ada@example..com", directory.DomainDots},
		{"two dots in a row, one of them ideographic", "ada@example。.com", directory.DomainDots},
		{"dot at the end", "ada@example.com.", directory.DomainEdgeDot},
		{"dot at the start of the domain", "ada@.example.com", directory.DomainEdgeDot},
		{"no dot", "ada@localhost", directory.DomainOneLabel},
		{"space inside", "ada lovelace@example.com", directory.AddressSpace},
		{"space beside the @", "ada @example.com", directory.AddressSpace},
		{"line end inside", "ada@example.com\r\nbob@example.com", directory.AddressSpace},
		{"over 254 characters", strings.Repeat("l", 64) + "@" + strings.Repeat(long, 3) + "com.xyz", directory.AddressTooLong},
		{"over 254 characters once in A-labels", "a@" + strings.Repeat(strings.Repeat("ü", 30)+".", 7) + "example", directory.AddressTooLong},
		{"very long", strings.Repeat("a", 100_000) + "@example.com", directory.AddressTooLong},
		{"65 before the @", strings.Repeat("l", 65) + "@example.com", directory.LocalTooLong},
		{"letters beyond ASCII before the @", "jürgen@example.com", directory.LocalNonASCII},
		{"underscore in the domain", "ada@my_host.example", directory.DomainInvalid},
		{"hyphen at the end of a label", "ada@example-.com", directory.DomainInvalid},
		{"label of 64", "ada@" + strings.Repeat("d", 64) + ".com", directory.DomainInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := directory.ParseAddress(test.in)
			if got := addressFault(t, err); got != test.fault {
				t.Errorf("ParseAddress(%q): fault %q, want %q", test.in, got, test.fault)
			}
		})
	}
}

// What parsers are known to disagree about: each is refused, or is read as one
// mailbox in pure ASCII.
var discrepancies = []string{
	"ada@example.com,eve@evil.example", "ada@example.com;eve@evil.example", "eve@evil.example, ada@example.com",
	"ada@example.com@evil.example", `"ada@example.com"@evil.example`, `"ada@example.com "@evil.example`,
	"<ada@example.com>", "Ada <ada@example.com>", "ada@example.com<eve@evil.example>", "ada@example.com>",
	"ada(comment)@example.com", "ada@(comment)example.com", "ada@example.com (Ada)", "ada@example.com(",
	`ada\@evil.example@example.com`, `ada\ @example.com`, `"ada"@example.com`, `ada"@example.com`,
	"=?utf-8?q?=61=64=61=40=65=76=69=6c=2e=65=78?=@example.com", "=?x?q?ada=40evil.example=3e=00?=ada@example.com",
	"ada@[127.0.0.1]", "ada@[IPv6:::1]", "ada@127.0.0.1", "ada@127.1", "ada@2130706433", "ada@example.0x7f",
	"ada%evil.example@example.com", "evil.example!ada@example.com", "@a.example,@b.example:ada@example.com",
	"ada@example.com\x00.evil.example", "ada@example.com\r\nBcc: eve@evil.example", "ada@example.com%0d%0aBcc:x",
	"ada@example.com\u0000", "ada\u202e@example.com", "ada@exam\u00adple.com", "ada@exam\u200bple.com", "ada@example.com\ufeff",
	"ada@evil.example＠example.com", "ada@example.com／evil.example", "ada@evil.example?x=@example.com",
	"ada@℀.example", "ada@example.com\u2028", "ada\u00a0@example.com", "ada@ex\xffample.com", "\xc0ada@example.com",
	"ada@xn--example-.com", "ada@xn--.com", "ada@xn--a.com", "ada@xn--0.com", "ada@xn--xn--a--gua.pt", "ada@xn--example-9h0.com.",
	"ada@example.c\u0338om", "ada@\u0300example.com", "ada@ex\u200dample.com", "ada@a..b", "ada@...", "@", "@@", ".@.", "a@b",
	"ada@example.com#@evil.example", "ada@example.com:25", "mailto:ada@example.com", "ada@http://example.com", "ada@example.com/",
	"ada@exa mple.com", "ada\t@example.com", "ada@ｅｘａｍｐｌｅ．ｃｏｍ", "ada@example。com", "ada@EXAMPLE.COM", "ada@faß.example",
}

func TestSEC_S37_ParserDiscrepancies(t *testing.T) {
	accepted := map[string]string{
		"ada@ｅｘａｍｐｌｅ．ｃｏｍ":       "ada@example.com",
		"ada@example。com":       "ada@example.com",
		"ada@EXAMPLE.COM":       "ada@example.com",
		"ada@faß.example":       "ada@xn--fa-hia.example",
		"ada@example.com\u2028": "ada@example.com", // a line end
		"ada@example.c\u0338om": "ada@example.xn--com-ujc",
	}
	for _, in := range discrepancies {
		a, err := directory.ParseAddress(in)
		want, ok := accepted[in]
		switch {
		case ok && (err != nil || a.Canonical != want):
			t.Errorf("ParseAddress(%q) = %q, %v; want %q", in, a.Canonical, err, want)
		case !ok && err == nil:
			t.Errorf("ParseAddress(%q) = %+v, want an error", in, a)
		}
	}
}

func TestSEC_S37_Faults(t *testing.T) {
	tests := []struct {
		in   string
		want directory.AddressFault
	}{
		{"ada@example.com,eve@evil.example", directory.AddressManyAt},
		{"ada,eve@example.com", directory.LocalCharacter},
		{"ada;eve@example.com", directory.LocalCharacter},
		{"<ada@example.com", directory.LocalCharacter},
		{`"ada"@example.com`, directory.LocalCharacter},
		{`ada\x@example.com`, directory.LocalCharacter},
		{"ada(x)@example.com", directory.LocalCharacter},
		{"ada%x@example.com", directory.LocalCharacter},
		{"x!ada@example.com", directory.LocalCharacter},
		{"=?utf-8?q?ada?=@example.com", directory.LocalCharacter},
		{"ada@[127.0.0.1]", directory.DomainIP},
		{"ada@127.0.0.1", directory.DomainIP},
		{"ada@example.com>", directory.DomainInvalid},
		{"ada\x00@example.com", directory.AddressInvisible},
		{"ada\x7f@example.com", directory.AddressInvisible},
		{"ada@exam\u202eple.com", directory.AddressInvisible},
		{"ada@exam\u2066ple.com", directory.AddressInvisible},
		{"ada@exam\u00adple.com", directory.AddressInvisible},
		{"ada\xff@example.com", directory.AddressInvisible},
	}
	for _, test := range tests {
		_, err := directory.ParseAddress(test.in)
		if got := addressFault(t, err); got != test.want {
			t.Errorf("ParseAddress(%q): fault %q, want %q", test.in, got, test.want)
		}
	}
}

// Twins of one address: the same account, another, or no address at all.
func TestSEC_S36_CanonicalAddress(t *testing.T) {
	const same, different, refused = "same", "different", "refused"
	tests := []struct {
		name, a, b, want string
	}{
		{"case of the local part", "mike@example.org", "MIKE@example.org", same},
		{"case of the domain", "mike@example.org", "mike@Example.ORG", same},
		{"dots count", "mi.ke@example.org", "mike@example.org", different},
		{"tags count", "mike+a@example.org", "mike@example.org", different},
		{"dotless i, local", "mike@example.org", "mıke@example.org", refused},
		{"dotted capital I, local", "mike@example.org", "MİKE@example.org", refused},
		{"Kelvin sign, local", "mike@example.org", "mi\u212ae@example.org", refused},
		{"long s, local", "sam@example.org", "ſam@example.org", refused},
		{"full width, local", "mike@example.org", "ｍike@example.org", refused},
		{"combining acute, local", "mike@example.org", "mike\u0301@example.org", refused},
		{"Cyrillic е, local", "mike@example.org", "mik\u0435@example.org", refused},
		{"dotless i, domain", "a@mike.example", "a@mıke.example", different},
		{"dotted capital I, domain", "a@mike.example", "a@mİke.example", different},
		{"long s, domain", "a@sam.example", "a@ſam.example", same},
		{"Kelvin sign, domain", "a@mike.example", "a@mi\u212ae.example", same},
		{"full width, domain", "a@mike.example", "a@ｍｉｋｅ.example", same},
		{"full-width full stop", "a@mike.example", "a@mike．example", same},
		{"Cyrillic е, domain", "a@mike.example", "a@mik\u0435.example", different},
		{"combining and composed", "a@b\u00fccher.example", "a@bu\u0308cher.example", same},
		{"Unicode and A-label", "a@bücher.example", "a@xn--bcher-kva.example", same},
		{"case of an A-label", "a@bücher.example", "a@XN--BCHER-KVA.example", same},
		{"capital umlaut", "a@bücher.example", "a@BÜCHER.example", same},
		{"sharp s and ss", "a@faß.example", "a@fass.example", different},
		{"final and medial sigma", "a@βόλος.example", "a@βόλοσ.example", different},
		{"ligature", "a@office.example", "a@o\ufb03ce.example", same},
		{"A-label of plain ASCII", "a@example.com", "a@xn--example-.com", refused},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, err := directory.ParseAddress(test.a)
			if err != nil {
				t.Fatalf("ParseAddress(%q): %v", test.a, err)
			}
			got := refused
			if b, err := directory.ParseAddress(test.b); err == nil {
				got = different
				if a.Canonical == b.Canonical {
					got = same
				}
			}
			if got != test.want {
				t.Errorf("%q and %q: %s, want %s", test.a, test.b, got, test.want)
			}
		})
	}
}

func TestMask(t *testing.T) {
	tests := map[string]string{
		"john.doe@example.org":  "j***e@example.org",
		"inca-louise1@okta.com": "i***1@okta.com",
		"bob@example.org":       "b***b@example.org",
		"ab@example.org":        "a***@example.org",
		"a@example.org":         "a***@example.org",
		"@example.org":          "***@example.org",
		"john.doe":              "***",
		"":                      "***",
		"a@b@example.org":       "a***b@example.org",
		"ada@bücher.example":    "a***a@bücher.example",
	}
	for in, want := range tests {
		if got := directory.Mask(in); got != want {
			t.Errorf("Mask(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzAddress: whatever is accepted is one ASCII mailbox that every other
// parser reads alike, and comes back as itself.
func FuzzAddress(f *testing.F) {
	for _, s := range discrepancies {
		f.Add(s)
	}
	for _, s := range []string{"ada@example.com", " Ada+x@Bücher.example\r\n", "o'hara@example.ne.jp", "a@βόλος.example", "info@نامه\u200cای.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		a, err := directory.ParseAddress(in)
		if err != nil {
			var e *directory.AddressError
			if !errors.As(err, &e) || a != (directory.Address{}) {
				t.Fatalf("ParseAddress(%q) = %+v, %v", in, a, err)
			}
			return
		}
		if a.Canonical != strings.ToLower(a.Canonical) || a.Mailbox() != a.Local+"@"+a.Domain {
			t.Errorf("%q: canonical %q, mailbox %q", in, a.Canonical, a.Mailbox())
		}
		for _, s := range []string{a.Canonical, a.Mailbox()} {
			for _, c := range []byte(s) {
				if c <= ' ' || c >= 0x7f || strings.IndexByte(`,;:<>"\()[]%!`, c) >= 0 {
					t.Errorf("%q: %q holds %q", in, s, c)
				}
			}
			if strings.Count(s, "@") != 1 || len(s) > 254 || strings.IndexByte(s, '@') > 64 {
				t.Errorf("%q: %q", in, s)
			}
		}
		if strings.Contains(a.Domain, "..") || !strings.Contains(a.Domain, ".") {
			t.Errorf("%q: domain %q", in, a.Domain)
		}
		if !utf8.ValidString(a.Display) || !norm.NFC.IsNormalString(a.Display) || strings.TrimSpace(a.Display) != a.Display {
			t.Errorf("%q: display %q", in, a.Display)
		}
		for _, s := range []string{a.Display, a.Mailbox(), a.Canonical} {
			again, err := directory.ParseAddress(s)
			if err != nil || again.Canonical != a.Canonical {
				t.Errorf("%q: %q gives %q, %v; want %q", in, s, again.Canonical, err, a.Canonical)
			}
		}
		// The standard library's parser wants dot-atoms, which carriers do not keep to.
		if dotAtom(a.Local) {
			m, err := mail.ParseAddress(a.Mailbox())
			if err != nil || m.Address != a.Mailbox() || m.Name != "" {
				t.Errorf("%q: net/mail reads %q as %+v, %v", in, a.Mailbox(), m, err)
			}
		}
	})
}

func dotAtom(s string) bool {
	return !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && !strings.Contains(s, "..")
}

func addressFault(t *testing.T, err error) directory.AddressFault {
	t.Helper()
	if err == nil {
		return ""
	}
	var e *directory.AddressError
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *AddressError", err)
	}
	return e.Fault
}
