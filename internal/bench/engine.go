package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store"
)

type engineConfig struct {
	dir, first, database, alg, smtp, url string
	users                                int
}

// newEngine is what `stile serve` runs, but for what one source may do, since all
// of a benchmark's people come from one. The algorithm signs both tokens.
func newEngine(c engineConfig) (h http.Handler, client string, stop func()) {
	ctx := context.Background()
	app.CollectSeldom()
	limits := flow.DefaultLimits()
	limits.Rules.SourceMails, limits.Rules.SourceAddresses, limits.Rules.SignUps, limits.Rules.OpenFlows = nil, limit.Distinct{}, nil, nil
	limits.Rules.AddressMails, limits.Rules.UserRequests = nil, nil // few sign in often
	key := ""
	if c.first != "" {
		key = filepath.Join(c.first, "master.key")
	}
	a, err := app.New(ctx, app.Config{
		Dir: c.dir, MasterKeyFile: key, Database: c.database, PublicURL: c.url, Policy: policy.PasswordOptional(), Limits: limits,
		Servers: []oauth.AuthorizationServer{{ID: oauth.DefaultServer, AccessTokenAlg: c.alg}}, SMTP: []string{c.smtp},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	must(err)
	if c.first == "" {
		app, _, err := oauth.NewClient(oauth.Client{Name: "Acme", RedirectURIs: []string{redirectURI}, IDTokenAlg: c.alg}, false, time.Now())
		must(err)
		must(a.OAuth.AddClient(ctx, app))
		client = app.ID
	}
	must(people(ctx, a.Store, c.users))
	a.Start()
	must(a.AwaitReady(ctx))
	return a.Handler(), client, func() { must(a.Close(ctx)) }
}

// people fills the directory, without ways to sign in but the address.
func people(ctx context.Context, s store.Store, n int) error {
	at := time.Now().UTC()
	for i := 0; i < n; {
		err := s.InTx(ctx, store.Relaxed, func(tx store.Tx) error {
			for range min(10_000, n-i) {
				address := fmt.Sprintf("seed%d@example.com", i)
				err := tx.InsertUser(directory.User{
					ID: directory.NewID("00u"), Version: 1, Status: directory.Active, Email: address, Canonical: address,
					FirstName: "Ada", LastName: "Lovelace", EmailVerifiedAt: at, CreatedAt: at, UpdatedAt: at,
				})
				if err != nil {
					return err
				}
				i++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
