package idxapi

import (
	"net/http"

	"github.com/stile-id/stile/internal/edge"
)

// ticket sends the browser that opens an operator's mail on to the app's page,
// with the token. It changes nothing, whoever fetches it (SEC S-14).
func (s *Server) ticket(w http.ResponseWriter, r *http.Request) {
	target, ok, err := s.tickets(r.Context(), r.PathValue("token"))
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	if ok {
		http.Redirect(w, r, target, http.StatusFound)
		return
	}
	words := linkWords{
		PageHead: edge.PageHead{Page: "link-expired", Title: "This link no longer works", App: s.brand()},
		Text:     "It was used already, or is too old. Ask whoever sent it to you for a new one.",
	}
	if err := linkPage.Write(w, http.StatusBadRequest, words); err != nil {
		s.log.Error("page cannot be written", "err", err)
	}
}
