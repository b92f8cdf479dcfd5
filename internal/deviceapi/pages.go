package deviceapi

import (
	"bytes"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/accent"
	"github.com/stile-id/stile/internal/edge"
)

//go:embed static/*
var static embed.FS

// The web app "Stile on your phone". Opening a page of it changes nothing: what it
// does, its script does by statements. The address of a link stays as it is, so that
// who opens one on the wrong device can send it on.
const pagePolicy = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; img-src 'self'; manifest-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'self'"

// workerName is the script that shows a notification while no page is open.
const workerName = "worker.js"

type view struct {
	Page, Brand, Base string
	Script, Style     string
	State             string // of the link: "", "good", "old" or "cut"
	Name              string // that the device is called if its owner does not say
	Wake              string // what the browser subscribes with, to be woken
	Palette           template.CSS
}

func (s *Server) pages() error {
	frame, err := template.ParseFS(static, "static/phone.html")
	if err != nil {
		return err
	}
	links := map[string]string{}
	serve := func(name, kind string, file func() (body []byte, tag string)) {
		s.mux.Handle("/phone/"+name, edge.Methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) {
			body, tag := file()
			w.Header().Set("Content-Type", kind)
			edge.Cacheable(w, "no-cache")
			if r.URL.Query().Get("v") == tag {
				edge.Cacheable(w, "public, max-age=31536000, immutable")
			}
			w.Header().Set("ETag", `"`+tag+`"`)
			if name == workerName { // the page is beside its folder, not in it
				w.Header().Set("Service-Worker-Allowed", "/phone")
			}
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
		}})
	}
	for name, kind := range map[string]string{
		"phone.js": "text/javascript; charset=utf-8", "phone.css": "text/css; charset=utf-8",
		workerName: "text/javascript; charset=utf-8",
	} {
		body, err := static.ReadFile("static/" + name)
		if err != nil {
			return err
		}
		tag := tagOf(body)
		links[name] = "/phone/" + name + "?v=" + tag
		serve(name, kind, func() ([]byte, string) { return body, tag })
	}
	for _, size := range []int{192, 512} {
		serve(fmt.Sprintf("icon-%d.png", size), "image/png", func() ([]byte, string) {
			i := iconOf(size, s.Brand().Color)
			return i.body, i.tag
		})
	}
	page := func(name string) http.Handler {
		return s.Admission.Handler(edge.Always(edge.Answer), s.fail, edge.Methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) {
			brand := s.Brand()
			v := view{Page: name, Brand: brand.Name, Palette: brand.Palette(), Base: s.PublicURL, Script: links["phone.js"], Style: links["phone.css"], Name: "Phone"}
			if browser, system := s.Agent(r.UserAgent()); browser != "" && system != "" {
				v.Name = browser + " on " + system
			}
			if s.Waker != nil {
				v.Wake = s.Waker.Key()
			}
			status := http.StatusOK
			if name == "phone-link" {
				v.State, status = s.state(r.URL.Query().Get("t"))
			}
			s.write(w, status, frame, v)
		}})
	}
	s.mux.Handle("/auth/push/link", page("phone-link"))
	s.mux.Handle("/phone", page("phone"))
	s.mux.Handle("/phone/manifest.webmanifest", edge.Methods{http.MethodGet: s.manifest})
	return nil
}

// state tells whether a link may be good still; whether its question is open is
// not told before a device answers it.
func (s *Server) state(token string) (string, int) {
	_, _, ends, ok := s.Authenticator.Link(token)
	switch {
	case !ok:
		return "cut", http.StatusBadRequest
	case !s.Now().Before(ends):
		return "old", http.StatusOK
	}
	return "good", http.StatusOK
}

func (s *Server) write(w http.ResponseWriter, status int, frame *template.Template, v view) {
	var b bytes.Buffer
	if err := frame.Execute(&b, v); err != nil {
		s.Logger.Error("page of a device cannot be written", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	policy := pagePolicy
	if v.Palette != "" {
		policy += " " + edge.StyleHash(string(v.Palette))
	}
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// manifest makes the page one that a phone installs.
func (s *Server) manifest(w http.ResponseWriter, _ *http.Request) {
	brand := s.Brand()
	name := strings.TrimSpace(brand.Name)
	if name == "" {
		name = "Stile"
	}
	type picture struct {
		Src   string `json:"src"`
		Sizes string `json:"sizes"`
		Type  string `json:"type"`
	}
	body, err := json.Marshal(struct {
		Name       string    `json:"name"`
		ShortName  string    `json:"short_name"`
		StartURL   string    `json:"start_url"`
		Scope      string    `json:"scope"`
		Display    string    `json:"display"`
		Background string    `json:"background_color"`
		Theme      string    `json:"theme_color"`
		Icons      []picture `json:"icons"`
	}{
		name + " on your phone", name, "/phone", "/", "standalone", "#f3f5f4", accent.Of(brand.Color).Accent,
		[]picture{{"/phone/icon-192.png", "192x192", "image/png"}, {"/phone/icon-512.png", "512x512", "image/png"}},
	})
	if err != nil {
		s.Logger.Error("manifest cannot be written", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/manifest+json")
	edge.Cacheable(w, "no-cache")
	_, _ = w.Write(body)
}

func tagOf(body []byte) string {
	h := fnv.New64a()
	_, _ = h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

type iconKey struct {
	size  int
	color string
}

type icon struct {
	body []byte
	tag  string
}

// icons are those that were asked for: there are as many as brands.
var icons sync.Map // of iconKey to icon

func iconOf(size int, color string) icon {
	key := iconKey{size, color}
	if i, ok := icons.Load(key); ok {
		return i.(icon)
	}
	body := draw(size, color)
	i := icon{body, tagOf(body)}
	icons.Store(key, i)
	return i
}

// draw draws a stile: two posts and three steps between them.
func draw(size int, brand string) []byte {
	ground, ink := accent.Of(brand).Button()
	m := image.NewPaletted(image.Rect(0, 0, size, size), color.Palette{ground, ink})
	at := func(n int) int { return n * size / 48 }
	for _, r := range []image.Rectangle{
		image.Rect(13, 11, 16, 37), image.Rect(32, 11, 35, 37),
		image.Rect(10, 16, 38, 19), image.Rect(10, 23, 38, 26), image.Rect(10, 30, 38, 33),
	} {
		for y := at(r.Min.Y); y < at(r.Max.Y); y++ {
			for x := at(r.Min.X); x < at(r.Max.X); x++ {
				m.SetColorIndex(x, y, 1)
			}
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, m) // a buffer takes all
	return b.Bytes()
}
