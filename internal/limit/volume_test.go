package limit

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func anyVolume(t *rapid.T, largest int) Volume {
	v := make(Volume, rapid.IntRange(1, 3).Draw(t, "windows"))
	for i := range v {
		v[i] = Window{
			N:   rapid.IntRange(1, largest).Draw(t, "n"),
			Per: rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second, 15 * time.Minute, time.Hour, day}).Draw(t, "per"),
		}
	}
	return v
}

// flood spends as fast as it can for a time, a step between tries, and returns how often that was admitted.
func flood(v Volume, c *Counter, from time.Time, length, step time.Duration) (n int) {
	for at := time.Duration(0); at < length; at += step {
		var ok bool
		if *c, _, ok = v.Spend(*c, from.Add(at)); ok {
			n++
		}
	}
	return n
}

func TestSEC_S11_MailsToAnAddress(t *testing.T) {
	v := DefaultRules().AddressMails
	for _, tc := range []struct {
		length time.Duration
		want   int
	}{
		{15 * time.Minute, 5}, {time.Hour, 10}, {day, 20}, {2 * day, 40},
	} {
		var c Counter
		if n := flood(v, &c, epoch, tc.length, 5*time.Second); n != tc.want {
			t.Errorf("%d mails in %v, want %d", n, tc.length, tc.want)
		}
	}
}

func TestSEC_S11_RefusalChangesNothing(t *testing.T) {
	v := DefaultRules().AddressMails
	var c Counter
	for i := range 5 {
		var ok bool
		if c, _, ok = v.Spend(c, epoch); !ok {
			t.Fatalf("mail %d is refused", i+1)
		}
	}
	after, wait, ok := v.Spend(c, epoch.Add(time.Minute))
	if ok || wait != 14*time.Minute || !bytes.Equal(after.Data, c.Data) || !after.ExpiresAt.Equal(c.ExpiresAt) {
		t.Fatalf("%v %v %+v, was %+v", ok, wait, after, c)
	}
	if _, open := v.Open(c, epoch.Add(15*time.Minute-1)); open {
		t.Fatal("open too early")
	}
	if _, open := v.Open(c, epoch.Add(15*time.Minute)); !open {
		t.Fatal("closed too long")
	}
}

func TestSEC_Volumes(t *testing.T) {
	r := DefaultRules()
	for _, tc := range []struct {
		name   string
		v      Volume
		n      int
		length time.Duration
	}{
		{"SEC_S29_handle", r.HandleRequests, 10, 5 * time.Second},
		{"SEC_S29_user", r.UserRequests, 20, 5 * time.Second},
		{"SEC_S11_source", r.SourceMails, 30, time.Hour},
		{"SEC_S06_source", r.SourceWrong, 60, time.Hour},
		{"SEC_S108_network", r.NetworkWrong, 600, time.Hour},
		{"SEC_S28_open_flows", r.OpenFlows, 600, time.Hour},
		{"SEC_S114_sign_ups", r.SignUps, 20, time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c Counter
			for i := range tc.n {
				var ok bool
				if c, _, ok = tc.v.Spend(c, epoch); !ok {
					t.Fatalf("number %d is refused", i+1)
				}
			}
			if _, wait, ok := tc.v.Spend(c, epoch); ok || wait != tc.length {
				t.Fatalf("number %d: %v, wait %v", tc.n+1, ok, wait)
			}
			if _, _, ok := tc.v.Spend(c, epoch.Add(tc.length)); !ok {
				t.Fatal("refused after the window")
			}
		})
	}
}

// Of those who begin flows as fast as they can, no more than 600 can be open.
func TestSEC_S28_FlowsAtMost(t *testing.T) {
	v := DefaultRules().OpenFlows
	var c Counter
	if n := flood(v, &c, epoch, 59*time.Minute, 100*time.Millisecond); n != 600 {
		t.Fatalf("%d open", n)
	}
	if len(c.Data) > 400 {
		t.Fatalf("takes %d bytes", len(c.Data))
	}
}

// Exactly those are refused that would be one too many.
func TestVolumeIsExactForSmallNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyVolume(t, 8)
		var c Counter
		var at []time.Time
		now := epoch
		for range rapid.IntRange(1, 80).Draw(t, "tries") {
			now = now.Add(anyGap(t).Truncate(time.Millisecond))
			want := true
			for _, w := range v {
				in := 0
				for _, a := range at {
					if now.Sub(a) < w.Per {
						in++
					}
				}
				want = want && in < w.N
			}
			next, wait, ok := v.Spend(c, now)
			if ok != want || ok != (wait == 0) {
				t.Fatalf("admitted %v after %v, want %v", ok, wait, want)
			}
			if !ok {
				if _, open := v.Open(c, now.Add(wait-1)); open {
					t.Fatalf("open before the %v that it said", wait)
				}
				if _, open := v.Open(c, now.Add(wait)); !open {
					t.Fatalf("closed after the %v that it said", wait)
				}
				continue
			}
			c = next
			at = append(at, now)
		}
	})
}

func TestSEC_S11_NeverMoreThanNInAnyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyVolume(t, rapid.SampledFrom([]int{5, 100, 1000}).Draw(t, "largest"))
		var c Counter
		var at []time.Time
		now := epoch
		for range rapid.IntRange(1, 20).Draw(t, "bursts") {
			now = now.Add(anyGap(t))
			step := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "step"))
			for range rapid.IntRange(1, 100).Draw(t, "burst") {
				now = now.Add(step)
				var ok bool
				var wait time.Duration
				if c, wait, ok = v.Spend(c, now); ok {
					at = append(at, now)
				} else if rapid.IntRange(0, 9).Draw(t, "patient") == 0 {
					now = now.Add(wait)
				}
			}
		}
		for _, w := range v {
			noMoreThan(t, at, w)
		}
	})
}

// With many, a wait is at most a cell longer than it must be.
func TestVolumeOfManyIsRefusedACellLongerAtMost(t *testing.T) {
	v := Volume{{N: 600, Per: time.Hour}}
	cell := time.Hour / exact
	rapid.Check(t, func(t *rapid.T) {
		var c Counter
		var at []time.Time
		now := epoch
		for range 1500 {
			now = now.Add(time.Duration(rapid.IntRange(0, 10_000).Draw(t, "gap")) * time.Millisecond)
			next, _, ok := v.Spend(c, now)
			if c = next; ok {
				at = append(at, now)
				continue
			}
			if n := len(at); now.Sub(at[n-600]) >= time.Hour+cell {
				t.Fatalf("refused %v after the 600th before", now.Sub(at[n-600]))
			}
		}
		if len(c.Data) > 400 {
			t.Fatalf("takes %d bytes", len(c.Data))
		}
	})
}

// A node whose clock is a little behind counts together with the others.
func TestSEC_S110_ClockBehind(t *testing.T) {
	r := DefaultRules()
	v, d := r.AddressMails, r.SourceAddresses
	var c, a Counter
	for i := range 5 {
		now := epoch.Add(-time.Duration(i) * time.Second)
		var ok bool
		if c, _, ok = v.Spend(c, now); !ok {
			t.Fatalf("mail %d is refused", i+1)
		}
		a, _, _ = d.Spend(a, now, uint64(i))
		if n := len(d.load(a, now)); n != i+1 {
			t.Fatalf("%d addresses, want %d", n, i+1)
		}
	}
	if _, wait, ok := v.Spend(c, epoch); ok || wait != 15*time.Minute {
		t.Fatalf("%v, wait %v", ok, wait)
	}
}

func TestVolumeExpiry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyVolume(t, 100)
		var c Counter
		now := epoch
		for range rapid.IntRange(1, 40).Draw(t, "spends") {
			now = now.Add(anyGap(t))
			c, _, _ = v.Spend(c, now)
		}
		now = later(t, c, now)
		a, _, _ := v.Spend(c, now)
		b, _, _ := v.Spend(Counter{}, now)
		sameCounter(t, a, b)
	})
}

func TestVolumeOfNothing(t *testing.T) {
	if _, wait, ok := (Volume{{N: 0, Per: time.Minute}}).Spend(Counter{}, epoch); ok || wait != time.Minute {
		t.Fatalf("%v %v", wait, ok)
	}
}

func TestSEC_S11_DistinctAddresses(t *testing.T) {
	d := DefaultRules().SourceAddresses
	var c Counter
	for i := range uint64(10) {
		var ok bool
		if c, _, ok = d.Spend(c, epoch.Add(time.Duration(i)*time.Minute), i); !ok {
			t.Fatalf("address %d is refused", i+1)
		}
	}
	now := epoch.Add(10 * time.Minute)
	after, wait, ok := d.Spend(c, now, 10)
	if ok || wait != 50*time.Minute || !bytes.Equal(after.Data, c.Data) {
		t.Fatalf("eleventh: %v %v", ok, wait)
	}
	// One of the ten is admitted, and then counts from now on.
	if c, _, ok = d.Spend(c, now, 0); !ok {
		t.Fatal("one of the ten is refused")
	}
	if _, wait, _ := d.Spend(c, now, 10); wait != 51*time.Minute {
		t.Fatalf("wait %v", wait)
	}
	if c, _, ok = d.Spend(c, epoch.Add(61*time.Minute), 10); !ok {
		t.Fatal("refused after one has left")
	}
	if len(c.Data) > 150 {
		t.Fatalf("takes %d bytes", len(c.Data))
	}
}

func TestSEC_S11_NeverMoreThanNValuesInAnyWindow(t *testing.T) {
	type spent struct {
		at   time.Time
		hash uint64
	}
	distinct := func(uses []spent) int {
		m := map[uint64]bool{}
		for _, u := range uses {
			m[u.hash] = true
		}
		return len(m)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := Distinct{N: rapid.IntRange(1, 4).Draw(t, "n"), Per: time.Hour}
		var c Counter
		var uses []spent
		now := epoch
		for range rapid.IntRange(1, 60).Draw(t, "uses") {
			now = now.Add(anyGap(t).Truncate(time.Millisecond))
			u := spent{now, rapid.Uint64Range(0, 6).Draw(t, "value")}
			for len(uses) > 0 && now.Sub(uses[0].at) >= d.Per {
				uses = uses[1:]
			}
			want := distinct(append(slices.Clone(uses), u)) <= d.N
			next, wait, ok := d.Spend(c, now, u.hash)
			if ok != want {
				t.Fatalf("admitted %v, want %v", ok, want)
			}
			if !ok {
				if _, _, ok := d.Spend(c, now.Add(wait-1), u.hash); ok {
					t.Fatalf("open before the %v that it said", wait)
				}
				if _, _, ok := d.Spend(c, now.Add(wait), u.hash); !ok {
					t.Fatalf("closed after the %v that it said", wait)
				}
				continue
			}
			c = next
			uses = append(uses, u)
		}
		now = later(t, c, now)
		a, _, _ := d.Spend(c, now, 1)
		b, _, _ := d.Spend(Counter{}, now, 1)
		sameCounter(t, a, b)
	})
}
