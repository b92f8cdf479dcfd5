package app

import (
	"testing"
	"time"

	"github.com/stile-id/stile/internal/audit"
)

// No value can make a second line, a second field or move the cursor.
func TestSEC_S143_AuditLine(t *testing.T) {
	e := audit.Event{
		Type: "user.lifecycle.create", Outcome: audit.Success, Target: "00u1", UserAgent: "A/1 (x) ip=1\n\x1b[2Jé\"",
		At: time.Date(2026, 11, 22, 12, 30, 15, 123456000, time.FixedZone("", 3600)),
	}
	want := `2026-11-22T11:30:15.123Z SUCCESS user.lifecycle.create target=00u1 agent="A/1 (x) ip=1\n\x1b[2J\u00e9\""` + "\n"
	if got := line(e); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}
