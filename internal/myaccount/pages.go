package myaccount

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

// The pages of the links that are mailed about an account. Opening one changes
// nothing, whoever does and however often (SEC S-14): mail scanners do. Its button
// posts back to it, which does what it says.

// Pages answers /account/*.
func (s *Server) Pages() http.Handler { return s.pages }

func (s *Server) routePages() {
	s.linkPage("undo", s.accounts.UndoLink, s.accounts.UndoEmail)
	s.linkPage("keep", s.accounts.KeepLink, s.accounts.KeepByLink)
	s.linkPage("email", s.emailLink, s.emailLink) // it has no button
}

func (s *Server) emailLink(ctx context.Context, token string) (account.Link, error) {
	id, ok := s.link(token)
	if !ok {
		return account.Link{State: account.LinkInvalid}, nil
	}
	return s.accounts.EmailLink(ctx, token, id)
}

// linkPage serves the links of a name: look tells what one is about, act does it.
func (s *Server) linkPage(name string, look, act func(context.Context, string) (account.Link, error)) {
	answer := func(w http.ResponseWriter, r *http.Request, do func(context.Context, string) (account.Link, error)) {
		l, err := do(r.Context(), r.PathValue("token"))
		if err != nil {
			s.failPage(w, r, err)
			return
		}
		s.write(w, linkView(name, l))
	}
	s.pages.Handle("/account/"+name+"/{token}", s.admit.Handler(edge.Always(edge.Answer), s.failPage, edge.Methods{
		http.MethodGet: func(w http.ResponseWriter, r *http.Request) { answer(w, r, look) },
		http.MethodPost: func(w http.ResponseWriter, r *http.Request) {
			if !s.own(r) {
				v := newView("foreign", "foreign", http.StatusForbidden)
				v.Error = true
				s.write(w, v)
				return
			}
			answer(w, r, act)
		},
	}))
}

// failPage tells a person of a fault, or that there is too much to do: they can do
// the same about both.
func (s *Server) failPage(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	var p *problem.Error
	if err = edge.InTime(r, err); errors.As(err, &p) && p.Kind == problem.Unavailable {
		status = http.StatusServiceUnavailable
		edge.SetRetryAfter(w, max(p.RetryAfter, time.Second))
	} else {
		s.log.ErrorContext(r.Context(), "page failed", "request", edge.RequestID(r.Context()), "err", err)
	}
	v := newView("error", "error", status)
	v.Error = true
	s.write(w, v)
}

// own reports whether a page of ours posts. A browser that does not tell the
// site tells the origin, and one that tells neither is not used by a person.
func (s *Server) own(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	return slices.Equal(r.Header.Values("Origin"), []string{s.origin})
}

var statuses = map[account.LinkState]int{
	account.LinkGood: http.StatusOK, account.LinkDone: http.StatusOK, account.LinkUsed: http.StatusOK,
	account.LinkExpired: http.StatusBadRequest, account.LinkTaken: http.StatusConflict, account.LinkInvalid: http.StatusNotFound,
}

func linkView(name string, l account.Link) view {
	page := name + "-" + string(l.State)
	if l.Code != "" {
		page = name + "-code"
	}
	key := page
	if l.State == account.LinkInvalid {
		key = "invalid"
	}
	v := newView(page, key, statuses[l.State], "address", l.Address, "moment", moment(l.At))
	v.App, v.Code = l.App.Name, l.Code
	return v
}
