package myaccount

import (
	"net/http"
	"slices"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/edge"
)

// The pages of the links that are mailed about an account. Opening one changes
// nothing, whoever does and however often (SEC S-14): mail scanners do. Its button
// posts back to it, which does what it says.

// Pages answers /account/*.
func (s *Server) Pages() http.Handler { return s.pages }

func (s *Server) routePages() {
	s.page("/account/undo/{token}", func(r *http.Request, act bool) (words, error) {
		look := s.accounts.UndoLink
		if act {
			look = s.accounts.UndoEmail
		}
		l, err := look(r.Context(), r.PathValue("token"))
		return undoWords(l), err
	})
	s.page("/account/keep/{token}", func(r *http.Request, act bool) (words, error) {
		look := s.accounts.KeepLink
		if act {
			look = s.accounts.KeepByLink
		}
		l, err := look(r.Context(), r.PathValue("token"))
		return keepWords(l), err
	})
	s.page("/account/email/{token}", func(r *http.Request, _ bool) (words, error) {
		token := r.PathValue("token")
		id, ok := s.link(token)
		if !ok {
			return codeWords(account.Link{State: account.LinkInvalid}), nil
		}
		l, err := s.accounts.EmailLink(r.Context(), token, id)
		return codeWords(l), err
	})
}

func (s *Server) page(path string, show func(r *http.Request, act bool) (words, error)) {
	answer := func(act bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			page, err := show(r, act)
			if err != nil {
				s.log.ErrorContext(r.Context(), "page failed", "request", edge.RequestID(r.Context()), "err", err)
				page = words{PageHead: edge.PageHead{Page: "error", Title: "That did not work", Error: true}, Text: []string{"Something went wrong on our side. Try again in a moment."}, status: http.StatusInternalServerError}
			}
			s.write(w, page)
		}
	}
	s.pages.Handle(path, edge.Methods{
		http.MethodGet: answer(false),
		http.MethodPost: func(w http.ResponseWriter, r *http.Request) {
			if !s.own(r) {
				s.write(w, words{
					PageHead: edge.PageHead{Page: "foreign", Title: "Not from here", Error: true}, status: http.StatusForbidden,
					Text: []string{"Open the link in your mail, and press the button there."},
				})
				return
			}
			answer(true)(w, r)
		},
	})
}

// own reports whether a page of ours posts. A browser that does not tell the
// site tells the origin, and one that tells neither is not used by a person.
func (s *Server) own(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	return slices.Equal(r.Header.Values("Origin"), []string{s.origin})
}

func undoWords(l account.Link) words {
	w := words{PageHead: edge.PageHead{App: l.App.Name, Page: "undo-" + string(l.State)}}
	switch l.State {
	case account.LinkGood:
		w.Title, w.Button, w.status = "This was not me", "Give my address back", http.StatusOK
		w.Text = []string{
			"The email of your account was changed. If it was not you, press the button, and " + l.Address + " is the email of the account again.",
			"Everybody is signed out everywhere, and ways to sign in that were added or changed since then are removed. After that, sign in with a code to your address.",
		}
	case account.LinkDone:
		w.Title, w.status = "Your address is back", http.StatusOK
		w.Text = []string{
			l.Address + " is the email of your account again, and everybody is signed out everywhere.",
			"Sign in with a code that is sent to you there, and look through your profile.",
		}
	case account.LinkUsed:
		w.Title, w.status = "This link was already used", http.StatusOK
		w.Text = []string{"There is nothing left to do with it. Sign in to see how your account stands."}
	case account.LinkExpired:
		w.Title, w.status = "This link is too old", http.StatusBadRequest
		w.Text = []string{"An address can be given back for seven days. Ask the people who run the app for help."}
	case account.LinkTaken:
		w.Title, w.status = "This address cannot be given back", http.StatusConflict
		w.Text = []string{"It belongs to another account by now. Ask the people who run the app for help."}
	default:
		w = invalidWords("undo-invalid")
	}
	return w
}

func keepWords(l account.Link) words {
	w := words{PageHead: edge.PageHead{App: l.App.Name, Page: "keep-" + string(l.State)}}
	switch l.State {
	case account.LinkGood:
		w.Title, w.Button, w.status = "Keep my account", "Keep my account", http.StatusOK
		w.Text = []string{"Your account will be deleted on " + l.At.UTC().Format("2 January 2006 at 15:04 UTC") + ", with everything that belongs to it. Press the button, and it stays."}
	case account.LinkDone:
		w.Title, w.status = "Your account stays", http.StatusOK
		w.Text = []string{"It will not be deleted. If it was not you who asked for that, sign in, sign out everywhere else, and set a new password."}
	case account.LinkUsed:
		w.Title, w.status = "This link was already used", http.StatusOK
		w.Text = []string{"Sign in to see how your account stands."}
	case account.LinkExpired:
		w.Title, w.status = "This link is too old", http.StatusBadRequest
		w.Text = []string{"The account is deleted, or is just being deleted. It cannot be brought back."}
	default:
		w = invalidWords("keep-invalid")
	}
	return w
}

func codeWords(l account.Link) words {
	switch l.State {
	case account.LinkGood:
		return words{
			PageHead: edge.PageHead{Page: "email-code", Title: "Your code"}, Text: []string{"Enter this code where you are changing your email."},
			Code: l.Code, status: http.StatusOK,
		}
	case account.LinkUsed:
		return words{
			PageHead: edge.PageHead{Page: "email-used", Title: "This link no longer works"}, status: http.StatusOK,
			Text: []string{"The code was entered already, or another one was asked for. Go on where you are changing your email."},
		}
	case account.LinkExpired:
		return words{
			PageHead: edge.PageHead{Page: "email-expired", Title: "This link is too old"}, status: http.StatusBadRequest,
			Text: []string{"Go back to your profile and ask for a new code."},
		}
	}
	return invalidWords("email-invalid")
}

func invalidWords(page string) words {
	return words{
		PageHead: edge.PageHead{Page: page, Title: "This link is not complete"}, status: http.StatusNotFound,
		Text: []string{"Copy all of it from the mail. A link that is long over looks the same, and so does one to an account that is gone."},
	}
}
