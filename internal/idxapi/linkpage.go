package idxapi

import (
	"net/http"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/flow"
)

// The page for links that no app takes over: the client has no callback, or the
// link names nothing any more. Tests of clients look for its text by the id (AUTH A-62).
var linkPage = edge.NewPage(`<p id="form-messages">{{.Text}}</p>
{{with .Code}}<p class="code" id="code" dir="ltr">{{.}}</p>{{end}}`)

type linkWords struct {
	edge.PageHead
	Text, Code string
}

func (s *Server) linkPage(w http.ResponseWriter, l flow.Link) {
	words := linkWords{PageHead: edge.PageHead{App: l.Client.Name}}
	if words.App == "" {
		words.App = s.brand()
	}
	status := http.StatusBadRequest
	switch l.State {
	case flow.LinkGood:
		status = http.StatusOK
		words.Page, words.Title = "link-elsewhere", "Your code"
		words.Text, words.Code = "Enter this code where you started.", l.Code
	case flow.LinkExpired:
		words.Page, words.Title = "link-expired", "This link is too old"
		words.Text = "Go back to where you started and ask for a new one."
	case flow.LinkStale:
		words.Page, words.Title = "link-stale", "This link no longer works"
		words.Text = "The address was changed, or too many wrong codes were entered. Go on where you started."
	case flow.LinkUsed:
		status = http.StatusOK
		words.Page, words.Title = "link-used", "This link was already used"
		words.Text = "Go back to where you started, or sign in again."
	case flow.LinkInvalid:
		words.Page, words.Title = "link-invalid", "This link is not complete"
		words.Text = "Copy all of it from the mail, or enter the code instead. A link whose sign-in is long over looks the same."
	}
	if err := linkPage.Write(w, status, words); err != nil {
		s.log.Error("page cannot be written", "err", err)
	}
}
