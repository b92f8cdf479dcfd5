package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestExpires(t *testing.T) {
	const day = 24 * time.Hour
	changed := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	month := Password{MaxAge: Days(30), Warn: Days(5)}
	tests := []struct {
		name    string
		policy  Password
		changed time.Time
		age     time.Duration
		expired bool
		days    int
		warn    bool
	}{
		{"no maximum", Password{Warn: Days(5)}, changed, 1000 * day, false, 0, false},
		{"not known since when", month, time.Time{}, 1000 * day, false, 0, false},
		{"just chosen", month, changed, 0, false, 30, false},
		{"a started day", month, changed, time.Second, false, 30, false},
		{"a day", month, changed, day, false, 29, false},
		{"before the warning", month, changed, 25*day - time.Nanosecond, false, 6, false},
		{"warning", month, changed, 25 * day, false, 5, true},
		{"the last day", month, changed, 29*day + time.Hour, false, 1, true},
		{"the last moment", month, changed, 30*day - time.Nanosecond, false, 1, true},
		{"the end", month, changed, 30 * day, true, 0, false},
		{"long after", month, changed, 1000 * day, true, 0, false},
		{"no warning", Password{MaxAge: Days(30)}, changed, 30*day - 1, false, 1, false},
		{"an hour in all", Password{MaxAge: Hours(1)}, changed, time.Minute, false, 1, false},
		{"chosen by a clock ahead", month, changed, -time.Hour, false, 31, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			expired, days, warn := Expires(test.policy, test.changed, changed.Add(test.age))
			if expired != test.expired || days != test.days || warn != test.warn {
				t.Errorf("expired %t, %d days, warn %t; want %t, %d, %t", expired, days, warn, test.expired, test.days, test.warn)
			}
		})
	}
}

// Time only takes days away, and the last thing before the end is a warning where there is one.
func TestExpiryComesNearer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Password{MaxAge: Duration(rapid.Int64Range(1, int64(Days(400))).Draw(t, "max"))}
		p.Warn = Duration(rapid.Int64Range(0, int64(p.MaxAge)-1).Draw(t, "warn"))
		changed := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "changed"), 0)
		early := rapid.Int64Range(0, int64(2*p.MaxAge)).Draw(t, "early")
		late := rapid.Int64Range(early, int64(2*p.MaxAge)).Draw(t, "late")
		expired, days, warn := Expires(p, changed, changed.Add(time.Duration(early)))
		laterExpired, laterDays, laterWarn := Expires(p, changed, changed.Add(time.Duration(late)))
		switch {
		case expired && !laterExpired, laterDays > days, warn && !laterWarn && !laterExpired:
			t.Fatalf("%t, %d, %t and later %t, %d, %t", expired, days, warn, laterExpired, laterDays, laterWarn)
		case expired != (days == 0), expired && warn, expired != (early >= int64(p.MaxAge)):
			t.Fatalf("expired %t with %d days, warn %t", expired, days, warn)
		}
		if end, _, warn := Expires(p, changed, changed.Add(p.MaxAge.Std()-1)); end || warn != (p.Warn > 0) {
			t.Fatalf("right before the end: expired %t, warn %t", end, warn)
		}
	})
}

func TestComplexityValidate(t *testing.T) {
	with := func(change func(*Complexity)) Complexity {
		c := DefaultPassword().Complexity
		change(&c)
		return c
	}
	tests := []struct {
		name  string
		rules Complexity
		ok    bool
	}{
		{"default", DefaultPassword().Complexity, true},
		{"zero", Complexity{}, false},
		{"SEC_S45 length 7", with(func(c *Complexity) { c.MinLength = 7 }), false},
		{"SEC_S45 length 8", Complexity{MinLength: 8}, true},
		{"SEC_S45 length 15", with(func(c *Complexity) { c.MinLength = 15 }), true},
		{"length 128", with(func(c *Complexity) { c.MinLength = 128 }), true},
		{"length 129", with(func(c *Complexity) { c.MinLength = 129 }), false},
		{"negative", with(func(c *Complexity) { c.MinSymbol = -1 }), false},
		{"as many of each kind as there is room", with(func(c *Complexity) { c.MinSymbol, c.MinNumber = 100, 28 }), true},
		{"more of each kind than there is room", with(func(c *Complexity) { c.MinSymbol, c.MinNumber = 100, 29 }), false},
		{"negative repeats", with(func(c *Complexity) { c.MaxConsecutiveRepeatingCharacters = -1 }), false},
		{"unknown attribute", with(func(c *Complexity) { c.ExcludeAttributes = []string{"firstName", "email"} }), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := test.rules.Validate(); (err == nil) != test.ok {
				t.Errorf("Validate: %v, want accepted: %t", err, test.ok)
			}
		})
	}
}

func TestAUTH_A51_RecoveryAndUnlockAreOnForSomebody(t *testing.T) {
	tests := []struct {
		name             string
		policies         []Password
		recovery, unlock bool
	}{
		{"default", []Password{DefaultPassword()}, true, false},
		{"off for all", []Password{{NoRecovery: true}, {NoRecovery: true}}, false, false},
		{"on for some", []Password{{NoRecovery: true}, {Unlock: true}}, true, true},
		{"nobody", nil, false, false},
	}
	for _, test := range tests {
		o := Org{Password: test.policies}
		if o.Recovery() != test.recovery || o.Unlock() != test.unlock {
			t.Errorf("%s: recovery %t, unlock %t", test.name, o.Recovery(), o.Unlock())
		}
	}
}
