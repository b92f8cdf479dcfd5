package demo

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A recorder is the way to the engine, and keeps the latest exchanges of each
// browser in memory, without secrets. Exchanges that belong to one interaction
// make a run; they are told apart by their handles, so tabs do not mix.
type recorder struct {
	next   http.RoundTripper
	now    func() time.Time
	secret string // of the client
	limits limits

	mu       sync.Mutex
	browsers map[string]*browser
	bytes    int
}

// An exchange is a request and its answer. Its texts hold no secret.
type exchange struct {
	Call         string // what it is for: "interact", "enroll/new", "token", …
	Method, Path string
	AsClient     bool // the request was authenticated with the client's secret
	Request      string
	Answer       string
	Status       int      // 0: there was no answer
	Offers       []string // remediations of the answer; "success" for an interaction code
	Times        int      // how often it was made in a row with the same outcome
}

// quiet holds for calls that change nothing.
func (e exchange) quiet() bool {
	return e.Call == "introspect" || e.Call == "challenge/poll" || e.Call == "userinfo"
}

// size is what e takes in memory, roughly.
func (e exchange) size() int {
	const itself = 256
	return itself + len(e.Path) + len(e.Request) + len(e.Answer)
}

func newRecorder(next http.RoundTripper, now func() time.Time, secret string) *recorder {
	return &recorder{next: next, now: now, secret: secret, limits: defaultLimits, browsers: map[string]*browser{}}
}

type browserKey struct{}

func withBrowser(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, browserKey{}, id)
}

// maxBody bounds a body that is kept, in bytes. A longer one is not: half a JSON
// document cannot be searched for secrets.
const maxBody = 64 << 10

// RoundTrip passes r on, and keeps the exchange when the answer has been read.
func (rec *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	id, ok := r.Context().Value(browserKey{}).(string)
	if !ok || afterwards(r.URL.Path) {
		return rec.next.RoundTrip(r)
	}
	sent := requestBody(r)
	res, err := rec.next.RoundTrip(r)
	if err != nil {
		rec.keep(id, r, sent, nil, message{})
		return nil, err
	}
	res.Body = &witness{ReadCloser: res.Body, done: func(body []byte) {
		rec.keep(id, r, sent, res, message{body, res.Header.Get("Content-Type")})
	}}
	return res, nil
}

// afterwards holds for calls about an account that is signed in to: they are no part
// of how it came to that, and hold what nobody should read over a shoulder.
func afterwards(path string) bool {
	return strings.Contains(path, "/idp/myaccount/")
}

// requestBody reads a copy. A transport must leave the request alone.
func requestBody(r *http.Request) message {
	m := message{contentType: r.Header.Get("Content-Type")}
	if r.GetBody == nil {
		return m
	}
	body, err := r.GetBody()
	if err != nil {
		return m
	}
	defer body.Close()
	if b, err := io.ReadAll(io.LimitReader(body, maxBody+1)); err == nil {
		m.body = b
	}
	return m
}

// A witness sees what is read of an answer, up to one byte more than is kept.
type witness struct {
	io.ReadCloser
	seen bytes.Buffer
	once sync.Once
	done func([]byte)
}

func (w *witness) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.seen.Write(p[:min(n, maxBody+1-w.seen.Len())])
	return n, err
}

func (w *witness) Close() error {
	err := w.ReadCloser.Close()
	w.once.Do(func() { w.done(w.seen.Bytes()) })
	return err
}

func (rec *recorder) keep(id string, r *http.Request, sent message, res *http.Response, got message) {
	seen := newCensor(rec.secret)
	request, answer := seen.read(sent), seen.read(got)
	_, _, basic := r.BasicAuth()
	e := exchange{
		Method: r.Method, Path: seen.mask(r.URL.Path), Call: callOf(r.URL.Path, request),
		AsClient: basic || request.has("client_secret"),
		Request:  seen.text(request), Answer: seen.text(answer), Offers: answer.offers(), Times: 1,
	}
	if res != nil {
		e.Status = res.StatusCode
	}
	rec.remember(id, e, request.marks, answer.marks)
}
