package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/problem"
)

// A Class is a kind of request, by what becomes of it when there are more than
// can be answered (REL R-18). The lower one gives way first.
type Class int

// The classes, the one that is kept longest first.
const (
	Memory Class = iota // answered from memory: keys, discovery. Never refused
	Finish              // tokens and what apps ask with them, the end of a flow
	Answer              // answers to a challenge, and what is asked of one's own account
	Step                // the steps of a flow up to its challenge
	Start               // begins a flow
	List                // what operators list
)

// Classes are the names of all classes, as metrics have them.
var Classes = [...]string{"memory", "finish", "answer", "step", "start", "list"}

func (c Class) String() string { return Classes[c] }

const classes = len(Classes)

// A rule is what holds for a class.
type rule struct {
	deadline time.Duration // from the arrival of the headers to the answer
	retry    time.Duration // after which a refused one may come again
	mark     mark          // always and never are for each processor
}

var rules = [classes]rule{
	Memory: {deadline: 5 * time.Second},
	Finish: {10 * time.Second, time.Second, mark{quarters: 20, always: 8}},
	Answer: {10 * time.Second, time.Second, mark{quarters: 12, always: 8}},
	Step:   {10 * time.Second, time.Second, mark{quarters: 6, always: 1}},
	Start:  {8 * time.Second, 2 * time.Second, mark{quarters: 4, always: 1}},
	List:   {10 * time.Second, 5 * time.Second, mark{quarters: 2, never: 2}},
}

// How many are let in for each processor, Start by Start. What hashes passwords
// is never more than five for each (SEC S-47): that leaves room for the beginning
// of other flows (REL R-19).
const (
	leastInside = 8
	mostInside  = 12 // more do not get more done, and keep one another waiting
)

// Longest is the longest deadline of any class. A server's write timeout must
// leave time to answer after it.
const Longest = 10 * time.Second

// An Admission lets requests in, as many as the process can answer in time, and
// gives each a deadline. It is safe for concurrent use. A nil Admission lets
// everything in, without a deadline.
type Admission struct {
	gate    *gate
	bodies  *bodyRoom
	trusted []netip.Prefix
	refusal [classes]error
	observe func(c Class, waited time.Duration, admitted bool)
}

// NewAdmission returns an Admission that tells observe, if that is not nil, of
// each request, how long it waited and whether it was let in. No source has all of
// the room, but those that are trusted speak for many and are not bounded.
func NewAdmission(trusted []netip.Prefix, observe func(c Class, waited time.Duration, admitted bool)) *Admission {
	a := newAdmission(runtime.GOMAXPROCS(0), observe)
	a.trusted = trusted
	return a
}

func newAdmission(processors int, observe func(Class, time.Duration, bool)) *Admission {
	if observe == nil {
		observe = func(Class, time.Duration, bool) {}
	}
	a := &Admission{observe: observe, bodies: &bodyRoom{total: bodyTotal, share: bodyShare, of: map[netip.Addr]int{}}}
	var marks [classes]mark
	for c, r := range rules {
		marks[c] = r.mark
		marks[c].always *= processors
		marks[c].never *= processors
		a.refusal[c] = &problem.Error{
			Kind: problem.Unavailable, Code: "E0000010", Detail: "Server is unable to respond at the moment.", RetryAfter: r.retry,
		}
	}
	a.gate = newGate(leastInside*processors, mostInside*processors, marks)
	return a
}

// Limits tells how many may be inside when one of a class is let in, and how many
// of the class are.
func (a *Admission) Limits(c Class) (limit, inside int) { return a.gate.limits(c) }

// Floor is what limit never falls below.
func (a *Admission) Floor(c Class) int { return a.gate.reach(c, a.gate.floor) }

// Always is of one class whatever the request.
func Always(c Class) func(*http.Request) Class {
	return func(*http.Request) Class { return c }
}

// Handler lets requests in to next by their class. One that is not let in is answered by refuse, in the
// words of the door, with a *problem.Error of kind Unavailable.
//
// The body is read before: a slow client waits outside (REL R-20), and is refused
// if the bodies of all take up too much. Of one that is larger than MaxBody next
// sees as much as tells it so.
func (a *Admission) Handler(class func(*http.Request) Class, refuse func(http.ResponseWriter, *http.Request, error), next http.Handler) http.Handler {
	if a == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived := time.Now()
		c := class(r)
		source := a.source(r)
		var read *body
		if r.Body != nil && r.Body != http.NoBody {
			read = bodies.Get().(*body)
			taken := 0
			defer func() {
				read.giveBack()
				a.bodies.giveBack(source, taken)
			}()
			room := read.fill(r.Body, func(n int) bool {
				ok := a.bodies.take(source, n)
				if ok {
					taken += n
				}
				return ok
			})
			if !room {
				a.observe(c, 0, false)
				refuse(w, r, a.refusal[c])
				return
			}
		}
		ctx, cancel := context.WithDeadline(r.Context(), arrived.Add(rules[c].deadline))
		defer cancel()
		r = r.WithContext(ctx)
		if read != nil {
			r.Body = read
		}
		if !a.enter(ctx, c, source) {
			refuse(w, r, a.refusal[c])
			return
		}
		if c != Memory {
			at := time.Now()
			defer func() { a.gate.leave(c, source, at) }()
		}
		next.ServeHTTP(w, r)
	})
}

// source is whose share of the room a request takes; nobody's if it is not valid.
func (a *Admission) source(r *http.Request) netip.Addr {
	address, err := netip.ParseAddr(RemoteIP(r))
	if err != nil {
		return netip.Addr{}
	}
	s, _ := Source(address, a.trusted)
	return s
}

func (a *Admission) enter(ctx context.Context, c Class, source netip.Addr) bool {
	if c == Memory {
		a.observe(c, 0, true)
		return true
	}
	start := time.Now()
	waited, ok := a.gate.enter(ctx, c, source)
	var d time.Duration
	if waited {
		d = time.Since(start)
	}
	a.observe(c, d, ok)
	return ok
}

// A body is that of one request, read as far as it is of interest.
type body struct {
	bytes []byte
	err   error // after bytes
	at    int   // as far as it was read again
}

var bodies = sync.Pool{New: func() any { return &body{bytes: make([]byte, 0, 4<<10)} }}

// fill reads one byte more than a body may have. It stops if take has not as many
// bytes of memory as it needs.
func (b *body) fill(r io.Reader, take func(int) bool) (room bool) {
	b.bytes, b.err, b.at = b.bytes[:0], nil, 0
	if !take(cap(b.bytes)) {
		return false
	}
	for b.err == nil && len(b.bytes) <= MaxBody {
		if held := cap(b.bytes); len(b.bytes) == held {
			size := min(2*held, MaxBody+1)
			if !take(size - held) {
				return false
			}
			larger := append(make([]byte, 0, size), b.bytes...)
			clear(b.bytes)
			b.bytes = larger
		}
		var n int
		n, b.err = r.Read(b.bytes[len(b.bytes):min(cap(b.bytes), MaxBody+1)])
		b.bytes = b.bytes[:len(b.bytes)+n]
	}
	if b.err == nil {
		b.err = io.EOF
	}
	return true
}

// giveBack forgets what was read, which may be a secret.
func (b *body) giveBack() {
	clear(b.bytes)
	if cap(b.bytes) <= 8<<10 { // a rare large one must not stay
		bodies.Put(b)
	}
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	if b.at == len(b.bytes) {
		return 0, b.err
	}
	n := copy(p, b.bytes[b.at:])
	b.at += n
	return n, nil
}

// Close implements [io.Closer].
func (*body) Close() error { return nil }

// Gone reports whether nobody waits for the answer to a request any more.
func Gone(r *http.Request) bool { return errors.Is(r.Context().Err(), context.Canceled) }

// InTime returns err, or if the request's deadline is behind it the refusal that
// tells so (REL I10).
func InTime(r *http.Request, err error) error {
	if problem.KindOf(err) != problem.Internal || !errors.Is(r.Context().Err(), context.DeadlineExceeded) {
		return err
	}
	return &problem.Error{Kind: problem.Unavailable, RetryAfter: time.Second, Cause: err}
}
