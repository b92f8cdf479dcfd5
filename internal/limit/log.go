package limit

// A log is when things happened, oldest first. It answers exactly how many lie
// within a window. To bound its length, those within one cell of a grid of time
// may be kept as one mark with the time of the last of them: each then counts as
// no earlier than it was, so that windows hold no more than they may.
type log []mark

type mark struct {
	at int64 // in milliseconds
	n  int64
}

// newest is the time of the last mark, 0 if there is none.
func (l log) newest() int64 {
	if len(l) == 0 {
		return 0
	}
	return l[len(l)-1].at
}

// within drops what lies further than length before now, and what a broken clock
// wrote further than that ahead.
func (l log) within(now, length int64) log {
	for len(l) > 0 && l[0].at <= now-length {
		l = l[1:]
	}
	for len(l) > 0 && l.newest() > now+length+span(skew) {
		l = l[:len(l)-1]
	}
	return l
}

// add counts n more at a time. A time before the newest, of a clock that is
// behind, counts as the newest.
func (l log) add(at, cell, n int64) log {
	at = max(at, l.newest())
	if i := len(l) - 1; i >= 0 && l[i].at/cell == at/cell {
		l[i].at = at
		l[i].n = min(l[i].n+n, most)
		return l
	}
	return append(l, mark{at: at, n: min(n, most)})
}

// count is how many lie less than length before now.
func (l log) count(now, length int64) int64 {
	var n int64
	for i := len(l) - 1; i >= 0 && l[i].at > now-length; i-- {
		n += l[i].n
	}
	return n
}

// full is when a window has room for one more, 0 if it has now.
func (l log) full(now int64, w Window) int64 {
	length := span(w.Per)
	if w.N < 1 {
		return now + max(length, 1)
	}
	var n int64
	for i := len(l) - 1; i >= 0 && l[i].at > now-length; i-- {
		// Once this mark has left, fewer than N are later than it.
		if n += l[i].n; n >= int64(w.N) {
			return l[i].at + length
		}
	}
	return 0
}

// last keeps the newest marks that hold n, all that a window of n can ask for.
func (l log) last(n int64) log {
	if n <= 0 {
		return nil
	}
	for i := len(l) - 1; i >= 0; i-- {
		if n -= l[i].n; n <= 0 {
			return l[i:]
		}
	}
	return l
}

// longest is the span of the longest of windows, widest their largest N.
func longest(ws []Window) (ms int64) {
	for _, w := range ws {
		ms = max(ms, span(w.Per))
	}
	return ms
}

func widest(ws []Window) (n int64) {
	for _, w := range ws {
		n = max(n, int64(w.N))
	}
	return n
}

// room is when all windows have room for one more, 0 if they have now.
func (l log) room(now int64, ws []Window) (end int64) {
	for _, w := range ws {
		end = max(end, l.full(now, w))
	}
	return end
}
