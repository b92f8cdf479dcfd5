package edge

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// One source has its share of the room and no more, however much it sends, and
// another finds a place at once.
func TestREL_R20_SharePerSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := only(16)
		greedy, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		at := time.Now()
		for i := range 14 {
			if _, ok := g.enter(t.Context(), Start, greedy); !ok {
				t.Fatalf("its place %d was refused", i)
			}
		}
		if _, ok := g.enter(t.Context(), Start, greedy); ok {
			t.Error("a source was given more than its share")
		}
		for range 2 {
			if waited, ok := g.enter(t.Context(), Start, other); waited || !ok {
				t.Errorf("another source: waited %v, let in %v", waited, ok)
			}
		}
		for range 14 {
			g.leave(Start, greedy, at)
		}
		if _, ok := g.enter(t.Context(), Start, greedy); !ok {
			t.Error("it has left, and has no share any more")
		}
		if g.by[greedy] != 1 || g.by[other] != 2 {
			t.Errorf("counted: %v", g.by)
		}
	})
}

// Of those who wait the source that has least inside is next, and a crowd pushes
// out its own.
func TestREL_R20_FairQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := only(4)
		g.crowd = 4
		greedy, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		for range 3 {
			g.enter(t.Context(), Start, greedy)
		}
		g.enter(t.Context(), Start, anybody) // full
		var mu sync.Mutex
		var events []string
		come := func(name string, source netip.Addr) {
			go func() {
				verdict := " refused"
				if _, ok := g.enter(t.Context(), Start, source); ok {
					verdict = " let in"
				}
				mu.Lock()
				defer mu.Unlock()
				events = append(events, name+verdict)
			}()
			synctest.Wait()
		}
		come("other", other)
		for _, name := range []string{"a", "b", "c", "d"} { // d is one too many
			come(name, greedy)
		}
		g.leave(Start, anybody, time.Now())
		synctest.Wait()
		mu.Lock()
		if want := []string{"a refused", "other let in"}; !slices.Equal(events, want) {
			t.Errorf("%v, want %v", events, want)
		}
		mu.Unlock()
		synctest.Wait()
		time.Sleep(patience)
	})
}

// The flood of one source does not make another impatient, which is let in next.
func TestREL_R20_AFloodIsNotForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := only(8)
		greedy, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		at := time.Now()
		for range share(8) {
			g.enter(t.Context(), Start, greedy)
		}
		g.enter(t.Context(), Start, anybody) // full
		var flood sync.WaitGroup
		for time.Since(at) < 3*interval {
			flood.Go(func() { g.enter(t.Context(), Start, greedy) })
			time.Sleep(time.Millisecond) // of made-up time
			synctest.Wait()
		}
		verdict := make(chan bool, 1)
		go func() {
			_, ok := g.enter(t.Context(), Start, other)
			verdict <- ok
		}()
		synctest.Wait()
		time.Sleep(patience / 2) // of made-up time
		g.leave(Start, anybody, at)
		if !<-verdict {
			t.Error("a source that has nothing was refused for the flood of another")
		}
		flood.Wait()
	})
}

// A trusted proxy that does not say for whom it asks is not held to a share, and
// neither is a client of the machine's own socket.
func TestREL_R20_WhoHasAShare(t *testing.T) {
	a := NewAdmission([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, nil)
	for address, want := range map[string]bool{
		"192.0.2.1:1": true, "[2001:db8::1]:1": true, "10.0.0.1:1": false, "[::ffff:10.0.0.1]:1": false, "@": false, "": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = address
		if got := a.source(r).IsValid(); got != want {
			t.Errorf("%q: a share %v, want %v", address, got, want)
		}
	}
}

// All bodies together have so much room, and one source a part of it; who finds
// none is refused and told when to come back. What was taken is given back.
func TestREL_R20_SEC_S134_RoomForBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(1, nil)
		a.bodies.total, a.bodies.share = 3*(MaxBody+1), 2*(MaxBody+1)
		h := a.Handler(Always(Answer), refuse, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		send := func(source string, body io.Reader) *httptest.ResponseRecorder {
			w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/", body)
			r.RemoteAddr = source + ":1"
			h.ServeHTTP(w, r)
			return w
		}
		large := strings.Repeat("a", MaxBody)
		var ends []*io.PipeWriter
		var wait sync.WaitGroup
		hold := func(source string) { // a whole body, but for its end
			body, end := io.Pipe()
			ends = append(ends, end)
			wait.Go(func() {
				if w := send(source, body); w.Code != http.StatusOK {
					t.Errorf("one that had room: %d", w.Code)
				}
			})
			_, _ = io.WriteString(end, large)
			synctest.Wait()
		}
		refused := func(source string) {
			t.Helper()
			w := send(source, strings.NewReader(large))
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
				t.Errorf("%s: %d, Retry-After %q", source, w.Code, w.Header().Get("Retry-After"))
			}
		}
		hold("192.0.2.1")
		hold("192.0.2.1")
		refused("192.0.2.1") // its own share
		hold("192.0.2.2")
		refused("192.0.2.3") // that of all
		if w := send("192.0.2.3", http.NoBody); w.Code != http.StatusOK {
			t.Errorf("without a body: %d", w.Code)
		}
		for _, end := range ends {
			end.Close()
		}
		wait.Wait()
		if a.bodies.used != 0 || len(a.bodies.of) != 0 {
			t.Errorf("%d bytes were not given back: %v", a.bodies.used, a.bodies.of)
		}
	})
}
