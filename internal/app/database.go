package app

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"path/filepath"

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
		return postgres.Open(ctx, postgres.Options{URL: c.Database, Connections: c.DatabaseConnections, Logger: c.Logger})
	}
	return sqlite.Open(ctx, sqlite.Options{Path: databaseFile(c.Dir), QuickCheck: c.QuickCheck, Logger: c.Logger})
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
