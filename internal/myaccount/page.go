package myaccount

import (
	"net/http"

	"github.com/stile-id/stile/internal/edge"
)

// words are what a page says. It has one form at most, which posts to where the
// page is.
type words struct {
	edge.PageHead
	Text   []string
	Code   string
	Button string // empty: there is nothing to do

	status int
}

var page = edge.NewPage(`{{range .Text}}<p>{{.}}</p>
{{end}}{{with .Code}}<p class="code" id="code" dir="ltr">{{.}}</p>
{{end}}{{with .Button}}<form method="post"><button type="submit">{{.}}</button></form>
{{end}}`)

func (s *Server) write(w http.ResponseWriter, p words) {
	// The address is a secret for every other site. With no-referrer browsers
	// would send no origin along with the form either.
	w.Header().Set("Referrer-Policy", "same-origin")
	var forms []string
	if p.Button != "" {
		forms = []string{"'self'"}
	}
	if err := page.Write(w, p.status, p, forms...); err != nil {
		s.log.Error("page cannot be written", "err", err)
	}
}
