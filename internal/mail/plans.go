package mail

import (
	"fmt"
	"net/url"
	"strings"
)

// A Template names one of the mails (UX M1 to M12).
type Template string

// The mails.
const (
	SignUp           Template = "sign-up"            // M1: confirm a new address
	SignIn           Template = "sign-in"            // M2
	SignUpKnown      Template = "sign-up-known"      // M3: the address has an account
	SignInUnknown    Template = "sign-in-unknown"    // M4: the address has none
	Recovery         Template = "recovery"           // M5
	Unlock           Template = "unlock"             // M5 for a paused password
	EmailChange      Template = "email-change"       // M7: to the new address, Address is the old one
	EmailChanged     Template = "email-changed"      // M8: to the old address, Address is the new one
	EmailChangedBack Template = "email-changed-back" // M8's link was used, Address is the one that went
	MethodAdded      Template = "method-added"       // M9, and the three after it
	MethodRemoved    Template = "method-removed"
	PasswordChanged  Template = "password-changed"
	NewDevice        Template = "new-device"
	Invitation       Template = "invitation"     // M10
	AdminRecovery    Template = "admin-recovery" // an operator's link to a new password
	DeviceLink       Template = "device-link"    // adds the device on which its link is opened
	Guessing         Template = "guessing"       // M11: too many wrong answers
	DeletionAsked    Template = "deletion-asked" // M12: it can still be kept
	DeletionDone     Template = "deletion-done"
)

type need int

const (
	never need = iota
	may
	must
)

// A plan is what a template has beside its words.
type plan struct {
	code   bool   // has a code, and needs one; without it a code is refused
	link   need   // never, may or must have one
	button string // element id of the link, by which test suites find it (decision D17)
	// notice says that something happened already. Then where it came from, and what
	// to do if it was not you, is what the mail is for, and not a remark at its foot.
	notice bool
	// named greets by first name. Mail to an address whose owner may be another than
	// the one that the name belongs to does not (UX M3).
	named  bool
	origin string // key of the words on where it came from: "asked", "done", "tried" or "sent"
	secret bool   // whoever has the link becomes the person
}

var plans = map[Template]plan{
	SignUp:        {code: true, link: may, button: "email-activation-button", named: true, origin: "asked"},
	SignIn:        {code: true, link: may, button: "email-authentication-button", named: true, origin: "asked"},
	SignUpKnown:   {code: true, link: may, button: "email-authentication-button", origin: "asked"},
	SignInUnknown: {button: "sign-up-link", origin: "asked"}, // its link is SignUpURL
	Recovery:      {code: true, link: may, button: "email-authentication-button", named: true, origin: "asked"},
	Unlock:        {code: true, link: may, button: "unlock-account-link", named: true, origin: "asked"},
	EmailChange:   {code: true, link: may, button: "email-change-button", origin: "asked"},

	EmailChanged:     {link: must, button: "not-me-link", notice: true, named: true, origin: "done"},
	EmailChangedBack: {link: may, button: "secure-account-link", notice: true, named: true, origin: "done"},
	MethodAdded:      {link: may, button: "not-me-link", notice: true, named: true, origin: "done"},
	MethodRemoved:    {link: may, button: "not-me-link", notice: true, named: true, origin: "done"},
	PasswordChanged:  {link: may, button: "not-me-link", notice: true, named: true, origin: "done"},
	NewDevice:        {link: may, button: "not-me-link", notice: true, named: true, origin: "done"},
	Guessing:         {link: may, button: "secure-account-link", notice: true, named: true, origin: "tried"},
	DeletionAsked:    {link: must, button: "keep-account-link", notice: true, named: true, origin: "asked"},
	DeletionDone:     {notice: true, named: true, origin: "done"},

	Invitation:    {link: must, button: "accept-invitation-link", named: true, origin: "sent", secret: true},
	AdminRecovery: {link: must, button: "set-password-link", named: true, origin: "sent", secret: true},
	DeviceLink:    {link: must, button: "push-verify-activation-link", origin: "asked", secret: true},
}

// check refuses what must not be mailed, whoever asks for it (SEC S-115, S-17).
func (c *Composer) check(id string, m Message) error {
	p, known := plans[m.Template]
	if !known {
		return invalid("template")
	}
	if id == "" || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return invalid("id")
	}
	if err := checkAddress(m.To); err != nil {
		return err
	}
	for what, s := range map[string]string{
		"app name": m.App.Name, "locale": m.Locale, "method": m.Method, "which": m.Which, "other address": m.Address, "inviter": m.Inviter,
	} {
		if !headerSafe(s) {
			return invalid(what)
		}
	}
	switch {
	case !p.code && m.Code != "":
		return invalid("code where there must be none")
	case p.code && (len(m.Code) < 6 || len(m.Code) > 10 || strings.Trim(m.Code, "0123456789") != ""):
		return invalid("code")
	}
	if lacking := lacks(m); lacking != "" {
		return invalid("no " + lacking)
	}
	return c.checkLinks(p, m)
}

// lacks names what the words of a template cannot do without.
func lacks(m Message) string {
	switch m.Template {
	case EmailChange, EmailChanged, EmailChangedBack:
		if !strings.Contains(m.Address, "@") {
			return "other address"
		}
	case MethodAdded, MethodRemoved:
		if defuse(m.Method) == "" {
			return "method"
		}
	case Guessing:
		if m.Count < 1 {
			return "count"
		}
	case DeletionAsked:
		if m.Date.IsZero() {
			return "date"
		}
	}
	switch m.Template {
	case EmailChanged, Invitation, AdminRecovery, DeviceLink:
		if m.ExpiresAt.IsZero() {
			return "end of the link"
		}
	}
	return ""
}

func (c *Composer) checkLinks(p plan, m Message) error {
	if m.Template == SignInUnknown {
		switch {
		case m.Link != "":
			return invalid("link where there is no account")
		case m.SignUpURL == "": // where sign-up is closed
			return nil
		}
		return checkLink(m.SignUpURL, "") // the app's page, which may be anywhere
	}
	switch {
	case m.Link == "" && p.link == must:
		return invalid("no link")
	case m.Link == "":
		return nil
	case p.link == never:
		return invalid("link where there must be none")
	case len(m.Link) > maxLink:
		return invalid("link is too long")
	}
	return checkLink(m.Link, c.origin)
}

func checkLink(link, origin string) error {
	u, err := url.Parse(link)
	if err != nil || strings.ContainsFunc(link, notInURL) || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return invalid("link")
	}
	if origin != "" && u.Scheme+"://"+u.Host != origin {
		return invalid("link of another origin")
	}
	return nil
}

func notInURL(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r) }

func invalid(what string) error { return fmt.Errorf("%w: %s", ErrInvalid, what) }
