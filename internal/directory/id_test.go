package directory

import (
	"slices"
	"testing"
	"time"
)

func TestIDsSortByTheirTime(t *testing.T) {
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	var ids []string
	for range 5000 {
		ids = append(ids, NewIDAt("ae", at))
		at = at.Add(16 * time.Millisecond)
	}
	ids = append(ids, NewIDAt("ae", at.AddDate(20, 0, 0)))
	if !slices.IsSorted(ids) {
		t.Error("the ids do not sort as they were made")
	}
	if n := len(slices.Compact(ids)); n != 5001 {
		t.Errorf("%d different ids of 5001", n)
	}
	for _, id := range ids {
		if len(id) != len(NewID("ae")) || id[:2] != "ae" {
			t.Fatalf("%q", id)
		}
	}
}

// What is made at one time is told apart by chance alone.
func TestIDsOfOneTime(t *testing.T) {
	at, seen := time.Now(), map[string]bool{}
	for range 1000 {
		seen[NewIDAt("msg", at)] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different ids of 1000", len(seen))
	}
}
