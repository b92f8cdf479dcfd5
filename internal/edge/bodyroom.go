package edge

import (
	"net/netip"
	"sync"
)

// A bodyRoom bounds what the bodies of all requests take up together, from their
// first byte to the answer, and how much of that is one source's. Connections and
// requests in one are bounded too, but all of their bodies at once would be more
// memory than a small machine has (REL R-20, SEC S-134).
type bodyRoom struct {
	total, share int // bytes

	mu   sync.Mutex
	used int
	of   map[netip.Addr]int
}

// What bodies may take up. A source that is many people's has room for five hundred
// of their requests, which are of less than 4 KiB; sixteen sources have it all.
const (
	bodyTotal = 32 << 20
	bodyShare = bodyTotal / 16
)

// take reports whether there are n bytes for a source.
func (b *bodyRoom) take(source netip.Addr, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.total || source.IsValid() && b.of[source]+n > b.share {
		return false
	}
	b.used += n
	if source.IsValid() {
		b.of[source] += n
	}
	return true
}

func (b *bodyRoom) giveBack(source netip.Addr, n int) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if !source.IsValid() {
		return
	}
	if b.of[source] -= n; b.of[source] == 0 {
		delete(b.of, source)
	}
}
