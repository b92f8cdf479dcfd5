package myaccount

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/edge"
)

// catalogue has all that the pages say, by the page's name and the part of it.
var catalogue = func() (words map[string]string) {
	if err := json.Unmarshal(english, &words); err != nil {
		panic("myaccount: words/en.json: " + err.Error())
	}
	return words
}()

//go:embed words/en.json
var english []byte

// say is the text of a key, "" where there is none. Pairs are of a parameter's name
// and its value, which is not looked into again.
func say(key string, pairs ...string) string {
	all := make([]string, len(pairs))
	for i, s := range pairs {
		if all[i] = s; i%2 == 0 {
			all[i] = "{" + s + "}"
		}
	}
	return strings.NewReplacer(all...).Replace(catalogue[key])
}

func moment(t time.Time) string {
	t = t.UTC()
	return say("moment", "day", strconv.Itoa(t.Day()), "month", strings.Split(say("months"), "|")[t.Month()-1],
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
		PageHead: edge.PageHead{Page: page, Title: say(key+".title", pairs...)},
		Text:     []string{say(key+".text", pairs...)}, Button: say(key+".button", pairs...), status: status,
	}
	if more := say(key+".more", pairs...); more != "" {
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
	var forms []string
	if v.Button != "" {
		forms = []string{"'self'"}
	}
	if err := page.Write(w, v.status, v, forms...); err != nil {
		s.log.Error("page cannot be written", "err", err)
	}
}
