package demo

import (
	"crypto/sha256"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A message is a body as it was on the wire.
type message struct {
	body        []byte
	contentType string
}

// A document is a body that has been read: a JSON value or a form.
type document struct {
	root  *node
	form  bool
	marks []mark // of its handles and tokens
	note  string // instead of a body that cannot be shown
}

// A mark stands for a handle or token without being one.
type mark [sha256.Size]byte

func markOf(s string) mark { return sha256.Sum256([]byte(s)) }

// Names of values that are secret. Of those in handles the first letters are
// shown, so that one sees which is which; they are long and random.
var (
	handles = names("stateHandle", "stateToken", "interactionHandle", "interactionCode",
		"accessToken", "idToken", "refreshToken", "token")
	secrets = names("passcode", "password", "newPassword", "otp", "totp", "code", "answer", "pin",
		"clientSecret", "clientAssertion", "assertion", "codeVerifier", "authorization",
		"activationToken", "recoveryToken", "deviceToken", "idTokenHint")
	// Not secret, though long and random.
	public = names("id", "clientId", "cid", "sub", "uid", "aud", "kid", "codeChallenge")
)

func names(all ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range all {
		m[plain(n)] = true
	}
	return m
}

// plain makes interaction_code and interactionCode one name.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// A censor turns the bodies of one exchange into text to show. It learns the
// secrets of all its bodies first, so that one that is repeated elsewhere is
// hidden there too.
type censor struct{ known []known }

type known struct{ secret, shown string }

func newCensor(clientSecret string) *censor {
	c := &censor{}
	c.learn(clientSecret, false)
	return c
}

// learn keeps the longest secrets first: one may be a part of another.
func (c *censor) learn(secret string, handle bool) {
	if len(secret) < 4 { // it would be found in words
		return
	}
	at, _ := slices.BinarySearchFunc(c.known, len(secret), func(k known, n int) int { return n - len(k.secret) })
	c.known = slices.Insert(c.known, at, known{secret, short(secret, handle)})
}

const hidden = "…"

func short(s string, handle bool) string {
	const shown = 10
	if !handle || len(s) < 2*shown || strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return hidden
	}
	return s[:shown] + hidden
}

// read parses m and learns its secrets.
func (c *censor) read(m message) document {
	if len(m.body) == 0 {
		return document{}
	}
	if len(m.body) > maxBody {
		return document{note: "(too long to be kept)"}
	}
	kind, _, err := mime.ParseMediaType(m.contentType)
	if err != nil {
		kind = m.contentType
	}
	var d document
	if kind == "application/x-www-form-urlencoded" {
		d = document{root: parseForm(string(m.body)), form: true}
	} else {
		d.root, err = parseJSON(m.body)
	}
	if err != nil || d.root == nil {
		return document{note: "(not JSON, not kept)"}
	}
	d.root.each(func(name string, v *node) {
		handle, secret := classify(name, v)
		if handle || secret {
			c.learn(v.text, handle)
		}
		if handle {
			d.marks = append(d.marks, markOf(v.text))
		}
	})
	return d
}

// classify tells what a value is, by its name.
func classify(name string, v *node) (handle, secret bool) {
	if v.text == "" || v.kind == scalar && !strings.ContainsAny(v.text, "0123456789") {
		return false, false // true, false and null are not
	}
	n := plain(name)
	return handles[n], secrets[n]
}

func parseForm(s string) *node {
	root := &node{kind: object}
	for pair := range strings.SplitSeq(s, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		text, err2 := url.QueryUnescape(value)
		if err != nil || err2 != nil {
			return nil
		}
		root.members = append(root.members, member{name, &node{kind: str, text: text}})
	}
	return root
}

// text shows d with its secrets shortened.
func (c *censor) text(d document) string {
	if d.root == nil {
		return d.note
	}
	d.root.each(func(name string, v *node) {
		handle, secret := classify(name, v)
		switch {
		case handle, secret:
			*v = node{kind: str, text: short(v.text, handle)}
		case v.kind == str && public[plain(name)]:
			v.text = c.replace(v.text)
		case v.kind == str:
			v.text = c.mask(v.text)
		}
	})
	d.root.names(c.mask)
	if !d.form {
		return cut(d.root.pretty(118))
	}
	var lines []string
	for _, m := range d.root.members {
		lines = append(lines, m.name+"="+m.value.text)
	}
	return cut(strings.Join(lines, "\n"))
}

// random is what handles, codes and keys look like, whatever their name.
var random = regexp.MustCompile(`[A-Za-z0-9_~-]{24,}`)

// mask hides known secrets inside s, and shortens what looks like one.
func (c *censor) mask(s string) string {
	return random.ReplaceAllStringFunc(c.replace(s), func(run string) string {
		if strings.ContainsAny(run, "0123456789") && strings.ContainsFunc(run, isLetter) {
			return short(run, true)
		}
		return run
	})
}

func (c *censor) replace(s string) string {
	for _, k := range c.known {
		if len(k.secret) < 12 {
			s = replaceWord(s, k.secret, k.shown)
		} else {
			s = strings.ReplaceAll(s, k.secret, k.shown)
		}
	}
	return s
}

// replaceWord replaces a short secret where it stands by itself: six digits are
// also found in the middle of ids.
func replaceWord(s, secret, shown string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, secret)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if last, _ := utf8.DecodeLastRuneInString(before); inWord(last) || inWord(firstRune(after)) {
			b.WriteString(secret)
		} else {
			b.WriteString(shown)
		}
		s = after
	}
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func inWord(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// cut bounds what is kept of a text.
func cut(s string) string {
	if len(s) <= maxBody {
		return s
	}
	return strings.ToValidUTF8(s[:maxBody], "") + "\n" + hidden
}

func (d document) has(name string) bool { return d.root.get(name) != nil }

// maxOffers is more than any answer has.
const maxOffers = 16

// offers names the remediations of an IDX document, or "success".
func (d document) offers() []string {
	if d.root.get("successWithInteractionCode") != nil {
		return []string{"success"}
	}
	list := d.root.get("remediation").get("value")
	if list == nil || list.kind != array {
		return nil
	}
	var all []string
	for _, m := range list.members[:min(len(list.members), maxOffers)] {
		if name := m.value.get("name"); name != nil && len(name.text) < 64 {
			all = append(all, name.text)
		}
	}
	return all
}
