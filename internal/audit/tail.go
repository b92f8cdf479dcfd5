package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A Filter picks events; a zero field picks all.
type Filter struct {
	Since time.Time // at or after
	User  string    // id of the actor or the target
	Type  string    // the whole type, or its beginning up to a dot: "user.lifecycle"
}

// Admits reports whether the filter picks an event.
func (f Filter) Admits(e Event) bool {
	switch {
	case e.At.Before(f.Since):
	case f.User != "" && f.User != e.Actor && f.User != e.Target:
	case f.Type != "" && e.Type != f.Type && !strings.HasPrefix(e.Type, strings.TrimSuffix(f.Type, ".")+"."):
	default:
		return true
	}
	return false
}

// A Tail prints the end of a log, then whatever comes. It is for one goroutine.
type Tail struct {
	Log    Log
	Filter Filter
	Lines  int // of the sealed events that the first Next prints, the newest so many; negative: all
	Print  func(Event) error

	next    int64 // the first position that was not printed; 0: nothing was
	skip    int
	printed map[string]bool // rows that were printed before they had a position
}

// Next prints what has come since it was called last.
func (t *Tail) Next(ctx context.Context) error {
	// These before the sealed ones: a row that is sealed in between shows up
	// twice, and is printed once.
	waiting, err := t.Log.UnsealedAudit(ctx, unsealed)
	if err != nil {
		return err
	}
	if t.next == 0 {
		if err := t.start(ctx); err != nil {
			return err
		}
	}
	met := make(map[string]bool, len(waiting))
	for _, r := range waiting {
		met[r.ID] = false
	}
	for {
		records, err := t.Log.SealedAudit(ctx, t.next, rowPage)
		if err != nil {
			return err
		}
		for _, r := range records {
			if _, ok := met[r.ID]; ok {
				met[r.ID] = true
			}
			t.next = r.Position + 1
			if t.printed[r.ID] {
				delete(t.printed, r.ID)
				continue
			}
			if err := t.print(r); err != nil {
				return err
			}
		}
		if len(records) < rowPage {
			break
		}
	}
	if t.printed == nil {
		t.printed = map[string]bool{}
	}
	for _, r := range waiting {
		if met[r.ID] || t.printed[r.ID] {
			continue
		}
		if err := t.print(r); err != nil {
			return err
		}
		t.printed[r.ID] = true
	}
	return nil
}

// start goes back from the end until enough events are found, page by page. It
// looks at no row before a page that is older than Since as a whole.
func (t *Tail) start(ctx context.Context) error {
	last, err := lastSeal(ctx, t.Log)
	if err != nil {
		return err
	}
	t.next = last.Last + 1
	for found := 0; t.next > 1 && (t.Lines < 0 || found < t.Lines); {
		from := max(1, t.next-rowPage)
		records, err := t.Log.SealedAudit(ctx, from, int(t.next-from))
		if err != nil {
			return err
		}
		young := t.Filter.Since.IsZero()
		for _, r := range records {
			young = young || !r.At.Before(t.Filter.Since)
			all, err := decode(r)
			if err != nil {
				return err
			}
			for _, e := range all {
				if t.Filter.Admits(e) {
					found++
				}
			}
		}
		if !young {
			return nil
		}
		t.next = from
		if t.Lines >= 0 {
			t.skip = max(0, found-t.Lines)
		}
	}
	return nil
}

func (t *Tail) print(r Record) error {
	all, err := decode(r)
	if err != nil {
		return err
	}
	for _, e := range all {
		if !t.Filter.Admits(e) {
			continue
		}
		if t.skip > 0 {
			t.skip--
			continue
		}
		if err := t.Print(e); err != nil {
			return err
		}
	}
	return nil
}

func decode(r Record) ([]Event, error) {
	var all []Event
	if err := json.Unmarshal(r.Events, &all); err != nil {
		return nil, fmt.Errorf("audit: row %s cannot be read: %w", r.ID, err)
	}
	return all, nil
}
