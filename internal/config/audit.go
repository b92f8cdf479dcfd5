package config

import (
	"fmt"
	"time"
)

// Audit holds the settings of `stile audit`.
type Audit struct {
	Verify AuditVerify `cmd:"" help:"Look whether anything was removed from the audit log, changed, inserted or moved."`
	Tail   AuditTail   `cmd:"" help:"Print the newest events of the audit log."`
}

// AuditVerify holds the settings of `stile audit verify`.
type AuditVerify struct {
	Data
	Checkpoint string `placeholder:"NUMBER:HASH" help:"What an earlier run printed as checkpoint: shows also that the log's end was not cut off since."`
}

// AuditTail holds the settings of `stile audit tail`.
type AuditTail struct {
	Data
	Lines  int    `short:"n" default:"20" placeholder:"N" help:"How many events to begin with (${default})."`
	Since  string `placeholder:"TIME" help:"Print everything since then instead: a time as 2006-01-02T15:04:05Z, or how long ago, as 90m or 24h."`
	User   string `placeholder:"ID" help:"Only events that this user did or that were done to them."`
	Type   string `placeholder:"TYPE" help:"Only events of this type, or whose type begins so: user.lifecycle."`
	JSON   bool   `name:"json" help:"Print each event as a line of JSON."`
	Follow bool   `short:"f" help:"Go on and print what comes."`
}

// SinceTime is Since as a time, zero if it is not set.
func (a *AuditTail) SinceTime(now time.Time) (time.Time, error) {
	if a.Since == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, a.Since); err == nil {
		return t, nil
	}
	d, err := time.ParseDuration(a.Since)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("--since: %q is neither a time, as 2006-01-02T15:04:05Z, nor how long ago, as 90m", a.Since)
	}
	return now.Add(-d), nil
}
