package limit

import "time"

// Guesses limits the wrong answers for one account, authenticator and lane (SEC
// S-05, S-49, S-108). It never locks an account: it pauses what can be guessed,
// in one lane (S-109), and links, which cannot be, are not asked (S-16).
//
// Three things close a lane. A full window stays closed until there is room in
// it again, so that no more than N answers are ever looked at in any span of Per:
// with 30 a day of a million codes, an account is guessed with a chance of at
// most 3 × 10⁻⁵ a day, however many flows are begun (S-04). Each time that a
// window fills, the lane also cools down, for twice as long as the time before.
// And too many wrong answers in a row close it until the person has come in by
// another way.
//
// The zero Guesses limits and counts nothing.
type Guesses struct {
	Windows []Window

	// CoolDown is the first wait after a window has filled, and doubles with each
	// further one up to CoolDownMax. It starts anew once all windows are empty.
	CoolDown, CoolDownMax time.Duration

	// Consecutive is how many wrong answers in a row close the lane until Right or
	// Reset; 0: any number.
	Consecutive int

	// Attempts is a password policy's own number of wrong answers in a row, beside
	// all the above (S-49); 0: none. Each further Attempts of them close the lane
	// for AutoUnlock; if that is 0, the first do until Right or Reset.
	Attempts   int
	AutoUnlock time.Duration

	// Forget is for how long after the last one wrong answers in a row are
	// remembered; 0: for ever, as it must be where there is an account.
	Forget time.Duration
}

// A Standing is what a Guesses says of a counter, for display and for mails.
type Standing struct {
	Consecutive int           // wrong answers since the last right one
	Pauses      int           // cool-downs since the windows were last empty
	Paused      bool          // no answer is looked at
	RetryAfter  time.Duration // until when, from now; 0 while Paused: until Right or Reset
}

// forever is how long a row of wrong answers counts that time does not end: a
// time that every database can hold.
const forever = 100 * 365 * 24 * time.Hour

// Policy is g with a password policy's number of attempts and the time after
// which a pause ends by itself, 0 for never. The windows and the 100 of g hold
// still, since they are what keeps a password from being guessed (SEC S-49). With
// maxAttempts of 0 it is g.
func (g Guesses) Policy(maxAttempts int, autoUnlock time.Duration) Guesses {
	if maxAttempts > 0 {
		g.Attempts, g.AutoUnlock = maxAttempts, max(autoUnlock, 0)
	}
	return g
}

// Off reports whether g limits nothing, so that no counter need be read.
func (g Guesses) Off() bool {
	return len(g.Windows) == 0 && g.Consecutive <= 0 && g.Attempts <= 0
}

// Open reports whether an answer may be looked at now. If not, retryAfter is the
// time until it may be; 0 means not before Right or Reset. An answer that comes
// while the lane is closed is not compared and not counted (SEC S-05).
func (g Guesses) Open(c Counter, now time.Time) (retryAfter time.Duration, open bool) {
	s := g.load(c, now)
	return g.open(&s, now)
}

// Wrong counts a wrong answer that was looked at. It reports whether the lane,
// open before, is closed by it: that is when a notice can be due. A person who is
// under a slow attack has many pauses; Standing tells the first.
//
// One that is counted while the lane is closed never makes the wait end earlier.
func (g Guesses) Wrong(c Counter, now time.Time) (next Counter, paused bool) {
	if g.Off() {
		return c, false
	}
	s := g.load(c, now)
	_, wasOpen := g.open(&s, now)

	s.last = max(ceil(now), s.last)
	s.wrong = min(s.wrong+1, most)
	s.log = s.log.add(s.last, 1, 1).last(widest(g.Windows))
	if s.log.room(floor(now), g.Windows) > 0 {
		s.pauses = min(s.pauses+1, most)
		s.until = max(s.until, s.last+g.coolDown(s.pauses))
	}
	if g.Attempts > 0 && s.wrong%int64(g.Attempts) == 0 {
		s.until = max(s.until, s.last+span(g.AutoUnlock))
	}

	_, open := g.open(&s, now)
	return g.store(c.Key, &s), wasOpen && !open
}

// Right ends the row of wrong answers, after a right one or when the person came
// in by another way, and reports whether that changed the counter. Windows and
// cool-downs stay: otherwise whoever signs in often would give a stranger as many
// further guesses each time (SEC S-04, S-05). For a password closed by its number
// of wrong ones in a row, coming in another way is not enough: it takes proof and
// a new password or an unlock, which is Reset (S-49).
func (g Guesses) Right(c Counter, now time.Time) (next Counter, changed bool) {
	s := g.load(c, now)
	if s.wrong == 0 {
		return c, false
	}
	s.wrong = 0
	return g.store(c.Key, &s), true
}

// Reset forgets everything: the secret is another one now, or an administrator
// or the person's own proof has unlocked it. It has no Data and can be deleted.
func (g Guesses) Reset(c Counter) Counter { return Counter{Key: c.Key} }

// Standing tells what is counted.
func (g Guesses) Standing(c Counter, now time.Time) Standing {
	s := g.load(c, now)
	wait, open := g.open(&s, now)
	return Standing{Consecutive: int(s.wrong), Pauses: int(s.pauses), Paused: !open, RetryAfter: wait}
}

// guessing is the Data of a Guesses.
type guessing struct {
	last   int64 // the newest wrong answer
	wrong  int64 // in a row
	pauses int64 // since the windows were empty
	until  int64 // end of the cool-down or of the policy's pause, 0 for none
	log    log
}

func (g Guesses) open(s *guessing, now time.Time) (time.Duration, bool) {
	if g.Consecutive > 0 && s.wrong >= int64(g.Consecutive) ||
		g.Attempts > 0 && g.AutoUnlock <= 0 && s.wrong >= int64(g.Attempts) {
		return 0, false
	}
	if end := max(s.until, s.log.room(floor(now), g.Windows)); end > floor(now) {
		return until(end, now), false
	}
	return 0, true
}

// coolDown is the wait after the n-th time that a window filled.
func (g Guesses) coolDown(n int64) int64 {
	d := g.CoolDown
	for ; n > 1 && 0 < d && d < g.CoolDownMax; n-- {
		d *= 2
	}
	return span(min(d, g.CoolDownMax))
}

// load reads a counter, less what has ended.
func (g Guesses) load(c Counter, now time.Time) guessing {
	s := decodeGuesses(c.Data)
	t, windows := floor(now), longest(g.Windows)
	s.log = s.log.within(t, windows)
	// What is further ahead than any wait of g was written by a broken clock.
	if ahead := t + span(skew) + max(windows, span(g.CoolDownMax), span(g.AutoUnlock)); s.until > ahead || s.last > ahead {
		s.until, s.last = 0, max(t, s.log.newest())
	}
	if s.until <= t {
		s.until = 0
	}
	if len(s.log) == 0 && s.until == 0 {
		s.pauses = 0
	}
	if s.last+g.memory() <= t {
		s.wrong = 0
	}
	return s
}

// memory is for how long a row of wrong answers is remembered.
func (g Guesses) memory() int64 {
	if g.Forget > 0 {
		return span(g.Forget)
	}
	return span(forever)
}

func (g Guesses) store(key string, s *guessing) Counter {
	end := s.until
	if len(s.log) > 0 {
		end = max(end, s.log.newest()+longest(g.Windows))
	}
	if s.wrong > 0 {
		end = max(end, s.last+g.memory())
	}
	if end == 0 {
		return Counter{Key: key}
	}
	return Counter{Key: key, Data: s.encode(), ExpiresAt: ending(end)}
}

func (s *guessing) encode() []byte {
	b := number([]byte{guessesV1}, s.last)
	b = number(b, s.wrong)
	b = number(b, s.pauses)
	var pause int64 // none; else one more than it lasts from the newest answer on
	if s.until > 0 {
		pause = 1 + max(s.until-s.last, 0)
	}
	b = number(b, pause)
	return appendLog(b, s.log, s.last)
}

func decodeGuesses(data []byte) guessing {
	r := read(data, guessesV1)
	s := guessing{last: r.number(latest), wrong: r.number(most), pauses: r.number(most)}
	if pause := r.number(latest); pause > 0 {
		s.until = s.last + pause - 1
	}
	s.log = r.log(s.last)
	if !r.done() {
		return guessing{}
	}
	return s
}
