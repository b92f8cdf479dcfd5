package app

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/sqlite"
)

// openStore opens the database that the configuration names, and brings its
// schema up to date.
func openStore(ctx context.Context, c Config) (store.Store, error) {
	if c.Database != "" {
		o := postgres.Options{URL: c.Database, Connections: c.DatabaseConnections, Logger: c.Logger}
		if !c.Bounded { // who refuses nobody has people wait for a connection too (docs/decisions/0012)
			o.AcquireTimeout = time.Minute
		}
		return postgres.Open(ctx, o)
	}
	return sqlite.Open(ctx, sqlite.Options{Path: databaseFile(c.Dir), QuickCheck: c.QuickCheck, Logger: c.Logger})
}

// examined is a database that may be looked through for damage while it is used.
type examined interface {
	Examined(context.Context) error
}

// examine tells of damage that is found while the file is in use (REL R-05): nobody is
// to rely on what it holds from then on.
func (a *App) examine(ctx context.Context) {
	s := &a.state
	if s.examined == nil {
		return
	}
	err := s.examined.Examined(ctx)
	if err == nil || ctx.Err() != nil {
		return
	}
	if !errors.Is(err, sqlite.ErrDamaged) { // says nothing of the file
		a.log.Error("the database file could not be looked through for damage", "err", err)
		return
	}
	err = fmt.Errorf("damage was found while the database was in use: %w", err)
	s.damage.Store(&err)
	a.log.Error("the database is damaged, the engine ends; restore a backup", "err", err)
	if s.damaged != nil {
		s.damaged(err)
	}
}

// keySetting is where the database keeps what its master key is known by.
const keySetting = "master-key"

// sameKey refuses a master key that is not the one under which the database was
// begun: what is sealed there could not be opened, and of nodes that share it
// one would not know the codes and tokens of the other.
func sameKey(ctx context.Context, db store.Store, keys *keyring.Keyring, file string) error {
	want := keys.MAC("master key", keySetting)
	have, err := db.Setting(ctx, keySetting)
	if errors.Is(err, store.ErrNotFound) {
		err = db.InTx(ctx, store.Durable, func(tx store.Tx) error { return tx.SetSetting(keySetting, want[:]) })
		if err == nil { // another node may have begun at the same moment
			have, err = db.Setting(ctx, keySetting)
		}
	}
	if err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	if !hmac.Equal(have, want[:]) {
		return fmt.Errorf("master key: the database was begun under another one than that of %s", file)
	}
	return nil
}

// A reader is a database of which nothing but reading is wanted.
type reader interface {
	store.Reader
	Close() error
}

// openLog opens the database of a command that only reads, while an engine may
// have it open.
func openLog(ctx context.Context, d config.Data) (reader, error) {
	if err := d.Load(); err != nil {
		return nil, err
	}
	if d.Database != "" {
		return postgres.OpenReadOnly(ctx, postgres.Options{URL: d.Database})
	}
	db, err := sqlite.OpenReadOnly(ctx, databaseFile(d.Data))
	if err != nil {
		return nil, unopened(d, err)
	}
	return db, nil
}

func databaseFile(dir string) string { return filepath.Join(dir, "stile.db") }
