package mail

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/stile-id/stile/internal/outbox"
)

// Relays hand letters to the first of several that can be used (REL R-08).
type Relays struct{ chain *outbox.Chain[*SMTP] }

// NewRelays takes them in the order in which they are preferred.
func NewRelays(now func() time.Time, log *slog.Logger, relays ...*SMTP) *Relays {
	return &Relays{outbox.NewChain("relay", now, log, relays...)}
}

// Send is SMTP's, by the first relay that can be used. What a relay says of the
// letter itself, or of its recipient, holds: another one is not asked.
func (r *Relays) Send(ctx context.Context, l *Letter) error {
	return r.chain.First(ctx, nil, func(ctx context.Context, s *SMTP) error { return s.Send(ctx, l) })
}

// Try is SMTP's, of the relay that a letter would go to.
func (r *Relays) Try(ctx context.Context) error {
	return r.chain.First(ctx, nil, func(ctx context.Context, s *SMTP) error { return s.Try(ctx) })
}

// Close ends idle connections; letters under way are not disturbed.
func (r *Relays) Close() error {
	var errs []error
	for _, s := range r.chain.All() {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
