package mail

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed inbox
var inboxFiles embed.FS

const (
	inboxPath = "/dev/inbox"
	maxWait   = 60 * time.Second
	pageSize  = 100

	inboxCSP = "default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

	// A mail's HTML gets an origin of its own, no script, and nothing from
	// elsewhere; its links open a new tab.
	mailCSP = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; " +
		"img-src data:; frame-ancestors 'self'"
)

// Handler serves the inbox's pages under /dev/inbox and its API under
// /dev/inbox/api; mount it at "/dev/inbox" and "/dev/inbox/".
func (b *Inbox) Handler() http.Handler {
	w := &inboxWeb{inbox: b, page: template.Must(template.ParseFS(inboxFiles, "inbox/*.html"))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /dev/inbox", w.list)
	mux.Handle("GET /dev/inbox/{$}", http.RedirectHandler(inboxPath, http.StatusSeeOther))
	mux.HandleFunc("GET /dev/inbox/messages/{id}", w.show)
	mux.HandleFunc("GET /dev/inbox/messages/{id}/body", w.body)
	mux.HandleFunc("GET /dev/inbox/messages/{id}/source", w.source)
	mux.HandleFunc("POST /dev/inbox/messages/{id}/delete", w.deleteOne)
	mux.HandleFunc("POST /dev/inbox/delete", w.deleteAll)
	mux.HandleFunc("GET /dev/inbox/inbox.css", asset("text/css; charset=utf-8", "inbox/inbox.css"))
	mux.HandleFunc("GET /dev/inbox/inbox.js", asset("text/javascript; charset=utf-8", "inbox/inbox.js"))
	mux.HandleFunc("GET /dev/inbox/api/messages", w.apiList)
	mux.HandleFunc("DELETE /dev/inbox/api/messages", w.apiDeleteAll)
	mux.HandleFunc("GET /dev/inbox/api/messages/{id}", w.apiShow)
	mux.HandleFunc("DELETE /dev/inbox/api/messages/{id}", w.apiDelete)
	return b.local(http.NewCrossOriginProtection().Handler(headers(mux)))
}

// local admits requests of this machine. The Host header is looked at as well:
// a web page elsewhere may point its own name at 127.0.0.1 and read the codes.
func (b *Inbox) local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remote, err := netip.ParseAddrPort(r.RemoteAddr)
		here := err == nil && remote.Addr().Unmap().IsLoopback()
		host := r.Host
		if name, _, err := net.SplitHostPort(r.Host); err == nil {
			host = name
		}
		host = strings.Trim(host, "[]")
		named := loopback(host) || strings.HasSuffix(host, ".localhost") || slices.Contains(b.hosts, host)
		if !b.anyHost && (!here || !named) {
			http.Error(w, "The development inbox answers on this machine only.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", inboxCSP)
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func asset(contentType, name string) http.HandlerFunc {
	data, err := inboxFiles.ReadFile(name)
	if err != nil {
		panic(err) // embedded
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(data)
	}
}

type inboxWeb struct {
	inbox *Inbox
	page  *template.Template
}

// An entry is a message as a page shows it.
type entry struct {
	InboxMessage
	Day, Clock string
	List       string // where it is listed
}

func (w *inboxWeb) entry(m InboxMessage, list string) entry {
	at := m.CreatedAt.In(w.inbox.now().Location())
	return entry{InboxMessage: m, Day: at.Format("2 Jan"), Clock: at.Format("15:04:05"), List: list}
}

func (w *inboxWeb) list(rw http.ResponseWriter, r *http.Request) {
	to := strings.TrimSpace(r.FormValue("to"))
	messages := w.inbox.Messages(to)
	data := struct {
		To, Self, Newest string
		Count, Shown     int
		Entries          []entry
	}{To: to, Self: listPath(to), Count: len(messages), Newest: w.inbox.now().UTC().Format(time.RFC3339Nano)}
	if len(messages) > 0 {
		data.Newest = messages[0].ID
	}
	for _, m := range messages[:min(pageSize, len(messages))] {
		data.Entries = append(data.Entries, w.entry(m, data.Self))
	}
	data.Shown = len(data.Entries)
	w.render(rw, http.StatusOK, "list.html", data)
}

func listPath(to string) string {
	if to == "" {
		return inboxPath
	}
	return inboxPath + "?" + url.Values{"to": {to}}.Encode()
}

func (w *inboxWeb) show(rw http.ResponseWriter, r *http.Request) {
	k, ok := w.inbox.letter(r.PathValue("id"))
	if !ok {
		w.gone(rw)
		return
	}
	data := struct {
		entry
		View, Source string
	}{entry: w.entry(k.message(), listPath(r.FormValue("to"))), View: r.FormValue("view")}
	if k.Letter.Phone != "" {
		data.View = "text"
	}
	switch data.View {
	case "text":
	case "source":
		raw, err := k.Letter.Encode()
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		data.Source = strings.ReplaceAll(string(raw), "\r\n", "\n")
	default:
		data.View = "html"
	}
	w.render(rw, http.StatusOK, "message.html", data)
}

func (w *inboxWeb) gone(rw http.ResponseWriter) { w.render(rw, http.StatusNotFound, "gone.html", nil) }

func (w *inboxWeb) body(rw http.ResponseWriter, r *http.Request) {
	k, ok := w.inbox.letter(r.PathValue("id"))
	if !ok || k.Letter.Phone != "" {
		w.gone(rw)
		return
	}
	rw.Header().Set("Content-Security-Policy", mailCSP)
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = rw.Write([]byte(strings.Replace(k.Letter.HTML, "<head>", `<head><base target="_blank">`, 1)))
}

func (w *inboxWeb) source(rw http.ResponseWriter, r *http.Request) {
	k, ok := w.inbox.letter(r.PathValue("id"))
	if !ok || k.Letter.Phone != "" {
		w.gone(rw)
		return
	}
	raw, err := k.Letter.Encode()
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = rw.Write(raw)
}

func (w *inboxWeb) deleteOne(rw http.ResponseWriter, r *http.Request) {
	_ = w.inbox.Delete(r.PathValue("id")) // gone already is as good
	http.Redirect(rw, r, listPath(r.PostFormValue("to")), http.StatusSeeOther)
}

func (w *inboxWeb) deleteAll(rw http.ResponseWriter, r *http.Request) {
	to := r.PostFormValue("to")
	w.inbox.DeleteAll(to)
	http.Redirect(rw, r, listPath(to), http.StatusSeeOther)
}

func (w *inboxWeb) render(rw http.ResponseWriter, status int, name string, data any) {
	var out strings.Builder
	if err := w.page.ExecuteTemplate(&out, name, data); err != nil {
		w.inbox.log.Error("mail: inbox page", "page", name, "error", err)
		http.Error(rw, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.WriteHeader(status)
	_, _ = rw.Write([]byte(out.String()))
}

// apiList is GET /dev/inbox/api/messages?to=&wait=&after=&limit=.
func (w *inboxWeb) apiList(rw http.ResponseWriter, r *http.Request) {
	// A plus sign of a time zone that was not escaped arrives as a space.
	q, err := w.inbox.query(r.FormValue("to"), strings.ReplaceAll(r.FormValue("after"), " ", "+"))
	if err != nil {
		apiError(rw, http.StatusBadRequest, err.Error())
		return
	}
	if s := r.FormValue("limit"); s != "" {
		if q.limit, err = strconv.Atoi(s); err != nil || q.limit < 1 {
			apiError(rw, http.StatusBadRequest, "limit is not a positive number")
			return
		}
	}
	wait, err := parseWait(r.FormValue("wait"))
	if err != nil {
		apiError(rw, http.StatusBadRequest, err.Error())
		return
	}
	// The server's own limit on answers is meant for those that do not wait.
	_ = http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(wait + 30*time.Second))
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	messages := w.inbox.await(ctx, q)
	if messages == nil {
		messages = []InboxMessage{}
	}
	apiAnswer(rw, http.StatusOK, map[string]any{"messages": messages})
}

// parseWait reads a duration such as "10s", or a number of seconds.
func parseWait(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if seconds, numeric := strconv.ParseFloat(s, 64); numeric == nil {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("wait is no duration such as 10s: %q", s)
	}
	return min(d, maxWait), nil
}

func (w *inboxWeb) apiShow(rw http.ResponseWriter, r *http.Request) {
	k, ok := w.inbox.letter(r.PathValue("id"))
	if !ok {
		apiError(rw, http.StatusNotFound, ErrUnknownMessage.Error())
		return
	}
	apiAnswer(rw, http.StatusOK, k.message())
}

func (w *inboxWeb) apiDelete(rw http.ResponseWriter, r *http.Request) {
	if err := w.inbox.Delete(r.PathValue("id")); errors.Is(err, ErrUnknownMessage) {
		apiError(rw, http.StatusNotFound, err.Error())
		return
	}
	rw.WriteHeader(http.StatusNoContent)
}

func (w *inboxWeb) apiDeleteAll(rw http.ResponseWriter, r *http.Request) {
	w.inbox.DeleteAll(r.FormValue("to"))
	rw.WriteHeader(http.StatusNoContent)
}

func apiError(rw http.ResponseWriter, status int, text string) {
	apiAnswer(rw, status, map[string]string{"error": text})
}

func apiAnswer(rw http.ResponseWriter, status int, v any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	encoder := json.NewEncoder(rw)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v)
}
