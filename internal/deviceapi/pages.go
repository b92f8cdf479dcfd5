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
	"time"

	"github.com/stile-id/stile/internal/edge"
)

//go:embed static/*
var static embed.FS

// The web app "Stile on your phone". Opening a page of it changes nothing: what it
// does, its script does by statements. The address of a link stays as it is, so that
// who opens one on the wrong device can send it on.
const pagePolicy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; manifest-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// workerName is the script that shows a notification while no page is open.
const workerName = "worker.js"

type view struct {
	Page, Brand, Base string
	Script, Style     string
	State             string // of the link: "", "good", "old" or "cut"
	Name              string // that the device is called if its owner does not say
	Wake              string // what the browser subscribes with, to be woken
}

func (s *Server) pages() error {
	frame, err := template.ParseFS(static, "static/phone.html")
	if err != nil {
		return err
	}
	links := map[string]string{}
	serve := func(name, kind string, body []byte) {
		h := fnv.New64a()
		_, _ = h.Write(body)
		tag := hex.EncodeToString(h.Sum(nil))
		links[name] = "/phone/" + name + "?v=" + tag
		s.mux.Handle("/phone/"+name, edge.Methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) {
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
		serve(name, kind, body)
	}
	for _, size := range []int{192, 512} {
		body, err := icon(size)
		if err != nil {
			return err
		}
		serve(fmt.Sprintf("icon-%d.png", size), "image/png", body)
	}
	page := func(name string) http.Handler {
		return s.Admission.Handler(edge.Always(edge.Answer), s.fail, edge.Methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) {
			v := view{Page: name, Brand: s.Brand(), Base: s.PublicURL, Script: links["phone.js"], Style: links["phone.css"], Name: "Phone"}
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
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// manifest makes the page one that a phone installs.
func (s *Server) manifest(w http.ResponseWriter, _ *http.Request) {
	name := strings.TrimSpace(s.Brand())
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
		name + " on your phone", name, "/phone", "/", "standalone", "#f3f5f4", "#1d6b52",
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

// icon draws a stile: two posts and three steps between them.
func icon(size int) ([]byte, error) {
	ground, ink := color.NRGBA{0x1d, 0x6b, 0x52, 0xff}, color.NRGBA{0xff, 0xff, 0xff, 0xff}
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
	err := png.Encode(&b, m)
	return b.Bytes(), err
}
