package myaccount

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// words are what a page says. It has no script and nothing remote, and one form
// at most, which posts to where the page is.
type words struct {
	Page, Title, App string
	Text             []string
	Code             string
	Button           string // empty: there is nothing to do

	status int
}

const pageStyle = `:root{color-scheme:light dark;--ground:#f3f5f4;--card:#fff;--line:#dbe0dd;--text:#1a201d;--quiet:#58625d;--accent:#1d6b52;--on-accent:#fff}
@media (prefers-color-scheme:dark){:root{--ground:#111413;--card:#1a1f1d;--line:#2d3431;--text:#e9eeeb;--quiet:#a5b0ab;--accent:#7cc9ac;--on-accent:#10201a}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--text);font:16px/24px system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:400px;margin:64px auto;padding:32px;background:var(--card);border:1px solid var(--line);border-radius:8px}
h1{font-size:24px;line-height:32px;margin:0 0 8px;font-weight:600}p{margin:0 0 16px}main>:last-child{margin-bottom:0}footer{max-width:400px;margin:-40px auto 32px;padding:0 32px;color:var(--quiet);font-size:14px;line-height:20px}
.code{font-size:32px;line-height:40px;letter-spacing:.2em;font-variant-numeric:tabular-nums;font-weight:600;user-select:all}
form{margin:24px 0 0}button{display:block;width:100%;min-height:44px;padding:9px 16px;border:1px solid transparent;border-radius:8px;background:var(--accent);color:var(--on-accent);font:inherit;font-weight:600;cursor:pointer}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
@media (max-width:480px){main{margin:0;border:0;border-radius:0;padding:24px 16px}body{background:var(--card)}footer{margin:16px 0;padding:0 16px}}`

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en" dir="ltr"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{.Title}} · {{or .App "Stile"}}</title><link rel="icon" href="data:,"><style>` + pageStyle + `</style></head>
<body><main data-page="{{.Page}}"><h1>{{.Title}}</h1>
{{range .Text}}<p>{{.}}</p>
{{end}}{{with .Code}}<p class="code" id="code" dir="ltr">{{.}}</p>
{{end}}{{with .Button}}<form method="post"><button type="submit">{{.}}</button></form>
{{end}}</main><footer><bdi>{{or .App "Stile"}}</bdi></footer></body></html>
`))

var pageStyleHash = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

func (s *Server) write(w http.ResponseWriter, p words) {
	var b bytes.Buffer
	if err := page.Execute(&b, p); err != nil {
		s.log.Error("page cannot be written", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	form := "'none'"
	if p.Button != "" {
		form = "'self'"
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; img-src data:; style-src "+pageStyleHash+
		"; base-uri 'none'; form-action "+form+"; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	// The address is a secret for every other site. With no-referrer browsers
	// would send no origin along with the form either.
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(p.status)
	_, _ = w.Write(b.Bytes())
}
