package signin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/stile-id/stile/idx"
)

// failure is the answer to an error of the engine. f, if there is one, keeps what
// was typed.
func (p *Pages) failure(v *visit, f *flow, err error) *answer {
	var r *idx.ResponseError
	switch {
	case errors.Is(err, idx.ErrExpired), errors.Is(err, idx.ErrNoTransaction), errors.Is(err, idx.ErrInvalidGrant):
		return p.tooOld(v, f)
	case errors.Is(err, idx.ErrRegistrationClosed):
		return p.closed(v, signUpForm)
	case errors.Is(err, idx.ErrNotOffered) && f != nil && f.Form != signInForm && f.Tx == "":
		return p.closed(v, f.Form)
	case errors.As(err, &r) && r.Status == http.StatusTooManyRequests:
		return p.limited(v, f, r.RetryAfter)
	}

	n := notice{Alert: true, Reference: reference()}
	status := http.StatusBadGateway
	level := slog.LevelError
	if r != nil && r.Status >= 400 && r.Status < 500 {
		// The engine answers, and refuses this app: an unknown client, a redirect URI
		// that is not registered, a wrong secret (UX G55).
		status = http.StatusInternalServerError
		n.Heading, n.Text = v.words.T("error.setup.heading"), v.words.H("error.setup.text", "app", p.opt.AppName)
		n.Details = []detail{{v.words.T("error.code"), clip(r.Code, 100)}, {v.words.T("error.description"), clip(r.Description, 300)}}
		if r.RequestID != "" {
			n.Details = append(n.Details, detail{v.words.T("error.request"), clip(r.RequestID, 100)})
		}
	} else {
		n.Heading, n.Text = v.words.T("error.unreachable.heading"), v.words.H("error.unreachable.text", "app", p.opt.AppName)
	}
	n.Primary = &press{Label: v.words.T("error.retry"), Link: p.retry(v, f)}
	p.opt.Logger.LogAttrs(v.ctx, level, "signin: no answer to go on with",
		slog.String("reference", n.Reference), slog.String("path", v.r.URL.Path), slog.Any("error", err))
	return p.notice(v, status, "error", n)
}

// retry is where trying again leads: to the form, filled in, or to the step.
func (p *Pages) retry(v *visit, f *flow) string {
	switch {
	case f == nil && (v.r.Method == http.MethodGet || v.r.Method == http.MethodHead):
		return v.r.URL.RequestURI()
	case f == nil:
		return p.to("")
	}
	if err := v.save(f); err != nil {
		return p.to("")
	}
	if f.Tx != "" {
		return p.stepPage(v, f)
	}
	return p.formPage(v, f)
}

// limited shows the form or step again with the end of the wait (UX G57).
func (p *Pages) limited(v *visit, f *flow, wait time.Duration) *answer {
	n := tooOften(v, wait)
	if f != nil && v.r.Method == http.MethodPost {
		if f.Tx == "" {
			return p.again(v, f, n)
		}
		p.keepTyped(v, f)
		f.Notes, f.At = []note{n}, ""
		if err := v.save(f); err != nil {
			return p.failure(v, nil, err)
		}
		return v.redirect(p.stepPage(v, f))
	}
	wait = max(time.Second, time.Unix(n.Until, 0).Sub(v.now))
	a := p.notice(v, http.StatusTooManyRequests, "error", notice{
		Alert: true, Reference: reference(), Heading: v.words.T("error.too_many.heading"),
		Text:    v.words.H("error.too_many", "wait", v.words.Wait(wait)),
		Primary: &press{Label: v.words.T("error.retry"), Link: p.retry(v, nil)},
	})
	a.header.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	return a
}

// tooOld is the page for a flow that the engine, or this browser, has forgotten
// (UX G51). Starting again keeps what was typed and where it should lead.
func (p *Pages) tooOld(v *visit, f *flow) *answer {
	n := notice{
		Heading: v.words.T("too_old.heading"), Text: v.words.H("too_old.text"), Reference: reference(),
		Primary: &press{Label: v.words.T("too_old.again"), Link: p.to("")},
	}
	if f != nil {
		n.Primary = &press{Label: v.words.T("too_old.again"), Post: p.to("step", "flow", f.ID), Action: "restart"}
	}
	p.opt.Logger.LogAttrs(v.ctx, slog.LevelInfo, "signin: the page is too old",
		slog.String("reference", n.Reference), slog.String("path", v.r.URL.Path))
	return p.notice(v, http.StatusGone, "too-old", n)
}

// noCookies tells why it does not go on, where another try would only loop (UX G53).
func (p *Pages) noCookies(v *visit) *answer {
	n := notice{
		Alert: true, Reference: reference(),
		Heading: v.words.T("no_cookies.heading"), Text: v.words.H("no_cookies.text", "app", p.opt.AppName),
		Primary: &press{Label: v.words.T("no_cookies.again"), Link: p.to("")},
	}
	p.opt.Logger.LogAttrs(v.ctx, slog.LevelInfo, "signin: the browser sent no cookie back", slog.String("reference", n.Reference))
	return p.notice(v, http.StatusBadRequest, "error", n)
}

// ended is the page for a transaction that the engine has closed.
func (p *Pages) ended(v *visit, f *flow, tx *idx.Transaction) *answer {
	for _, m := range tx.Messages {
		if m.I18n.Key == "idx.transferred.to.new.tab" {
			if s, _ := p.session(v); s != nil {
				return v.redirect(p.destination(f))
			}
		}
	}
	said := p.said(v, tx)
	if len(said) == 0 {
		said = f.Notes
	}
	if name, ok := ends[keyOf(said)]; ok {
		return p.endedAs(v, f, name)
	}
	n := notice{
		Heading: v.words.T("ended.heading"), Text: v.words.H("ended.text"), Reference: reference(), Alert: true,
		Primary: &press{Label: v.words.T("too_old.again"), Post: p.to("step", "flow", f.ID), Action: "restart"},
	}
	var keys []string
	for i, m := range said {
		keys = append(keys, m.Key)
		if i == 0 {
			n.Text = v.words.H("ended.said", "text", v.words.message(m))
		}
	}
	p.opt.Logger.LogAttrs(v.ctx, slog.LevelInfo, "signin: the engine ended the flow",
		slog.String("reference", n.Reference), slog.Any("messages", keys))
	return p.notice(v, http.StatusOK, "error", n)
}

// ends are those that have a page of their own, by the engine's message.
var ends = map[string]string{
	"idx.recovery.completed":      "recovery-completed",
	"oie.assurance.unsatisfiable": "not-enough",
	"security.access_denied":      "denied",
}

func keyOf(all []note) string {
	if len(all) == 0 {
		return ""
	}
	return all[0].Key
}

// endedAs is the page of an end that leads nowhere but to the beginning.
func (p *Pages) endedAs(v *visit, f *flow, name string) *answer {
	n := notice{
		Heading: v.words.T(name + ".heading"), Text: v.words.H(name+".text", "app", p.opt.AppName),
		Primary: &press{Label: v.words.T(name + ".again"), Link: p.to("", "login_hint", f.address(), "return_to", f.ReturnTo)},
	}
	status := http.StatusOK
	if name != "recovery-completed" {
		status, n.Alert, n.Reference = http.StatusForbidden, true, reference()
		p.opt.Logger.LogAttrs(v.ctx, slog.LevelInfo, "signin: the engine lets nobody in this way",
			slog.String("reference", n.Reference), slog.String("end", name))
	}
	return p.notice(v, status, name, n)
}

// refuse is the page for requests that our own pages never make.
func (p *Pages) refuse(v *visit, status int, key string) *answer {
	n := notice{
		Alert: true, Reference: reference(),
		Heading: v.words.T("error.heading"), Text: v.words.H(key),
		Primary: &press{Label: v.words.T("error.home"), Link: p.to("")},
	}
	p.opt.Logger.LogAttrs(context.WithoutCancel(v.ctx), slog.LevelInfo, "signin: refused",
		slog.String("reference", n.Reference), slog.String("reason", key), slog.String("path", v.r.URL.Path))
	return p.notice(v, status, "error", n)
}

func (p *Pages) notFound(v *visit) *answer {
	return p.refuse(v, http.StatusNotFound, "error.not_found")
}
