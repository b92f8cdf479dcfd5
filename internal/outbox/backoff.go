package outbox

import "time"

// backoffs is the wait after the first, second, … failed try; the last one
// holds for all that follow (REL R-07).
var backoffs = [...]time.Duration{
	5 * time.Second, 15 * time.Second, 45 * time.Second, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute,
}

// jitter spreads each wait by up to this share to either side, so that what
// failed together is not tried again together.
const jitter = 0.2

// backoff returns the wait after attempts failed tries, at least 1. random is in [0, 1).
func backoff(attempts int, random float64) time.Duration {
	wait := backoffs[min(attempts, len(backoffs))-1]
	return wait + time.Duration(float64(wait)*jitter*(2*random-1))
}
