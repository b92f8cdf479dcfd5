package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"
)

// Data says which data folder a command works on.
type Data struct {
	Database string `env:"STILE_DATABASE" placeholder:"URL" help:"PostgreSQL that the engine keeps everything in: postgres://user:password@host/name. STILE_DATABASE_FILE names a file that holds it. Default: SQLite in --data."`

	MasterKeyFile string `env:"STILE_MASTER_KEY_FILE" placeholder:"FILE" help:"The master key, if it is not master.key in --data."`

	Data string `env:"STILE_DATA" default:"./.stile" placeholder:"DIR" help:"Folder of the database and the master key (${default})."`
}

// Validate checks what can be checked before anything is opened. The database may
// stand in a file that a variable names, as for `stile serve`.
func (d *Data) Validate() error {
	f, url := &Faults{source: map[string]string{}}, d.Database
	f.fill(reflect.ValueOf(&url).Elem(), "database", true, false, os.LookupEnv, nil)
	if len(f.list) == 0 && checkDatabase(url) != nil {
		f.Add("database", "not of the form postgres://user:password@host/name")
	}
	if len(f.list) > 0 {
		return errors.New(strings.Join(f.list, "\n"))
	}
	d.Database = url
	return nil
}

// checkDatabase keeps what it is given to itself: a password may stand there.
func checkDatabase(s string) error {
	if s == "" {
		return nil
	}
	if u, err := url.Parse(s); err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return errors.New("--database: not of the form postgres://user:password@host/name")
	}
	return nil
}

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
