package limit

import "time"

// Guard finds that many are being guessed at, though each of them seldom (SEC
// S-06): a million accounts with 30 guesses each would yield some 30 a day. It
// counts the wrong codes of the installation.
//
// The alarm is raised when more than Floor came within Per and more than Factor
// times the mean, which is that of the spans of Per in the last Mean that ended
// before. It holds until Hold after the last time that this was so; asking again
// at once would give whoever is slowed down by it a new start each time. What
// comes during an alarm, and just before, does not raise the mean: an attack
// must not become what is usual.
//
// The zero Guard never raises an alarm.
type Guard struct {
	Per    time.Duration
	Floor  int
	Mean   time.Duration // a multiple of Per
	Factor int
	Hold   time.Duration
}

// Off reports whether g never raises an alarm, so that no counter need be read.
func (g Guard) Off() bool { return g.Per <= 0 || g.Mean < g.Per }

// Wrong counts n wrong codes at a time, and reports whether they raise the alarm:
// once, when there was none. Those in known lanes count too.
func (g Guard) Wrong(c Counter, now time.Time, n int) (next Counter, tripped bool) {
	if g.Off() || n < 1 {
		return c, false
	}
	s := g.load(c, now)
	alarmed := s.until > floor(now)
	s.seen = min(s.seen+int64(n), most)
	s.log = s.log.add(ceil(now), max(span(g.Per)/guardCells, 1), int64(n))

	if n := s.log.count(floor(now), span(g.Per)); n > int64(g.Floor) && n*g.spans() > int64(g.Factor)*s.trailing() {
		s.until = s.log.newest() + span(g.Hold)
		if !alarmed {
			tripped = true
			s.ended[0] = s.trailing() / g.spans() // the attack may have begun in it
		}
	}
	return g.store(c.Key, s), tripped
}

// guardCells is in how many cells the span that is looked at is kept: what left
// it less than a 20th of it ago may still count.
const guardCells = 20

// spans is how many spans of Per the mean is of.
func (g Guard) spans() int64 { return int64(g.Mean / g.Per) }

// guarding is the Data of a Guard. Spans of Per are numbered from the epoch.
type guarding struct {
	number int64   // of the present span
	seen   int64   // in the present span
	ended  []int64 // in the ones before it, newest first: one that is too young to be usual, then those of the mean
	until  int64   // end of the alarm, 0 if there is no trace of one
	log    log     // of the last Per
}

// trailing is what came in all the spans of the mean.
func (s *guarding) trailing() (n int64) {
	for _, e := range s.ended[1:] {
		n += e
	}
	return n
}

func (g Guard) load(c Counter, now time.Time) *guarding {
	s := decodeGuard(c.Data)
	t, per, kept := floor(now), span(g.Per), g.spans()+1
	if s.until > t+span(g.Hold)+span(skew) || s.number > (t+span(skew))/per+1 {
		s = guarding{} // a broken clock
	}
	s.log = s.log.within(t, per)
	ended := make([]int64, kept)
	copy(ended, s.ended)
	s.ended = ended

	// A span in which there was an alarm leaves no trace. The first of more than
	// are kept would be pushed out again.
	present := max(t/per, s.number)
	for i := max(s.number, present-kept); i < present; i++ {
		if i*per < s.until {
			continue
		}
		copy(s.ended[1:], s.ended)
		s.ended[0] = 0
		if i == s.number {
			s.ended[0] = s.seen
		}
	}
	if present > s.number {
		s.number, s.seen = present, 0
	}
	if present*per >= s.until {
		s.until = 0
	}
	return &s
}

func (g Guard) store(key string, s *guarding) Counter {
	per := span(g.Per)
	first := max(s.number, (s.until+per-1)/per) // that can push others out
	return Counter{Key: key, Data: s.encode(), ExpiresAt: ending((first + g.spans() + 2) * per)}
}

func (s *guarding) encode() []byte {
	b := number([]byte{guardV1}, s.number)
	b = number(b, s.seen)
	b = number(b, int64(len(s.ended)))
	for _, n := range s.ended {
		b = number(b, n)
	}
	b = number(b, s.until)
	b = number(b, s.log.newest())
	return appendLog(b, s.log, s.log.newest())
}

func decodeGuard(data []byte) guarding {
	r := read(data, guardV1)
	s := guarding{number: r.number(latest), seen: r.number(most)}
	s.ended = make([]int64, r.length())
	for i := range s.ended {
		s.ended[i] = r.number(most)
	}
	s.until = r.number(latest)
	s.log = r.log(r.number(latest))
	if !r.done() {
		return guarding{}
	}
	return s
}
