//go:build unix

package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A front is the proxy before some nodes. It gives each request to the next node
// that says that it is ready, and tries none twice. It can lose answers, and
// send requests twice.
type front struct {
	listen string
	server *http.Server
	onward http.RoundTripper

	lose, double float64 // shares of the requests
	lost, twice  atomic.Int64
	passed       []atomic.Int64 // by node
	turn         atomic.Int64

	mu    sync.Mutex
	nodes []*node
	up    []bool
}

func newFront(t *testing.T) *front {
	t.Helper()
	whole(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{listen: l.Addr().String(), onward: &http.Transport{MaxIdleConnsPerHost: 32}}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = f.server.Serve(l) }()
	t.Cleanup(func() { _ = f.server.Close() })
	return f
}

// serve begins to pass requests on, and asks the nodes all the time whether they are ready.
func (f *front) serve(s *site) {
	f.nodes, f.up, f.passed = s.nodes, make([]bool, len(s.nodes)), make([]atomic.Int64, len(s.nodes))
	ctx, cancel := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	for i, n := range f.nodes {
		f.up[i] = true
		asking.Go(func() {
			for ctx.Err() == nil {
				f.set(i, n.status("/readyz") == http.StatusOK)
				pause(ctx, 50*time.Millisecond)
			}
		})
	}
	s.t.Cleanup(func() {
		cancel()
		asking.Wait()
	})
}

func (f *front) set(i int, up bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up[i] = up
}

// next is the node whose turn it is, -1 if none is ready.
func (f *front) next() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range f.nodes {
		if i := int(f.turn.Add(1)) % len(f.nodes); f.up[i] {
			return i
		}
	}
	return -1
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if rand.Float64() < f.double {
		f.twice.Add(1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if res, err := f.send(r, body); err == nil {
				res.Body.Close()
			}
		}()
		defer func() { <-done }()
	}
	res, err := f.send(r, body)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // as a proxy whose server is gone in the middle
	}
	if rand.Float64() < f.lose {
		f.lost.Add(1)
		panic(http.ErrAbortHandler)
	}
	for name, values := range res.Header {
		if name != "Connection" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(data)
}

func (f *front) send(r *http.Request, body []byte) (*http.Response, error) {
	i := f.next()
	if i < 0 {
		return nil, errors.New("no node is ready")
	}
	onward, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, f.nodes[i].url()+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	onward.Header, onward.Host = r.Header.Clone(), r.Host
	onward.GetBody = nil // the transport must not send it twice by itself
	f.passed[i].Add(1)
	return f.onward.RoundTrip(onward)
}
