package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Migrate holds the settings of `stile migrate`.
type Migrate struct {
	Data
	DryRun       bool  `help:"Only list the steps."`
	To           int64 `placeholder:"VERSION" help:"The schema version to go to; one step back at a time. Default: this program's."`
	DespiteNodes bool  `help:"PostgreSQL: go on beside connected nodes that do not work on that version. Those that run are not ready until they are replaced, or the schema is back."`
}

// A Place is where a database is.
type Place string

// Postgres is the URL of a PostgreSQL, empty if the place is another.
func (p Place) Postgres() string {
	if strings.HasPrefix(string(p), "postgres://") || strings.HasPrefix(string(p), "postgresql://") {
		return string(p)
	}
	return ""
}

// SQLite is the file of a SQLite database, by its name or that of its folder;
// empty if the place is another.
func (p Place) SQLite() string {
	path, ok := strings.CutPrefix(string(p), "sqlite:")
	switch {
	case !ok || path == "":
		return ""
	case strings.HasSuffix(path, ".db"):
		return path
	}
	return filepath.Join(path, "stile.db")
}

// Validate refuses what is no place. A password may stand there: it is not told.
func (p Place) Validate(flag string) error {
	if p.SQLite() != "" || p.Postgres() != "" && checkDatabase(p.Postgres()) == nil {
		return nil
	}
	return fmt.Errorf("%s: neither of the form sqlite:FOLDER nor postgres://user:password@host/name", flag)
}

// Copy holds the settings of `stile copy`.
type Copy struct {
	From   Place  `placeholder:"DATABASE" help:"sqlite:FOLDER or postgres://user:password@host/name. No engine may run on it. Default: where --config says."`
	To     Place  `placeholder:"DATABASE" help:"Where nothing is yet, of either form. Default: where --config says."`
	Config string `name:"config" short:"c" env:"STILE_CONFIG" placeholder:"FILE" help:"The file of settings that stile serve has: its database, or that in its data, is the place that is not said. The variables of stile serve go before it. Default: none."`
}

// Load checks both places; one of them may be that of the file.
func (c *Copy) Load() error {
	switch {
	case c.From == "" && c.To == "":
		return errors.New("--from and --to are needed; with --config one of them")
	case c.From != "" && c.To != "":
	case c.Config == "":
		return errors.New("--from and --to go together, unless --config says where the other is")
	default:
		d := Data{Config: c.Config}
		if err := d.Load(); err != nil {
			return err
		}
		if c.From == "" {
			c.From = d.Place()
		} else {
			c.To = d.Place()
		}
	}
	return errors.Join(c.From.Validate("--from"), c.To.Validate("--to"))
}

// Backup holds the settings of `stile backup`.
type Backup struct {
	Data
	To         string   `required:"" placeholder:"FILE" help:"The file to write; it must not exist."`
	Recipients []string `name:"recipient" placeholder:"KEY" help:"Encrypt it so that only the holder of an age identity can read it: age1…; repeatable."`
}

// Restore holds the settings of `stile restore`.
type Restore struct {
	From          string `required:"" placeholder:"FILE" help:"What stile backup wrote."`
	To            Place  `placeholder:"DATABASE" help:"Where nothing is yet: sqlite:FOLDER or postgres://user:password@host/name. Default: where --config says."`
	Config        string `name:"config" short:"c" env:"STILE_CONFIG" placeholder:"FILE" help:"The file of settings that stile serve has: its database, or that in its data, is made, and its master_key_file is the key. Flags and the variables of stile serve go before it. Default: none."`
	MasterKeyFile string `env:"STILE_MASTER_KEY_FILE" placeholder:"FILE" help:"The master key, to see that it is the one of the backup. Default: master.key in the folder, if it is there."`
	Identity      string `placeholder:"FILE" help:"The age identity that an encrypted backup is for."`
	Erased        string `placeholder:"FILE" help:"Whom to leave out, as they were deleted since: ids, one a line, or what stile audit tail --json prints."`
	KeepSignIns   bool   `help:"Sign nobody out. Only if nothing was revoked, and nobody signed out or disabled, since the backup."`

	folder string // the data folder, where To is the place of the file
}

// Load checks where to restore; without a flag that is where the file says.
func (r *Restore) Load() error {
	if r.Config != "" {
		d := Data{Config: r.Config, MasterKeyFile: r.MasterKeyFile}
		if err := d.Load(); err != nil {
			return err
		}
		r.MasterKeyFile = d.MasterKeyFile
		if r.To == "" {
			r.To, r.folder = d.Place(), d.Data
		}
	}
	if r.To == "" {
		return errors.New("--to is needed, unless --config says where")
	}
	return r.To.Validate("--to")
}

// KeyFolder is the folder in which the engine will look for its master key if no
// other file is named; empty if it is not known.
func (r *Restore) KeyFolder() string {
	if r.folder == "" && r.To.SQLite() != "" {
		return filepath.Dir(r.To.SQLite())
	}
	return r.folder
}

// Verify holds the settings of `stile verify`.
type Verify struct {
	Data
}
