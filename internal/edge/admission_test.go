package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-id/stile/internal/problem"
)

// processors is what the tests take the machine to have.
const processors = 2

// A machine answers requests as a process does: each takes a processor for so long.
type machine struct {
	processors chan struct{}
	work       time.Duration
}

func newMachine(work time.Duration) *machine {
	return &machine{make(chan struct{}, processors), work}
}

// capacity is how many requests a second it can answer.
func (m *machine) capacity() float64 { return processors / m.work.Seconds() }

func (m *machine) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	m.processors <- struct{}{}
	time.Sleep(m.work) // by the bubble's clock: it is the work
	<-m.processors
	w.WriteHeader(http.StatusOK)
}

func refuse(w http.ResponseWriter, r *http.Request, err error) {
	var p *problem.Error
	if !errors.As(InTime(r, err), &p) || p.Kind != problem.Unavailable {
		panic(fmt.Sprintf("refused with %v", err))
	}
	SetRetryAfter(w, p.RetryAfter)
	w.WriteHeader(http.StatusServiceUnavailable)
}

// A tally is what became of requests.
type tally struct {
	mu             sync.Mutex
	sent, answered int
	refused, wrong int
	late           int // answered when nobody would wait any more
	slowestRefusal time.Duration
}

// useful is within which an answer is worth something.
const useful = time.Second

func (y *tally) String() string {
	return fmt.Sprintf("%d sent, %d answered, %d refused, %d late, %d wrong", y.sent, y.answered, y.refused, y.late, y.wrong)
}

// offer sends requests at a rate that does not depend on how they are answered,
// for so long, in the time of the bubble.
func (y *tally) offer(wait *sync.WaitGroup, h http.Handler, rate float64, d time.Duration) {
	every := time.Duration(float64(time.Second) / rate)
	wait.Go(func() {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(every) { // by the bubble's clock
			wait.Go(func() { y.one(h) })
		}
	})
}

func (y *tally) one(h http.Handler) {
	start, w := time.Now(), httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
	took := time.Since(start)
	y.mu.Lock()
	defer y.mu.Unlock()
	y.sent++
	switch after, _ := strconv.Atoi(w.Header().Get("Retry-After")); {
	case w.Code == http.StatusOK && took > useful:
		y.late++
	case w.Code == http.StatusOK:
		y.answered++
	case w.Code == http.StatusServiceUnavailable && after >= 1:
		y.refused++
		y.slowestRefusal = max(y.slowestRefusal, took)
	default:
		y.wrong++
	}
}

// At five times what the machine can do, four fifths of what it can do at most
// is still done, and the rest is refused within 50 ms; when the load is gone
// nobody is refused any more. Time is the bubble's: nothing here is measured.
func TestREL_R17_NoCollapse(t *testing.T) {
	for _, class := range []Class{Finish, Answer, Step, Start, List} {
		t.Run(class.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(5 * time.Millisecond)
				h := newAdmission(processors, nil).Handler(Always(class), refuse, m)
				const d = 3 * time.Second
				var wait sync.WaitGroup
				var flood tally
				flood.offer(&wait, h, 5*m.capacity(), d)
				wait.Wait()
				t.Log(&flood)
				can := m.capacity() * d.Seconds()
				if float64(flood.answered) < 0.8*can {
					t.Errorf("%d answered of %.0f that could be", flood.answered, can)
				}
				if flood.refused != flood.sent-flood.answered || flood.wrong != 0 {
					t.Errorf("%d sent, %d answered, %d refused with Retry-After", flood.sent, flood.answered, flood.refused)
				}
				if flood.slowestRefusal > 50*time.Millisecond {
					t.Errorf("a refusal took %v", flood.slowestRefusal)
				}
				var after tally
				after.offer(&wait, h, m.capacity()/2, d)
				wait.Wait()
				if after.answered != after.sent {
					t.Errorf("after the flood: %d of %d answered", after.answered, after.sent)
				}
			})
		})
	}
}

// A flood of a lower class does not stop a higher one (REL R-18).
func TestREL_R18_FloodOfStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(5 * time.Millisecond)
		a := newAdmission(processors, nil)
		const d = 3 * time.Second
		var wait sync.WaitGroup
		var starts, lists, answers, finishes tally
		starts.offer(&wait, a.Handler(Always(Start), refuse, m), 5*m.capacity(), d)
		lists.offer(&wait, a.Handler(Always(List), refuse, m), m.capacity(), d)
		answers.offer(&wait, a.Handler(Always(Answer), refuse, m), m.capacity()/5, d)
		finishes.offer(&wait, a.Handler(Always(Finish), refuse, m), m.capacity()/5, d)
		wait.Wait()
		t.Logf("finishes: %v; answers: %v; starts: %v; lists: %v", &finishes, &answers, &starts, &lists)
		if float64(finishes.answered) < 0.99*float64(finishes.sent) {
			t.Errorf("%d of %d finishes were answered", finishes.answered, finishes.sent)
		}
		if float64(answers.answered) < 0.99*float64(answers.sent) {
			t.Errorf("%d of %d answers were answered", answers.answered, answers.sent)
		}
		if starts.refused == 0 || starts.answered == 0 {
			t.Errorf("%d starts answered and %d refused, want some of both", starts.answered, starts.refused)
		}
		all := starts.answered + lists.answered + answers.answered + finishes.answered
		if can := m.capacity() * d.Seconds(); float64(all) < 0.8*can {
			t.Errorf("%d answered of %.0f that could be", all, can)
		}
	})
}

// What is answered from memory is let in however full everything is.
func TestREL_R18_MemoryIsNeverRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(processors, nil)
		release := make(chan struct{})
		var wait sync.WaitGroup
		for _, class := range []Class{Memory, Finish, Answer, Step, Start, List} {
			h := a.Handler(Always(class), refuse, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
			for range 200 {
				wait.Go(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) })
			}
		}
		synctest.Wait()
		w := httptest.NewRecorder()
		a.Handler(Always(Memory), refuse, NotFoundHandler).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("%d, want the handler's 404", w.Code)
		}
		close(release)
		wait.Wait()
	})
}

var NotFoundHandler = http.HandlerFunc(NotFound.Write)

// Nothing that heeds its context goes on after the deadline of its class, and the
// answer says that it may be tried again.
func TestREL_I10_Deadline(t *testing.T) {
	for c, r := range rules {
		t.Run(Class(c).String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				late := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					<-r.Context().Done()
					refuse(w, r, fmt.Errorf("store: %w", context.Cause(r.Context())))
				})
				w := httptest.NewRecorder()
				newAdmission(processors, nil).Handler(Always(Class(c)), refuse, late).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
					t.Errorf("%d %v, want 503 and Retry-After", w.Code, w.Header())
				}
				if took := time.Since(start); took != r.deadline || took > Longest {
					t.Errorf("after %v, want %v, and no more than %v", took, r.deadline, Longest)
				}
			})
		})
	}
}

func TestInTime(t *testing.T) {
	fault := errors.New("disk")
	live := httptest.NewRequest("GET", "/", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	late := live.WithContext(ctx)
	gone, leave := context.WithCancel(t.Context())
	leave()
	for name, c := range map[string]struct {
		r    *http.Request
		err  error
		want problem.Kind
		gone bool
	}{
		"nothing":                     {late, nil, problem.None, false},
		"a fault in time":             {live, fault, problem.Internal, false},
		"too late":                    {late, fault, problem.Unavailable, false},
		"a refusal, too late":         {late, problem.New(problem.Stale, "", "moved"), problem.Stale, false},
		"nobody waits for the answer": {live.WithContext(gone), fault, problem.Internal, true},
	} {
		if got := problem.KindOf(InTime(c.r, c.err)); got != c.want || Gone(c.r) != c.gone {
			t.Errorf("%s: %v, gone %v; want %v, %v", name, got, Gone(c.r), c.want, c.gone)
		}
	}
}

// Whoever is slow to send a body waits outside, and takes nobody's room.
func TestREL_R20_SlowBodyHoldsNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(1, nil)
		h := a.Handler(Always(List), refuse, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %v", got, err)
		}))
		const slow = 20 // List has room for two
		var wait sync.WaitGroup
		var ends []*io.PipeWriter
		for range slow {
			body, end := io.Pipe()
			ends = append(ends, end)
			wait.Go(func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("POST", "/", body))
				if w.Body.String() != "begun cut off" && w.Code != http.StatusServiceUnavailable {
					t.Errorf("a body that was cut off: %d %s", w.Code, w.Body)
				}
			})
			fmt.Fprint(end, "begun")
		}
		synctest.Wait()
		if _, inside := a.Limits(List); inside != 0 {
			t.Errorf("%d are inside", inside)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader("whole")))
		if w.Body.String() != "whole <nil>" {
			t.Errorf("an honest request: %d %s", w.Code, w.Body)
		}
		for _, end := range ends {
			end.CloseWithError(errors.New("cut off"))
		}
		wait.Wait()
	})
}

// The body comes through as it was, as far as it may be read, whoever had the
// memory before.
func TestAdmissionBody(t *testing.T) {
	a := newAdmission(1, nil)
	h := a.Handler(Always(Answer), refuse, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		_, _ = w.Write(got)
	}))
	for _, n := range []int{1 << 20, MaxBody + 1, MaxBody, 5 << 10, 4 << 10, 1, 0} {
		sent := bytes.Repeat([]byte("ab"), n)[:n]
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", bytes.NewReader(sent)))
		switch {
		case n > MaxBody:
			if w.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("%d bytes: %d, want 413", n, w.Code)
			}
		case !bytes.Equal(w.Body.Bytes(), sent):
			t.Errorf("%d bytes: %d came through", n, w.Body.Len())
		}
	}
}

func TestAdmissionObserves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		a := newAdmission(1, func(c Class, waited time.Duration, admitted bool) {
			got = append(got, fmt.Sprint(c, waited, admitted))
		})
		release := make(chan struct{})
		h := a.Handler(Always(List), refuse, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) })
			synctest.Wait()
		}
		time.Sleep(10 * time.Millisecond)
		release <- struct{}{}
		synctest.Wait()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) // waits in vain
		close(release)
		wait.Wait()
		if want := "[list 0s true list 0s true list 10ms true list 40ms false]"; fmt.Sprint(got) != want {
			t.Errorf("%q", got)
		}
	})
}

// BenchmarkAdmission is what it costs with the deadline and the body, beside next alone.
func BenchmarkAdmission(b *testing.B) {
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	text := []byte(`{"stateHandle":"` + strings.Repeat("x", 100) + `"}`)
	for name, h := range map[string]http.Handler{
		"with": newAdmission(processors, nil).Handler(Always(Finish), refuse, next), "without": next,
	} {
		b.Run(name, func(b *testing.B) {
			w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil)
			body := bytes.NewReader(text)
			r.Body = io.NopCloser(body)
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(text)
				h.ServeHTTP(w, r)
			}
		})
	}
}

// A step of a journey is of a class, and costs a machine so much.
type step struct {
	class Class
	work  time.Duration
}

// journeys offers whole journeys at times the machine's capacity for d, each given
// up at the first refusal, and returns how many ended within useful of each step.
func journeys(steps []step, times float64, d time.Duration) (done, can float64) {
	m := newMachine(0)
	a := newAdmission(processors, nil)
	var total time.Duration
	var doors []http.Handler
	for _, s := range steps {
		total += s.work
		doors = append(doors, a.Handler(Always(s.class), refuse, &machine{m.processors, s.work}))
	}
	capacity := processors / total.Seconds()
	var wait sync.WaitGroup
	var mu sync.Mutex
	every := time.Duration(float64(time.Second) / (times * capacity))
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(every) { // by the bubble's clock
		wait.Go(func() {
			for _, h := range doors {
				start, w := time.Now(), httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
				if w.Code != http.StatusOK || time.Since(start) > useful {
					return
				}
			}
			mu.Lock()
			done++
			mu.Unlock()
		})
	}
	wait.Wait()
	return done, capacity * d.Seconds()
}

// Whoever was let in to begin gets to the end: at five times what the machine can
// do, four fifths of the whole journeys that it can do are done. Work given up
// half-way would be lost.
func TestREL_R17_WholeJourneys(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short") // it only computes; the run without the race detector has it
	}
	const ms = time.Millisecond
	for name, steps := range map[string][]step{
		"sign-up":             {{Start, ms / 4}, {Answer, ms}, {Step, ms}, {Step, ms}, {Answer, ms}, {Finish, ms}, {Finish, 3 * ms}},
		"dear from the start": {{Start, 3 * ms}, {Step, ms}, {Answer, ms}, {Finish, 3 * ms}},
		"many answers":        {{Start, ms}, {Step, ms}, {Answer, ms}, {Answer, ms}, {Answer, ms}, {Answer, ms}, {Answer, ms}, {Finish, ms}},
	} {
		for _, times := range []float64{0.5, 1, 2, 5} {
			t.Run(fmt.Sprintf("%s at %v", name, times), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					done, can := journeys(steps, times, 3*time.Second)
					t.Logf("%.0f done of %.0f that can be", done, can)
					if least := 0.8 * min(times, 1) * can; done < least {
						t.Errorf("%.0f journeys were done, want %.0f at least", done, least)
					}
				})
			})
		}
	}
}
