package edge

import (
	"net/http"
	"time"
)

// A SessionCookie carries the browser's session at the engine (SEC S-63,
// decision D39): Lax, so that it comes with a mailed link and never with another
// site's request, and only where the engine is reached over TLS or on this machine.
type SessionCookie struct{ Secure bool }

func (c SessionCookie) name() string {
	if c.Secure {
		return "__Host-stile"
	}
	return "stile"
}

// Read returns the cookie of a browser that may have one: "" and false for a
// program, and for a page of another site.
func (c SessionCookie) Read(r *http.Request) (value string, browser bool) {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "same-site":
	default:
		return "", false
	}
	if k, err := r.Cookie(c.name()); err == nil {
		value = k.Value
	}
	return value, true
}

// Raw returns the cookie whoever sends the request, for pages that are opened by a link.
func (c SessionCookie) Raw(r *http.Request) string {
	if k, err := r.Cookie(c.name()); err == nil {
		return k.Value
	}
	return ""
}

// Set gives the browser its session, until ends; zero: as long as it runs.
func (c SessionCookie) Set(w http.ResponseWriter, value string, ends time.Time) {
	http.SetCookie(w, &http.Cookie{
		Name: c.name(), Value: value, Path: "/", Expires: ends, Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// Clear takes it away.
func (c SessionCookie) Clear(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{
		Name: c.name(), Path: "/", MaxAge: -1, Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
