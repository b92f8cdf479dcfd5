package idxapi

import (
	"cmp"
	_ "embed"
	"net/http"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/flow"
)

// catalogue has all that the pages say, by what has become of the link.
var catalogue = edge.NewWords(english)

//go:embed words/en.json
var english []byte

// The page for links that no app takes over: the client has no callback, or the
// link names nothing any more. Tests of clients look for its text by the id (AUTH A-62).
var linkPage = edge.NewPage(`<p id="form-messages">{{.Text}}</p>
{{with .Code}}<p class="code" id="code" dir="ltr">{{.}}</p>{{end}}`)

type linkView struct {
	edge.PageHead
	Text, Code string
}

// linkPages are the pages of a mailed link by its state.
var linkPages = map[flow.LinkState]struct {
	name   string
	status int
}{
	flow.LinkGood:    {"link-elsewhere", http.StatusOK},
	flow.LinkExpired: {"link-expired", http.StatusBadRequest},
	flow.LinkStale:   {"link-stale", http.StatusBadRequest},
	flow.LinkUsed:    {"link-used", http.StatusOK},
	flow.LinkInvalid: {"link-invalid", http.StatusBadRequest},
}

func (s *Server) linkPage(w http.ResponseWriter, l flow.Link) {
	p := linkPages[l.State]
	v := s.linkView(p.name, p.name)
	v.App = cmp.Or(l.Client.Name, v.App)
	if l.State == flow.LinkGood {
		v.Code = l.Code
	}
	s.writePage(w, p.status, v)
}

// linkView is a page with the catalogue's words of a key.
func (s *Server) linkView(page, key string) linkView {
	b := s.brand()
	return linkView{
		PageHead: edge.PageHead{Page: page, Title: catalogue.Say(key + ".title"), App: b.Name, Color: b.Color},
		Text:     catalogue.Say(key + ".text"),
	}
}

func (s *Server) writePage(w http.ResponseWriter, status int, v linkView) {
	if err := linkPage.Write(w, status, v); err != nil {
		s.log.Error("page cannot be written", "err", err)
	}
}
