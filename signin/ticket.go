package signin

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/stile-id/stile/idx"
)

// The pages of mailed tickets; they are at these addresses below the prefix.
const (
	welcomeForm     = "welcome"
	newPasswordForm = "new-password"
)

// A ticket is a token that an operator has mailed to a person. Mail scanners open
// links, so its page says what it is for and waits for a press (UX G5, P4.1).
type ticket struct {
	form      string
	parameter string // of the address and of the form
	over      string // the page for a token that is of no use any more
	refusal   string // what the engine says of one
	begin     func(context.Context, *idx.Client, string) (*idx.Transaction, error)
}

var invitation = ticket{
	form: welcomeForm, parameter: "activationToken", over: "invitation-over", refusal: "activation token",
	begin: func(ctx context.Context, c *idx.Client, token string) (*idx.Transaction, error) {
		return c.Register(ctx, idx.Profile{ActivationToken: token})
	},
}

var recovery = ticket{
	form: newPasswordForm, parameter: "recoveryToken", over: "recovery-over", refusal: "recovery token",
	begin: func(ctx context.Context, c *idx.Client, token string) (*idx.Transaction, error) {
		return c.RecoverPassword(ctx, idx.Credentials{RecoveryToken: token})
	},
}

func (p *Pages) addTickets() {
	for _, k := range []ticket{invitation, recovery} {
		p.routes[p.prefix+k.form] = route{
			show: func(v *visit) *answer { return p.showTicket(v, k) },
			act:  func(v *visit) *answer { return p.redeem(v, k) },
			keep: doublePress,
		}
	}
}

// maxToken is more than any engine's token has.
const maxToken = 512

func whole(token string) bool { return token != "" && len(token) <= maxToken && headerLike(token) }

// showTicket asks the engine nothing: who opens the page learns nothing of the token.
func (p *Pages) showTicket(v *visit, k ticket) *answer {
	q := v.r.URL.Query()
	if q.Has("over") {
		return p.ticketOver(v, k)
	}
	token := q.Get(k.parameter)
	var told []note
	if token == "" { // begun before, and it did not get far
		f, ok := v.flow(q.Get("flow"))
		switch {
		case ok && f.Done:
			return v.redirect(p.onward(v, f))
		case ok && f.Form == k.form:
			token, told = f.Token, f.Notes
		case v.cookiesRefused():
			return p.noCookies(v)
		}
	}
	if !whole(token) {
		return p.ticketCut(v)
	}
	pg := p.page(v, k.form, nil)
	if s, _ := p.session(v); s != nil {
		who := s.claims()
		pg.Notices = append(pg.Notices, v.words.T("ticket.signed_in", "who", cmp.Or(who.Email, who.Name, who.Subject)))
	}
	pg.report(told)
	pg.Data = notice{
		Text: v.words.H(k.form+".text", "app", p.opt.AppName),
		Primary: &press{
			Label: v.words.T("ticket.continue"), Post: p.to(k.form, "ui_locales", q.Get("ui_locales")), Action: "continue",
			// The id tells a double press from the same mail in another browser.
			Fields: map[string]string{k.parameter: token, "flow": newFlowID()},
		},
	}
	return p.render(v, pg)
}

// redeem begins what the ticket is for. The next page's address does not have the token.
func (p *Pages) redeem(v *visit, k ticket) *answer {
	token := v.form(k.parameter)
	if !whole(token) {
		return p.ticketCut(v)
	}
	f := v.ticketFlow(k, token)
	if f.live(v.now) { // went back, and pressed again
		return v.redirect(p.stepPage(v, f))
	}
	f.Lang, f.Notes, f.At = v.words.Lang, nil, ""
	tx, err := k.begin(v.ctx, p.client, token)
	if k.refused(err) {
		v.remove("f-" + f.ID)
		p.opt.Logger.LogAttrs(v.ctx, slog.LevelInfo, "signin: a mailed token is of no use any more", slog.String("path", v.r.URL.Path))
		return v.redirect(p.to(k.form, "over", "1", "ui_locales", v.r.URL.Query().Get("ui_locales")))
	}
	return p.started(v, f, tx, err)
}

// ticketFlow gives the flow that this browser has begun with the token, or a new one
// under the id that the form was made with.
func (v *visit) ticketFlow(k ticket, token string) *flow {
	for _, f := range v.flows() {
		if f.Form == k.form && f.Token == token {
			return f
		}
	}
	id := v.form("flow")
	if _, taken := v.flow(id); taken || !flowID.MatchString(id) {
		id = newFlowID()
	}
	return &flow{ID: id, Begun: v.now.Unix(), Form: k.form, Token: token}
}

// refused tells the engine's refusal of the token from one of the app, which has
// the same code.
func (k ticket) refused(err error) bool {
	var r *idx.ResponseError
	return errors.As(err, &r) && r.Status == http.StatusBadRequest && r.Code == "invalid_request" &&
		strings.Contains(strings.ToLower(r.Description), k.refusal)
}

// ticketOver is the page for a token that was used, is too old, or has a newer one
// in its place: the engine does not tell which.
func (p *Pages) ticketOver(v *visit, k ticket) *answer {
	n := notice{
		Heading: v.words.T(k.over + ".heading"), Text: v.words.H(k.over+".text", "app", p.opt.AppName),
		Primary: &press{Label: v.words.T("link.sign_in"), Link: p.to("")},
	}
	if k.form == newPasswordForm {
		if o, err := p.offered(v); err == nil && o.recover {
			n.Text = v.words.H(k.over + ".again")
			n.Second, n.Primary = n.Primary, &press{Label: v.words.T("sign_in.forgot"), Link: p.to(recoverForm)}
		}
	}
	return p.notice(v, http.StatusGone, k.over, n)
}

// ticketCut is the page for an address that has lost its token.
func (p *Pages) ticketCut(v *visit) *answer {
	return p.notice(v, http.StatusBadRequest, "error", notice{
		Alert: true, Reference: reference(),
		Heading: v.words.T("link.invalid.heading"), Text: v.words.H("ticket.cut"),
		Primary: &press{Label: v.words.T("link.sign_in"), Link: p.to("")},
	})
}
