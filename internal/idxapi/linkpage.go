package idxapi

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"

	"github.com/stile-id/stile/internal/flow"
)

// The page for links that no app takes over: the client has no callback, or the
// link names nothing any more. It has no form, no script and nothing remote.
const linkStyle = `:root{color-scheme:light dark;--ground:#f3f5f4;--card:#fff;--line:#dbe0dd;--text:#1a201d;--quiet:#58625d}
@media (prefers-color-scheme:dark){:root{--ground:#111413;--card:#1a1f1d;--line:#2d3431;--text:#e9eeeb;--quiet:#a5b0ab}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--text);font:16px/24px system-ui,sans-serif}
main{max-width:400px;margin:64px auto;padding:32px;background:var(--card);border:1px solid var(--line);border-radius:8px}
h1{font-size:24px;line-height:32px;margin:0 0 8px;font-weight:600}p{margin:0 0 16px}footer{max-width:400px;margin:-40px auto 32px;padding:0 32px;color:var(--quiet);font-size:14px;line-height:20px}
.code{font-size:32px;line-height:40px;letter-spacing:.2em;font-variant-numeric:tabular-nums;font-weight:600;user-select:all}
@media (max-width:480px){main{margin:0;border:0;border-radius:0;padding:24px 16px}body{background:var(--card)}footer{margin:16px 0;padding:0 16px}}`

var linkPage = template.Must(template.New("link").Parse(`<!doctype html>
<html lang="en" dir="ltr"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{.Title}} · {{or .App "Stile"}}</title><link rel="icon" href="data:,"><style>` + linkStyle + `</style></head>
<body><main data-page="{{.Page}}"><h1>{{.Title}}</h1><p>{{.Text}}</p>
{{with .Code}}<p class="code" id="code" dir="ltr">{{.}}</p>{{end}}</main><footer>{{or .App "Stile"}}</footer></body></html>
`))

var linkPolicy = func() string {
	sum := sha256.Sum256([]byte(linkStyle))
	return "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

type linkWords struct{ Page, Title, Text, App, Code string }

func (s *Server) linkPage(w http.ResponseWriter, l flow.Link) {
	words := linkWords{App: l.Client.Name}
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
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", linkPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	w.WriteHeader(status)
	if err := linkPage.Execute(w, words); err != nil {
		s.log.Error("page cannot be written", "err", err)
	}
}
