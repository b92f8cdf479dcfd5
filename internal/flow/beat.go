package flow

import (
	"context"
	"time"

	"github.com/stile-id/stile/internal/policy"
)

// keepBeat holds an answer about somebody who has proven nothing back until the
// next beat, counted from its arrival. Whether there is an account must not show
// in how long answers take (SEC S-42): beside equal work they leave on a beat,
// because reading a person's row takes some microseconds more than finding none.
// It waits in no lock and no transaction.
func (t *Turn) keepBeat(ctx context.Context, offer string, began time.Time) {
	beat := t.e.beat
	if beat <= 0 || t.enumeration() != policy.Protect || t.tx.proven() || (t.tx.Subject == nil && offer != "identify") {
		return
	}
	timer := time.NewTimer(beat - time.Since(began)%beat)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
