package audit

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/problem"
)

// A Store is what a Sealer needs of the storage port.
type Store interface {
	// UnsealedAudit returns up to limit rows without a position, in the order in
	// which they were committed, as far as the database can tell.
	UnsealedAudit(ctx context.Context, limit int) ([]Record, error)
	// LastSeal returns the newest seal, problem.NotFound before the first.
	LastSeal(ctx context.Context) (Seal, error)
	// WriteSeal writes, in one transaction, the seal and the positions First,
	// First+1, … of the rows with the given ids. It is problem.Conflict if a
	// number or a position is taken.
	WriteSeal(ctx context.Context, durable bool, s Seal, ids []string) error
}

// SealerConfig is what a Sealer is made of; every field but Logger is required.
type SealerConfig struct {
	Store  Store
	Keys   *keyring.Keyring
	Now    func() time.Time
	Logger *slog.Logger
}

// A Sealer gives rows their positions and seals them. Several may work on one
// database: of two that make the same seal one succeeds.
type Sealer struct {
	store Store
	keys  *keyring.Keyring
	now   func() time.Time
	log   *slog.Logger

	checkpointAt time.Time // of the newest seal that was logged
}

// NewSealer returns a Sealer.
func NewSealer(c SealerConfig) *Sealer {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Sealer{store: c.Store, keys: c.Keys, now: c.Now, log: c.Logger}
}

const (
	// SealEvery is how often rows are sealed: what happens to a row before that
	// leaves no trace.
	SealEvery = 5 * time.Second

	// maxBatch bounds the rows of a seal, and with it how long its commit holds
	// up the others.
	maxBatch = 256

	// checkpointEvery is how often a seal is forced to disk and logged, for
	// whoever keeps the log elsewhere (SEC S-144).
	checkpointEvery = time.Hour
)

// Run seals at each tick until ctx ends, each time through run. It is for one goroutine.
func (s *Sealer) Run(ctx context.Context, ticks <-chan time.Time, run func(work func() error) error) {
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		err := run(func() error { return s.Seal(ctx) })
		if err != nil && ctx.Err() == nil && !failing {
			s.log.ErrorContext(ctx, "audit: rows cannot be sealed", "err", err)
		}
		failing = err != nil
	}
}

// Seal seals all rows that are there. Stopped half-way, it has sealed whole
// batches, and the next call goes on after them.
func (s *Sealer) Seal(ctx context.Context) error {
	for {
		n, err := s.batch(ctx)
		if err != nil {
			return fmt.Errorf("audit: seal: %w", err)
		}
		if n < maxBatch {
			return nil
		}
	}
}

// batch makes one seal and returns how many rows there were to be sealed.
func (s *Sealer) batch(ctx context.Context) (int, error) {
	last, err := lastSeal(ctx, s.store) // before the rows: one that is sealed in between makes a conflict, not a gap
	if err != nil {
		return 0, err
	}
	records, err := s.store.UnsealedAudit(ctx, maxBatch)
	if err != nil || len(records) == 0 {
		return 0, err
	}
	now := s.now().Truncate(time.Microsecond)
	next := Seal{Number: last.Number + 1, First: last.Last + 1, Last: last.Last + int64(len(records)), At: now}
	c, ids := newChain(last.Hash), make([]string, len(records))
	for i, r := range records {
		r.Position = next.First + int64(i)
		c.add(r)
		ids[i] = r.ID
	}
	next.Hash = c.sum()
	next.MAC = next.mac(s.keys)

	since := now.Sub(s.checkpointAt)
	checkpoint := s.checkpointAt.IsZero() || since < 0 || since >= checkpointEvery
	err = s.store.WriteSeal(ctx, checkpoint, next, ids)
	if problem.KindOf(err) == problem.Conflict {
		return len(records), s.lost(ctx, last, err)
	}
	if err != nil {
		return 0, err
	}
	if checkpoint {
		s.checkpointAt = now
		s.log.InfoContext(ctx, "audit checkpoint", "checkpoint", next.Checkpoint().String(), "rows", next.Last)
	}
	return len(records), nil
}

// lastSeal returns the zero Seal before the first.
func lastSeal(ctx context.Context, of interface {
	LastSeal(context.Context) (Seal, error)
}) (Seal, error) {
	last, err := of.LastSeal(ctx)
	if problem.KindOf(err) == problem.NotFound {
		return Seal{}, nil
	}
	return last, err
}

// lost tells another sealer's seal from positions that no seal accounts for.
func (s *Sealer) lost(ctx context.Context, before Seal, conflict error) error {
	last, err := lastSeal(ctx, s.store)
	if err != nil {
		return err
	}
	if last.Number > before.Number {
		return nil
	}
	return fmt.Errorf("a row stands after the last seal, number %d, as if it were sealed; run stile audit verify: %w", before.Number, conflict)
}
