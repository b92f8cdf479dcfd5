package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store"
)

// prepare is the child that makes what an engine in use has, its keys, an app and
// people, and ends: an engine that is measured has done none of it.
func prepare(args []string) {
	f := flag.NewFlagSet("prepare", flag.ExitOnError)
	dir := f.String("dir", "", "")
	database := f.String("database", "", "")
	public := f.String("public", "", "")
	alg := f.String("alg", "", "")
	users := f.Int("users", 0, "")
	_ = f.Parse(args)
	ctx := context.Background()
	a, err := app.New(ctx, app.Config{
		Dir: *dir, Database: *database, PublicURL: *public, Policy: policy.PasswordOptional(), Limits: flow.DefaultLimits(),
		Servers: []oauth.AuthorizationServer{{ID: oauth.DefaultServer, AccessTokenAlg: *alg}, {ID: oauth.OrgServer}},
	})
	must(err)
	// The algorithm signs both tokens.
	client, _, err := oauth.NewClient(oauth.Client{Name: "Acme", RedirectURIs: []string{redirectURI}, IDTokenAlg: *alg}, false, time.Now())
	must(err)
	must(a.OAuth.AddClient(ctx, client))
	must(people(ctx, a, *users))
	a.Start()
	must(a.AwaitReady(ctx))
	must(a.Close(ctx))
	must(json.NewEncoder(os.Stdout).Encode(map[string]string{"client": client.ID}))
}

// people fills the directory with who has signed up: a proven address to sign in by,
// and what the audit log tells of that, so that what grows with people does.
func people(ctx context.Context, a *app.App, n int) error {
	at := time.Now().UTC().Truncate(time.Microsecond)
	one := func(tx store.Tx, i int) error {
		address := fmt.Sprintf("seed%d@example.com", i)
		u := directory.User{
			ID: directory.NewID("00u"), Version: 1, Status: directory.Active, Email: address, Canonical: address,
			FirstName: "Ada", LastName: "Lovelace", EmailVerifiedAt: at, CreatedAt: at, UpdatedAt: at,
		}
		en, err := a.Engine.Vouch(u)
		if err != nil {
			return err
		}
		return errors.Join(tx.InsertUser(u), tx.InsertEnrollment(en), tx.Append(audit.Row{ID: directory.NewIDAt("ae", at), At: at, Events: []audit.Event{
			{Type: "user.lifecycle.create", Outcome: audit.Success, Actor: u.ID, Target: u.ID, At: at},
			{Type: "user.mfa.factor.activate", Outcome: audit.Success, Actor: u.ID, Target: u.ID, Authenticator: en.Authenticator, At: at},
		}}))
	}
	for i := 0; i < n; {
		err := a.Store.InTx(ctx, store.Relaxed, func(tx store.Tx) error {
			for end := min(i+1000, n); i < end; i++ { // more, and the log of SQLite grows large
				if err := one(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

type engineConfig struct {
	dir, first, database, alg, smtp, public, listen, metrics string
}

// serveEngine is `stile serve` until ctx ends, with each of its limits: people have
// addresses of their own, which this machine is believed (visitor.post).
func serveEngine(ctx context.Context, c engineConfig) error {
	log, err := os.Create(filepath.Join(c.dir, logFile))
	if err != nil {
		return err
	}
	defer log.Close()
	return app.Serve(ctx, config.Serve{
		PublicURL: c.public, Listen: c.listen, MetricsListen: c.metrics, TrustedProxies: []string{"127.0.0.0/8"},
		Data: c.dir, Database: c.database, MasterKeyFile: filepath.Join(c.first, "master.key"),
		SMTP: c.smtp, MailFrom: "Acme <id@example.com>", AccessTokenAlg: c.alg,
		ShutdownDrain: "0s", // nobody is sent elsewhere
	}, os.Stdout, log)
}

const logFile = "log"

// newDatabase makes an empty database beside that of the URL, for one measurement.
func newDatabase(ctx context.Context, server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		return "", err
	}
	defer db.Close()
	u.Path = fmt.Sprintf("/bench_%d", time.Now().UnixNano())
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+u.Path[1:]); err != nil {
		return "", fmt.Errorf("a database of its own: %w", err)
	}
	return u.String(), nil
}
