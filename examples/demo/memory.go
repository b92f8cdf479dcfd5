package demo

import (
	"context"
	"slices"
	"time"
)

// limits bound what is kept. Beyond, the oldest goes first.
type limits struct {
	browsers  int
	runs      int // of a browser
	exchanges int // of a run
	runBytes  int
	bytes     int           // of everything
	life      time.Duration // since the browser's last call or look
}

var defaultLimits = limits{
	browsers: 256, runs: 4, exchanges: 40, runBytes: 1 << 20, bytes: 32 << 20, life: 30 * time.Minute,
}

type browser struct {
	runs []*run // the one used last is last
	used time.Time
}

type run struct {
	marks     []mark
	exchanges []exchange
	bytes     int
}

// remember puts e where it belongs. known are the marks of its request, learnt
// those of its answer.
func (rec *recorder) remember(id string, e exchange, known, learnt []mark) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.sweep()
	b := rec.browsers[id]
	if b == nil {
		b = &browser{}
		rec.browsers[id] = b
	}
	b.used = rec.now()
	switch at := rec.runOf(b, e, known); {
	case at == nil:
	case e.Call == "revoke" && e.ok():
		rec.drop(b, at) // who signs out leaves nothing behind
	default:
		rec.add(at, e)
		at.mark(known)
		at.mark(learnt)
	}
	if len(b.runs) == 0 {
		rec.forget(id)
	}
	rec.shrink()
}

// runOf finds where e belongs: a new run for a new interaction, else the run that
// has seen one of its handles or tokens, else, where it has none, the latest.
func (rec *recorder) runOf(b *browser, e exchange, marks []mark) *run {
	var found *run
	switch {
	case e.Call == "interact":
	case len(marks) == 0 && len(b.runs) > 0:
		found = b.runs[len(b.runs)-1]
	case len(marks) == 0:
		return nil
	default:
		found = b.run(marks)
	}
	if found != nil {
		b.touch(found)
		return found
	}
	if len(b.runs) >= rec.limits.runs {
		rec.drop(b, b.runs[0])
	}
	b.runs = append(b.runs, &run{})
	return b.runs[len(b.runs)-1]
}

func (b *browser) run(marks []mark) *run {
	for _, r := range b.runs {
		for _, m := range marks {
			if slices.Contains(r.marks, m) {
				return r
			}
		}
	}
	return nil
}

func (b *browser) touch(r *run) {
	b.runs = append(slices.DeleteFunc(b.runs, func(o *run) bool { return o == r }), r)
}

// maxMarks bounds the handles that a run is known by; old ones are not used again.
const maxMarks = 64

func (r *run) mark(marks []mark) {
	for _, m := range marks {
		if !slices.Contains(r.marks, m) {
			r.marks = append(r.marks, m)
		}
	}
	r.marks = r.marks[max(0, len(r.marks)-maxMarks):]
}

// add appends e, or counts it where it only says once more what an earlier one
// said: pages look where a transaction stands many times.
func (rec *recorder) add(r *run, e exchange) {
	for i := len(r.exchanges) - 1; i >= 0 && e.quiet() && r.exchanges[i].quiet(); i-- {
		if was := &r.exchanges[i]; was.Call == e.Call && was.Status == e.Status && slices.Equal(was.Offers, e.Offers) {
			rec.count(r, e.size()-was.size())
			e.Times += was.Times
			*was = e
			return
		}
	}
	r.exchanges = append(r.exchanges, e)
	rec.count(r, e.size())
	for len(r.exchanges) > 1 && (len(r.exchanges) > rec.limits.exchanges || r.bytes > rec.limits.runBytes) {
		rec.count(r, -r.exchanges[0].size())
		r.exchanges = slices.Delete(r.exchanges, 0, 1)
	}
}

func (rec *recorder) count(r *run, n int) {
	r.bytes += n
	rec.bytes += n
}

func (rec *recorder) drop(b *browser, r *run) {
	rec.count(r, -r.bytes)
	b.runs = slices.DeleteFunc(b.runs, func(o *run) bool { return o == r })
}

func (rec *recorder) forget(id string) {
	for b := rec.browsers[id]; len(b.runs) > 0; {
		rec.drop(b, b.runs[0])
	}
	delete(rec.browsers, id)
}

// sweep forgets browsers that have been away for too long.
func (rec *recorder) sweep() {
	for id, b := range rec.browsers {
		if rec.now().Sub(b.used) >= rec.limits.life {
			rec.forget(id)
		}
	}
}

// shrink forgets those who have been away longest until all fits. The last one
// fits by itself.
func (rec *recorder) shrink() {
	for len(rec.browsers) > 1 && (len(rec.browsers) > rec.limits.browsers || rec.bytes > rec.limits.bytes) {
		oldest := ""
		for id, b := range rec.browsers {
			if oldest == "" || b.used.Before(rec.browsers[oldest].used) {
				oldest = id
			}
		}
		rec.forget(oldest)
	}
}

// of gives the exchanges that led to an access token, in order; nil if they are
// not kept, or were another browser's.
func (rec *recorder) of(ctx context.Context, accessToken string) []exchange {
	id, _ := ctx.Value(browserKey{}).(string)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.sweep()
	b := rec.browsers[id]
	if b == nil {
		return nil
	}
	r := b.run([]mark{markOf(accessToken)})
	if r == nil {
		return nil
	}
	b.used = rec.now()
	return slices.Clone(r.exchanges)
}
