package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/keyring"
)

// A Log is the log as a reader sees it. Reads may go on beside a Sealer.
type Log interface {
	// LastSeal returns the newest seal, problem.NotFound before the first.
	LastSeal(ctx context.Context) (Seal, error)
	// Seals returns up to limit seals from a number on, in order.
	Seals(ctx context.Context, from int64, limit int) ([]Seal, error)
	// SealedAudit returns up to limit rows from a position on, in order.
	SealedAudit(ctx context.Context, from int64, limit int) ([]Record, error)
	// UnsealedAudit returns up to limit rows without a position, in the order in
	// which they were committed, as far as the database can tell.
	UnsealedAudit(ctx context.Context, limit int) ([]Record, error)
}

// A Report is what Verify went through.
type Report struct {
	Rows       int64 // sealed
	Events     int64 // in these
	Seals      int64
	SealedAt   time.Time  // of the last seal, zero without one
	Checkpoint Checkpoint // of the last seal
	Unsealed   int        // rows that wait for the next seal, up to 10000; nothing can be said of these
}

// Tampered says, in a sentence, what is the first thing wrong with a log.
type Tampered struct{ What string }

func (t *Tampered) Error() string { return t.What }

func tampered(format string, args ...any) error { return &Tampered{fmt.Sprintf(format, args...)} }

const (
	sealPage  = 100
	rowPage   = 1000
	unsealed  = 10000
	timeStyle = time.RFC3339
)

// Verify goes through the whole log. It returns a *Tampered for the first row or
// seal that was removed, changed, inserted or moved since it was sealed. With a
// checkpoint noted earlier it also finds an end that was cut off, or a log that
// was put back to an earlier state; without one that cannot be told, unless a
// trace of what was cut off is left.
func Verify(ctx context.Context, log Log, keys *keyring.Keyring, known Checkpoint) (Report, error) {
	v := &verifier{log: log, keys: keys, known: known}
	err := v.run(ctx)
	if err == nil {
		var waiting []Record
		waiting, err = log.UnsealedAudit(ctx, unsealed)
		v.report.Unsealed = len(waiting)
	}
	return v.report, err
}

type verifier struct {
	log    Log
	keys   *keyring.Keyring
	known  Checkpoint
	report Report
	last   Seal
}

func (v *verifier) run(ctx context.Context) error {
	for {
		seals, err := v.log.Seals(ctx, v.last.Number+1, sealPage)
		if err != nil {
			return err
		}
		for _, s := range seals {
			if err := v.seal(ctx, s); err != nil {
				return err
			}
		}
		if len(seals) > 0 {
			continue
		}
		if more, err := v.beyond(ctx); err != nil || !more {
			return err
		}
	}
}

// seal checks one seal, and the rows that it covers.
func (v *verifier) seal(ctx context.Context, s Seal) error {
	switch {
	case s.Number == v.last.Number:
		return tampered("seal %d stands twice", s.Number)
	case s.Number != v.last.Number+1:
		return tampered("seal %d is missing: after %s comes seal %d", v.last.Number+1, v.place(), s.Number)
	case !s.genuine(v.keys):
		return tampered("seal %d was changed or forged, or was made with another master key", s.Number)
	case s.First != v.last.Last+1 || s.Last < s.First:
		return tampered("seal %d covers rows %d to %d, but %s ended with row %d", s.Number, s.First, s.Last, v.place(), v.last.Last)
	}
	c := newChain(v.last.Hash)
	for next := s.First; next <= s.Last; {
		// One more than there should be, which may be a second one at the last position.
		records, err := v.log.SealedAudit(ctx, next, int(min(rowPage, s.Last-next+1))+1)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return tampered("row %d is missing: seal %d of %s covers rows %d to %d", next, s.Number, s.At.Format(timeStyle), s.First, s.Last)
		}
		for _, r := range records {
			if r.Position > s.Last && next > s.Last {
				break
			}
			switch {
			case r.Position < next:
				return tampered("row %d stands twice (%s): one of them was inserted", r.Position, r.ID)
			case r.Position > next:
				return tampered("row %d is missing: seal %d of %s covers rows %d to %d", next, s.Number, s.At.Format(timeStyle), s.First, s.Last)
			}
			c.add(r)
			v.report.Events += events(r)
			next++
		}
	}
	if !bytes.Equal(c.sum(), s.Hash) {
		return tampered("rows %d to %d are not as they were when seal %d was made, on %s: one was changed, replaced or moved",
			s.First, s.Last, s.Number, s.At.Format(timeStyle))
	}
	if s.Number == v.known.Number && !bytes.Equal(s.Hash, v.known.Hash) {
		return tampered("seal %d is not the one of the checkpoint: the log was written anew, at or before it", s.Number)
	}
	v.last = s
	v.report.Rows += s.rows()
	v.report.Seals++
	v.report.SealedAt, v.report.Checkpoint = s.At, s.Checkpoint()
	return nil
}

// beyond looks behind the last seal: there is nothing, or another seal was made
// meanwhile, or what remains shows that there was one.
func (v *verifier) beyond(ctx context.Context) (more bool, err error) {
	records, err := v.log.SealedAudit(ctx, v.last.Last+1, 1)
	if err != nil {
		return false, err
	}
	if len(records) > 0 { // its seal was committed with it
		seals, err := v.log.Seals(ctx, v.last.Number+1, 1)
		if err != nil || len(seals) > 0 {
			return err == nil, err
		}
		return false, tampered("row %d (%s) stands after the end of %s: its seal was removed, or it was inserted",
			records[0].Position, records[0].ID, v.place())
	}
	if v.known.Number > v.last.Number {
		return false, tampered("the log ends with %s, but the checkpoint is of seal %d: its end was cut off", v.place(), v.known.Number)
	}
	return false, nil
}

func (v *verifier) place() string {
	if v.last.Number == 0 {
		return "the beginning"
	}
	return fmt.Sprintf("seal %d", v.last.Number)
}

// events counts those of a row. What cannot be read counts as none: the hash
// tells whether it was always so.
func events(r Record) int64 {
	var all []json.RawMessage
	_ = json.Unmarshal(r.Events, &all)
	return int64(len(all))
}
