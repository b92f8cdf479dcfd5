package mail

import (
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/accent"
)

// A view is what the templates see: plain strings, in the order of the mail.
type view struct {
	Lang, Dir string

	App, Initial, LogoURL, LogoDark string
	accent.Colors
	Subject, Heading, Greeting   string
	Body                         []string // paragraphs
	CodeIs, Code                 string
	ButtonID, Button, Link       string
	LinkElse, LinkOpen, LinkCode string
	Foot                         []string // remarks
}

func (c *Composer) view(m Message) view {
	l := c.words.in(m.Locale)
	p := plans[m.Template]
	key := string(m.Template) + "."
	app := c.appName(m)
	facts := details(l, m, app, l.isolate)
	say := func(key string) string { return l.say(key, facts...) }

	v := view{
		Lang: l.tag.String(), Dir: l.say("dir"),
		App: app, Initial: initial(app), LogoURL: imageURL(m.App.LogoURL), LogoDark: imageURL(m.App.LogoDark),
		Colors:   accent.Of(m.App.Accent),
		Heading:  say(key + "heading"),
		Greeting: l.say("greeting.nameless"),
		Code:     m.Code,
		ButtonID: p.button,
		Link:     link(m),
	}
	if name := defuse(m.FirstName); p.named && name != "" {
		v.Greeting = l.say("greeting", "name", l.isolate(name))
	}

	subject, intro, notYou := key+"subject", key+"intro", key+"not-you"
	switch {
	case m.Code != "" && !c.config.NoCodeInSubject:
		subject += ".code"
	case m.Template == Invitation && defuse(m.Inviter) == "":
		subject += ".app"
		intro += ".app"
	case p.notice && p.link == may && m.Link == "":
		notYou += ".alone"
	}
	// A subject is one line of its own: nothing around a name needs isolation.
	v.Subject = l.say(subject, details(l, m, app, func(s string) string { return s })...)

	v.Body = []string{say(intro)}
	if v.Link != "" {
		v.Button, v.LinkElse, v.LinkOpen = say(key+"button"), l.say("link.else"), l.say("link.open")
	}
	if m.Code != "" {
		v.CodeIs, v.LinkCode = l.say("code.is"), say("link.code")
	}
	valid := ""
	switch {
	case m.Code != "" && m.Link != "":
		valid = "valid.both"
	case m.Code != "":
		valid = "valid.code"
	case m.Link != "" && !m.ExpiresAt.IsZero():
		valid = "valid.link"
	}
	if valid != "" {
		v.Foot = append(v.Foot, l.say(valid, "span", l.span(m.ExpiresAt.Sub(m.Origin.At)), "until", until(l, m.ExpiresAt, m.Origin.At)))
	}
	if p.notice {
		v.Body = append(v.Body, whence(l, p.origin, m.Origin))
		switch {
		case m.Template == Guessing && m.Date.IsZero():
			v.Body = append(v.Body, say(key+"did"))
		case m.Template == Guessing:
			v.Body = append(v.Body, say(key+"did.until"))
		}
		v.Body = append(v.Body, say(notYou))
	} else {
		v.Foot = append(v.Foot, whence(l, p.origin, m.Origin), say(notYou))
	}
	switch {
	case m.Code != "":
		v.Foot = append(v.Foot, say("never"))
	case p.secret:
		v.Foot = append(v.Foot, say("never.link"))
	}
	return v
}

// details are what words may ask for, as pairs of name and value.
func details(l *lexicon, m Message, app string, isolate func(string) string) []string {
	way := l.say("way")
	if name := defuse(m.Method); name != "" {
		way = l.say("way.named", "name", isolate(name))
	}
	what := isolate(method(l, m.Method))
	if which := defuse(m.Which); which != "" && m.Which != m.Method {
		what = l.say("method.which", "method", what, "which", isolate(which))
	}
	return []string{
		"app", isolate(app), "an", article(app), "code", m.Code,
		"address", isolate(partly(m.Address)),
		"method", isolate(method(l, m.Method)), "what", what, "way", way,
		"wrong", l.count("wrong", m.Count),
		"inviter", isolate(defuse(m.Inviter)),
		"moment", l.moment(m.Date.In(m.Origin.At.Location())), "until", until(l, m.Date, m.Origin.At),
		"day", l.day(m.Date, m.Origin.At),
	}
}

func (c *Composer) appName(m Message) string {
	app := plain(m.App.Name)
	if app == "" {
		app = plain(c.config.From.Name)
	}
	if r := []rune(app); len(r) > maxName {
		app = string(r[:maxName-1]) + "…"
	}
	return app
}

func link(m Message) string {
	if m.Template != SignInUnknown {
		return m.Link
	}
	if len(m.SignUpURL) > maxLink { // then without the address filled in
		page, _, _ := strings.Cut(m.SignUpURL, "?")
		return page
	}
	return m.SignUpURL
}

// method is the words for a way to sign in that a sentence can begin with, "A
// password"; one that the catalogue does not know goes by its own name.
func method(l *lexicon, name string) string {
	name = defuse(name)
	if key := "method." + strings.ToLower(strings.ReplaceAll(name, " ", "-")); l.has(key) {
		return l.say(key)
	}
	return name
}

// partly is an address of which some is hidden. Whole ones are for their owner
// only, so one that comes here whole is cut. It is text from a person, but spaces
// as defuse puts them would make it another address; what nobody sees does as well.
func partly(address string) string {
	local, domain, ok := strings.Cut(plain(address), "@")
	if !ok {
		return ""
	}
	if r := []rune(local); !strings.Contains(local, "***") {
		local = string(r[:min(1, len(r))]) + "***"
	}
	shown := []rune(local + "@" + domain)
	if len(shown) > maxPersonal {
		shown = append(shown[:maxPersonal-1], '…')
	}
	var out strings.Builder
	for _, r := range shown {
		out.WriteRune(r)
		if linking(r) {
			out.WriteRune('\u200c')
		}
	}
	return out.String()
}

// until writes an end in the time zone of its beginning, with the date if that is another.
func until(l *lexicon, end, begin time.Time) string {
	end = end.In(begin.Location())
	if end.YearDay() == begin.YearDay() && end.Year() == begin.Year() {
		return l.clock(end)
	}
	return l.moment(end)
}

// whence says where a mail comes from: who asked for it, or did what it tells.
func whence(l *lexicon, key string, o Origin) string {
	browser, os := defuse(o.Browser), defuse(o.OS)
	agent := "agent.unknown"
	switch {
	case browser != "" && os != "":
		agent = "agent"
	case browser != "":
		agent = "agent.browser"
	case os != "":
		agent = "agent.os"
	}
	pairs := []string{"agent", l.say(agent, "browser", browser, "os", os), "moment", l.moment(o.At)}
	ip, err := netip.ParseAddr(o.IP)
	switch {
	case key == "sent": // an operator's browser and address are not for everybody
	case err == nil:
		return l.say(key+".ip", append(pairs, "ip", ip.String())...)
	case agent != "agent.unknown" || key == "asked": // somebody asked, whoever it was
		return l.say(key+".by", pairs...)
	}
	return l.say(key+".when", pairs...)
}

// initial stands in for the logo of an app that has none.
func initial(name string) string {
	for _, r := range name {
		return strings.ToUpper(string(r))
	}
	return ""
}

// imageURL is u if it can be shown in a mail: https, of a length that leaves room.
func imageURL(u string) string {
	if parsed, err := url.Parse(u); err == nil && parsed.Scheme == "https" && parsed.Host != "" && len(u) <= 500 {
		return u
	}
	return ""
}
