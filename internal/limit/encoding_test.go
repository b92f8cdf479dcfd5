package limit

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func anyTime(t *rapid.T) int64 { return rapid.Int64Range(0, latest).Draw(t, "time") }

func anyLog(t *rapid.T, newest int64) log {
	at := rapid.SliceOfN(rapid.Int64Range(0, newest), 0, 40).Draw(t, "times")
	slices.Sort(at)
	var l log
	for _, a := range at {
		l = append(l, mark{at: a, n: rapid.Int64Range(1, 3).Draw(t, "n")})
	}
	return l
}

func same[T any](t *rapid.T, got, want T) {
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
}

func TestEncodingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := anyTime(t)
		l := anyLog(t, last)
		g := guessing{last: last, wrong: rapid.Int64Range(0, most).Draw(t, "wrong"), pauses: rapid.Int64Range(0, most).Draw(t, "pauses"), log: l}
		if rapid.Bool().Draw(t, "pause") {
			g.until = last + rapid.Int64Range(1, latest-1).Draw(t, "pause")
		}
		got := decodeGuesses(g.encode())
		same(t, got.log.count(latest, latest+1), g.log.count(latest, latest+1))
		if len(l) == 0 {
			got.log = l
		}
		same(t, got, g)

		if len(l) > 0 {
			same(t, decodeVolume(encodeVolume(l)), l)
		}

		var uses []use
		for _, m := range l {
			uses = append(uses, use{hash: rapid.Uint64().Draw(t, "hash"), at: m.at})
		}
		same(t, decodeDistinct(encodeDistinct(uses)), uses)

		s := guarding{
			number: anyTime(t), seen: rapid.Int64Range(0, most).Draw(t, "seen"), until: anyTime(t),
			ended: rapid.SliceOfN(rapid.Int64Range(0, most), 1, 20).Draw(t, "ended"), log: l,
		}
		read := decodeGuard(s.encode())
		if len(l) == 0 {
			read.log = l
		}
		same(t, read, s)
	})
}

// A counter of 30 answers and of 20 mails fits a row of the database with room to spare.
func TestEncodingIsCompact(t *testing.T) {
	r := DefaultRules()
	var g, m Counter
	for i := range 30 {
		g, _ = r.Code.Wrong(g, epoch.Add(time.Duration(i)*47*time.Minute))
		m, _, _ = r.AddressMails.Spend(m, epoch.Add(time.Duration(i)*47*time.Minute))
	}
	if len(g.Data) > 150 || len(m.Data) > 100 {
		t.Fatalf("%d and %d bytes", len(g.Data), len(m.Data))
	}
}

// Whatever stands in the database, nothing panics, and what cannot be read
// counts as nothing; after one more it can be read.
func FuzzData(f *testing.F) {
	r := DefaultRules()
	var seeds [4]Counter
	for i := range 12 {
		now := epoch.Add(time.Duration(i) * time.Minute)
		seeds[0], _ = r.Code.Wrong(seeds[0], now)
		seeds[1], _, _ = r.OpenFlows.Spend(seeds[1], now)
		seeds[2], _, _ = r.SourceAddresses.Spend(seeds[2], now, uint64(i))
		seeds[3], _ = r.Spray.Wrong(seeds[3], now, 1)
	}
	for _, s := range seeds {
		f.Add(s.Data, epoch.Add(15*time.Minute).UnixNano())
		f.Add(s.Data[:len(s.Data)-1], epoch.UnixNano())
		f.Add(append(slices.Clone(s.Data), 0), epoch.UnixNano())
		for _, head := range []byte{guessesV1, volumeV1, distinctV1, guardV1} {
			f.Add([]byte{head, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0x07}, epoch.UnixNano())
			f.Add([]byte{head, 0, 0, 0, 0, 0, 0}, int64(-1))
		}
	}
	f.Add([]byte(nil), int64(0))

	f.Fuzz(func(t *testing.T, data []byte, ns int64) {
		c, now := Counter{Key: "k", Data: data}, time.Unix(0, ns)
		for _, g := range []Guesses{r.Code, r.Code.Policy(3, 0), r.Code.Policy(3, time.Hour), {}} {
			if wait, _ := g.Open(c, now); wait < 0 {
				t.Fatalf("waits %v", wait)
			}
			g.Standing(c, now)
			g.Right(c, now)
			next, _ := g.Wrong(c, now)
			if n := g.Standing(next, now).Consecutive; !g.Off() && n < 1 {
				t.Fatalf("a wrong answer is not counted: %x", next.Data)
			}
		}
		for _, v := range []Volume{r.AddressMails, r.OpenFlows, nil} {
			before := v.load(c, now).count(floor(now), longest(v))
			next, wait, ok := v.Spend(c, now)
			if wait < 0 || ok != (wait == 0) {
				t.Fatalf("%v, wait %v", ok, wait)
			}
			if after := v.load(next, now).count(floor(now), longest(v)); ok && !v.Off() && after <= before {
				t.Fatalf("a spend is not counted: %d, then %d", before, after)
			}
		}
		d := r.SourceAddresses
		if next, wait, ok := d.Spend(c, now, 7); ok {
			if len(d.load(next, now)) == 0 {
				t.Fatalf("a value is not counted: %x", next.Data)
			}
		} else if wait <= 0 {
			t.Fatalf("waits %v", wait)
		}
		next, _ := r.Spray.Wrong(c, now, 1)
		if r.Spray.load(next, now).log.count(floor(now), span(r.Spray.Per)) == 0 {
			t.Fatalf("a wrong code is not counted: %x", next.Data)
		}
		alarmed(r.Spray, c, now)
	})
}
