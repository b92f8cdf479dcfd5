package config

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Data says which data folder and database a command works on: with a file those
// that `stile serve` would, given the same flags and variables.
type Data struct {
	Config string `name:"config" short:"c" env:"STILE_CONFIG" setting:"-" placeholder:"FILE" help:"The file of settings that stile serve has: database, master_key_file and data are taken from it. Flags and variables go before it. Default: none."`

	Database string `env:"STILE_DATABASE" secret:"" placeholder:"URL" help:"PostgreSQL that the engine keeps everything in: postgres://user:password@host/name. STILE_DATABASE_FILE names a file that holds it. Default: SQLite in --data."`

	MasterKeyFile string `env:"STILE_MASTER_KEY_FILE" placeholder:"FILE" help:"The master key, if it is not master.key in --data."`

	Data string `env:"STILE_DATA" placeholder:"DIR" help:"Folder of the database and the master key (./.stile, or with --config /var/lib/stile)."`

	source map[string]string `setting:"-"` // by key: where the value comes from; nil before Load
}

// Where `stile dev` and `stile serve` keep everything that is not said to be elsewhere.
const devFolder, serveFolder = "./.stile", "/var/lib/stile"

// Load fills in what no flag says, and checks what can be checked before anything is
// opened. The file is read once. It is no Validate: that the parser of arguments would
// call, and tell how the command is used.
func (d *Data) Load() error {
	if d.source != nil {
		return nil
	}
	all, f := *d, &Faults{source: map[string]string{}}
	f.fillAll(reflect.ValueOf(&all).Elem(), d.Config, os.LookupEnv)
	if len(f.list) == 0 && checkDatabase(all.Database) != nil {
		f.Add("database", "not of the form postgres://user:password@host/name")
	}
	if len(f.list) > 0 {
		return errors.New(strings.Join(f.list, "\n"))
	}
	if all.Data == "" && d.Config != "" {
		all.Data = serveFolder
	}
	all.Data = or(all.Data, devFolder)
	all.source = f.source
	*d = all
	return nil
}

// Folder is the data folder and where that is said, for the text of an error.
func (d *Data) Folder() string { return or(d.source["data"], flag("data")) + " " + d.Data }

// Place is where the database is.
func (d *Data) Place() Place {
	if d.Database != "" {
		return Place(d.Database)
	}
	return Place("sqlite:" + filepath.Join(d.Data, "stile.db"))
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
