package idxapi

import "net/http"

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
	s.writePage(w, http.StatusBadRequest, s.linkView("link-expired", "ticket-expired"))
}
