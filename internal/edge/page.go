package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/stile-id/stile/internal/accent"
)

// The engine has few pages of its own: where no app takes a person over. They
// need no script, nothing remote and no style but this one, so that they work
// wherever a browser does (UX G1, G2).
const pageStyle = `:root{color-scheme:light dark;--ground:#f3f5f4;--card:#fff;--line:#dbe0dd;--text:#1a201d;--quiet:#58625d;--accent:#1d6b52;--on-accent:#fff;--accent-ink:#1d6b52;--soft:#eef2f0}
@media (prefers-color-scheme:dark){:root{--ground:#111413;--card:#1a1f1d;--line:#2d3431;--text:#e9eeeb;--quiet:#a5b0ab;--accent:#7cc9ac;--on-accent:#10201a;--accent-ink:#7cc9ac;--soft:#232a27}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--text);font:16px/24px system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:400px;margin:64px auto;padding:32px;background:var(--card);border:1px solid var(--line);border-radius:8px}
h1{font-size:24px;line-height:32px;margin:0 0 8px;font-weight:600}p{margin:0 0 16px}main>:last-child{margin-bottom:0}footer{max-width:400px;margin:-40px auto 32px;padding:0 33px;color:var(--quiet);font-size:14px;line-height:20px}
.code{font-size:32px;line-height:40px;letter-spacing:.2em;font-variant-numeric:tabular-nums;font-weight:600;user-select:all}
.note{padding:12px 16px;border-radius:8px;background:var(--soft);font-size:14px;line-height:20px}
form{margin:0 0 8px}button,.button{display:block;width:100%;min-height:44px;padding:9px 16px;border:1px solid transparent;border-radius:8px;background:var(--accent);color:var(--on-accent);font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer}
.link{display:inline-block;padding:10px 0;margin-bottom:-10px;color:var(--accent-ink);text-underline-offset:3px}
:focus-visible{outline:3px solid var(--accent-ink);outline-offset:2px}
@media (max-width:480px){main{margin:0;border:0;border-radius:0;padding:24px 16px}body{background:var(--card)}footer{margin:16px 0;padding:0 16px}}`

const pageFrame = `<!doctype html>
<html lang="en" dir="ltr"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{if .Error}}Error: {{end}}{{.Title}} · {{or .App "Stile"}}</title><link rel="icon" href="data:,"><style>` + pageStyle + `</style>{{with .Palette}}<style>{{.}}</style>{{end}}</head>
<body><main data-page="{{.Page}}"><h1>{{.Title}}</h1>
{{template "body" .}}</main><footer><bdi>{{or .App "Stile"}}</bdi></footer></body></html>
`

var pageStyleHash = StyleHash(pageStyle)

// StyleHash is the CSP source of a style.
func StyleHash(css string) string {
	sum := sha256.Sum256([]byte(css))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// A Brand is how pages look where no app says otherwise.
type Brand struct {
	Name  string // "" is the engine's own
	Color string // "#rrggbb"; "" is the engine's own
}

// A PageHead is what every page has, to be embedded in its own values.
type PageHead struct {
	Page  string // names it in tests: data-page of <main> (UX G59)
	Title string // of the document, and its one heading
	App   string // "" where no app is known
	Color string // as in Brand
	Error bool   // the document's title says so first
}

// Palette is its style.
func (h PageHead) Palette() template.CSS { return Brand{Color: h.Color}.Palette() }

// Palette is the brand's colour on the pages, "" without one: what is written on it can
// be read, and where it could not be read itself, a shade of it can (UX G27).
func (b Brand) Palette() template.CSS {
	if b.Color == "" {
		return ""
	}
	c := accent.Of(b.Color)
	return template.CSS(fmt.Sprintf(":root{--accent:%s;--on-accent:%s;--accent-ink:%s}"+ //nolint:gosec // colours that were computed
		"@media (prefers-color-scheme:dark){:root{--accent:%s;--on-accent:%s;--accent-ink:%s}}",
		c.Accent, c.Ink, c.LinkColor, c.AccentOnDark, c.InkOnDark, c.LinkOnDark))
}

// A Page is an HTML page in the frame that all of them share (UX G20).
type Page struct{ template *template.Template }

// NewPage makes a page of what stands below its heading: a template over the
// value that Write is given, which embeds a PageHead.
func NewPage(body string) Page {
	t := template.Must(template.New("page").Option("missingkey=error").Parse(pageFrame))
	template.Must(t.New("body").Parse(body))
	return Page{t}
}

// Write answers with the page. Its forms may lead to the given CSP sources, the
// targets of redirects included; without any it may have no form (UX G4).
func (p Page) Write(w http.ResponseWriter, status int, value any, forms ...string) error {
	var b bytes.Buffer
	if err := p.template.Execute(&b, value); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return fmt.Errorf("edge: page: %w", err)
	}
	if len(forms) == 0 {
		forms = []string{"'none'"}
	}
	styles := pageStyleHash
	if v, ok := value.(interface{ Palette() template.CSS }); ok && v.Palette() != "" {
		styles += " " + StyleHash(string(v.Palette()))
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; img-src data:; style-src "+styles+
		"; base-uri 'none'; form-action "+strings.Join(forms, " ")+"; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
	return nil
}
