package limit

import "encoding/binary"

// Data is one byte for the rule and the version of its layout, then unsigned
// varints. Times follow each other backwards as differences, which are small.
const (
	guessesV1  byte = 0x11
	volumeV1   byte = 0x21
	distinctV1 byte = 0x31
	guardV1    byte = 0x41
)

// Bounds of what is read. A larger number is not one that was written, and would
// overflow.
const (
	latest = 1 << 46 // a time in milliseconds, in the year 4199
	most   = 1 << 31 // a count
)

// A reader reads Data; after the first fault it reads zeros and is bad.
type reader struct {
	rest []byte
	bad  bool
}

// read returns a reader of what follows the head.
func read(data []byte, head byte) reader {
	if len(data) == 0 || data[0] != head {
		return reader{bad: true}
	}
	return reader{rest: data[1:]}
}

// number reads a number of at most limit.
func (r *reader) number(limit int64) int64 {
	n, size := binary.Uvarint(r.rest)
	if r.bad || size <= 0 || n > uint64(limit) {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return int64(n)
}

// length reads the number of things that follow, each at least one byte long.
func (r *reader) length() int {
	return int(r.number(int64(len(r.rest))))
}

// value reads 8 bytes.
func (r *reader) value() uint64 {
	if r.bad || len(r.rest) < 8 {
		r.bad = true
		return 0
	}
	v := binary.BigEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return v
}

// done reports whether all was read, and was well.
func (r *reader) done() bool { return !r.bad && len(r.rest) == 0 }

func number(b []byte, n int64) []byte { return binary.AppendUvarint(b, uint64(n)) }

// log reads what appendLog wrote.
func (r *reader) log(from int64) log {
	l := make(log, r.length())
	for i := len(l) - 1; i >= 0; i-- {
		// The lowest bit says that a count follows; most marks count one.
		x := r.number(2*from + 1)
		from -= x >> 1
		l[i] = mark{at: from, n: 1}
		if x&1 == 1 {
			l[i].n = r.number(most)
		}
		if r.bad {
			return nil
		}
	}
	return l
}

// appendLog writes a log, newest first, whose times are not after from.
func appendLog(b []byte, l log, from int64) []byte {
	b = number(b, int64(len(l)))
	for i := len(l) - 1; i >= 0; i-- {
		x := (from - l[i].at) << 1
		from = l[i].at
		if l[i].n == 1 {
			b = number(b, x)
			continue
		}
		b = number(b, x|1)
		b = number(b, l[i].n)
	}
	return b
}
