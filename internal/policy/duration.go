package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Duration is written as "90s", "15m", "2h" or "30d".
type Duration time.Duration

// Minutes, Hours and Days make durations.
func Minutes(n int) Duration { return Duration(n) * Duration(time.Minute) }

// Hours makes a duration of n hours.
func Hours(n int) Duration { return Duration(n) * Duration(time.Hour) }

// Days makes a duration of n times 24 hours.
func Days(n int) Duration { return Hours(24 * n) }

// Std is d as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) {
	n := time.Duration(d)
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n != 0 && n%u.unit == 0 {
			return []byte(strconv.FormatInt(int64(n/u.unit), 10) + u.name), nil
		}
	}
	return []byte(n.String()), nil
}

// maxDays bounds what is read, well within what a Duration holds.
const maxDays = 36500

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	wrong := fmt.Errorf("%q is not a duration such as 15m, 2h or 30d", s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > maxDays {
			return wrong
		}
		*d = Days(n)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 || Duration(v) > Days(maxDays) {
		return wrong
	}
	*d = Duration(v)
	return nil
}
