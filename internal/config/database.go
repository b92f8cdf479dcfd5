package config

// Migrate holds the settings of `stile migrate`.
type Migrate struct {
	Data
	DryRun bool  `help:"Only list the steps."`
	To     int64 `placeholder:"VERSION" help:"The schema version to go to; one step back at a time. Default: this program's."`
}
