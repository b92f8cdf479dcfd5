package myaccount

import (
	"cmp"
	_ "embed"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/edge"
)

// catalogue has all that the pages say, by the page's name and the part of it.
var catalogue = edge.NewWords(english)

//go:embed words/en.json
var english []byte

func moment(t time.Time) string {
	t = t.UTC()
	return catalogue.Say("moment", "day", strconv.Itoa(t.Day()), "month", strings.Split(catalogue.Say("months"), "|")[t.Month()-1],
		"year", strconv.Itoa(t.Year()), "time", t.Format("15:04"))
}

// A view is what a page shows. It has one form at most, which posts to where the
// page is.
type view struct {
	edge.PageHead
	Text   []string
	Code   string
	Button string // empty: there is nothing to do

	status int
}

// newView is a page with the catalogue's words of a key.
func newView(page, key string, status int, pairs ...string) view {
	v := view{
		PageHead: edge.PageHead{Page: page, Title: catalogue.Say(key+".title", pairs...)},
		Text:     []string{catalogue.Say(key+".text", pairs...)}, Button: catalogue.Say(key+".button", pairs...), status: status,
	}
	if more := catalogue.Say(key+".more", pairs...); more != "" {
		v.Text = append(v.Text, more)
	}
	return v
}

var page = edge.NewPage(`{{range .Text}}<p>{{.}}</p>
{{end}}{{with .Code}}<p class="code" id="code" dir="ltr">{{.}}</p>
{{end}}{{with .Button}}<form method="post"><button type="submit">{{.}}</button></form>
{{end}}`)

func (s *Server) write(w http.ResponseWriter, v view) {
	// The address is a secret for every other site. With no-referrer browsers
	// would send no origin along with the form either.
	w.Header().Set("Referrer-Policy", "same-origin")
	if s.brand != nil {
		b := s.brand()
		v.App, v.Color = cmp.Or(v.App, b.Name), b.Color
	}
	var forms []string
	if v.Button != "" {
		forms = []string{"'self'"}
	}
	if err := page.Write(w, v.status, v, forms...); err != nil {
		s.log.Error("page cannot be written", "err", err)
	}
}
