package directory

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Limits of an address: characters of the whole (decision D40; RFC 5321 §4.5.3.1
// less the angle brackets), bytes before the @ (RFC 5321 §4.5.3.1.1).
const (
	MaxAddress = 254
	maxLocal   = 64
)

// An Address is a mail address that has passed ParseAddress.
type Address struct {
	Display   string // as typed, without the white space around it, in NFC; for people to read
	Canonical string // the account's unique key; compare it as bytes (SEC S-36)
	Local     string // before the @, as typed; ASCII
	Domain    string // after the @, lower-case A-labels
}

// Mailbox is where mail goes: the local part as typed, for the receiver may care
// for its case, and the domain in A-labels. It is pure ASCII and one mailbox.
func (a Address) Mailbox() string { return a.Local + "@" + a.Domain }

// An AddressFault says what is wrong with an address.
type AddressFault string

// The faults, so that a page can name each in its own words (UX P2.5).
const (
	AddressEmpty     AddressFault = "nothing was given"
	AddressTooLong   AddressFault = "longer than 254 characters"
	AddressSpace     AddressFault = "space inside"
	AddressNoAt      AddressFault = "no @"
	AddressManyAt    AddressFault = "more than one @"
	LocalEmpty       AddressFault = "nothing before the @"
	LocalTooLong     AddressFault = "more than 64 characters before the @"
	LocalNonASCII    AddressFault = "letter beyond ASCII before the @"
	LocalCharacter   AddressFault = "character that is not accepted before the @"
	DomainEmpty      AddressFault = "nothing after the @"
	DomainDots       AddressFault = "two dots in a row after the @"
	DomainEdgeDot    AddressFault = "dot at an end of the domain"
	DomainOneLabel   AddressFault = "no dot after the @"
	DomainIP         AddressFault = "IP address in place of a domain"
	DomainInvalid    AddressFault = "not a domain name after the @"
	AddressInvisible AddressFault = "invisible character"
)

// An AddressError is what ParseAddress returns. It holds nothing of the address.
type AddressError struct{ Fault AddressFault }

func (e *AddressError) Error() string { return "directory: address: " + string(e.Fault) }

// domains is the lookup profile of UTS 46, non-transitional: "ß" and "ss" are
// two domains, as they are to mail servers.
var domains = idna.New(
	idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true),
	idna.BidiRule(), idna.CheckHyphens(true), idna.CheckJoiners(true),
)

// ParseAddress reads what a person typed as one mail address, and drops white
// space and line ends around it. It accepts less than RFC 5322 does: no quoted
// local part, comment, display name, route or literal, so that no parser behind
// it can read two addresses or another one (SEC S-37). The local part is ASCII,
// since SMTPUTF8 is not used. The error is an *AddressError.
func ParseAddress(s string) (Address, error) {
	s = strings.TrimFunc(s, unicode.IsSpace)
	local, domain, fault := split(s)
	if fault == "" {
		fault = checkLocal(local)
	}
	if fault != "" {
		return Address{}, &AddressError{fault}
	}
	ascii, fault := toASCII(domain)
	if fault != "" {
		return Address{}, &AddressError{fault}
	}
	if len(local)+1+len(ascii) > MaxAddress {
		return Address{}, &AddressError{AddressTooLong}
	}
	return Address{
		Display:   local + "@" + norm.NFC.String(domain),
		Canonical: lowerASCII(local) + "@" + ascii,
		Local:     local,
		Domain:    ascii,
	}, nil
}

// split finds the two sides of an address after the checks that concern the whole.
func split(s string) (local, domain string, _ AddressFault) {
	switch {
	case s == "":
		return "", "", AddressEmpty
	case len(s) > MaxAddress*utf8.UTFMax || utf8.RuneCountInString(s) > MaxAddress:
		return "", "", AddressTooLong
	case !utf8.ValidString(s):
		return "", "", AddressInvisible
	}
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			return "", "", AddressSpace
		case invisible(r) && !joiner(r): // IDNA has its own rule for where joiners may stand
			return "", "", AddressInvisible
		}
	}
	local, domain, ok := strings.Cut(s, "@")
	switch {
	case !ok:
		return "", "", AddressNoAt
	case strings.Contains(domain, "@"):
		return "", "", AddressManyAt
	case local == "":
		return "", "", LocalEmpty
	case domain == "":
		return "", "", DomainEmpty
	}
	return local, domain, ""
}

// checkLocal admits atext and dots wherever they stand, as some carriers have
// them, but neither % and !, which old relays read as routes, nor what begins an
// encoded word (RFC 2047 §2), which parsers have decoded into a second address.
func checkLocal(local string) AddressFault {
	for _, r := range local {
		switch {
		case r >= utf8.RuneSelf: // also those that NFC would turn into ASCII, such as the Kelvin sign
			return LocalNonASCII
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		case !strings.ContainsRune(".!#$%&'*+-/=?^_`{|}~", r), r == '%', r == '!':
			return LocalCharacter
		}
	}
	switch {
	case strings.Contains(local, "=?"):
		return LocalCharacter
	case len(local) > maxLocal:
		return LocalTooLong
	}
	return ""
}

// toASCII returns the lower-case A-labels of a domain. What IDNA makes of it is
// checked once more, label by label: mapping can yield dots and digits that were
// not typed, and A-labels that do not come back as themselves.
func toASCII(domain string) (string, AddressFault) {
	if strings.HasPrefix(domain, "[") {
		return "", DomainIP
	}
	dotted := strings.Map(func(r rune) rune {
		if strings.ContainsRune("。．｡", r) { // the other full stops of UTS 46 §2.3
			return '.'
		}
		return r
	}, domain)
	switch {
	case strings.Contains(dotted, ".."):
		return "", DomainDots
	case strings.HasPrefix(dotted, "."), strings.HasSuffix(dotted, "."):
		return "", DomainEdgeDot
	}
	ascii, err := domains.ToASCII(dotted)
	if err != nil {
		return "", DomainInvalid
	}
	again, err := domains.ToUnicode(ascii)
	if err == nil {
		again, err = domains.ToASCII(again)
	}
	if err != nil || again != ascii {
		return "", DomainInvalid
	}
	labels := strings.Split(ascii, ".")
	for _, l := range labels {
		if !hostLabel(l) {
			return "", DomainInvalid
		}
	}
	last := labels[len(labels)-1]
	switch {
	case last[0] >= '0' && last[0] <= '9': // no top-level domain begins with a digit, every dotted quad's last part does
		return "", DomainIP
	case len(labels) < 2:
		return "", DomainOneLabel
	}
	return ascii, ""
}

// hostLabel reports whether l is a label of RFC 1123 §2.1 in lower case.
func hostLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for _, c := range []byte(l) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// lowerASCII maps A–Z and nothing else. Unicode's lower case would make two
// people's addresses one (SEC S-36).
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}

// Mask hides the middle of a local part, always behind three asterisks, so that
// its length is hidden as well: "john.doe@example.org" gives "j***e@example.org".
// Of one or two characters only the first is shown. Without an @ it shows nothing.
func Mask(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return "***"
	}
	local := []rune(address[:at])
	switch len(local) {
	case 0:
		return "***" + address[at:]
	case 1, 2:
		return fmt.Sprintf("%c***%s", local[0], address[at:])
	}
	return fmt.Sprintf("%c***%c%s", local[0], local[len(local)-1], address[at:])
}
