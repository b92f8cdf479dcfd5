package policy

import "time"

// Expires tells how a password chosen at changed stands now; days are those left, begun ones counted.
func Expires(p Password, changed, now time.Time) (expired bool, days int, warn bool) {
	if p.MaxAge <= 0 || changed.IsZero() {
		return false, 0, false
	}
	left := changed.Add(p.MaxAge.Std()).Sub(now)
	if left <= 0 {
		return true, 0, false
	}
	const day = 24 * time.Hour
	return false, int((left + day - 1) / day), p.Warn > 0 && left <= p.Warn.Std()
}
