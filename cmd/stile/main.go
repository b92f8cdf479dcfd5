// Command stile lets people sign up for, and sign in to, an app without a password.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/stile-id/stile/internal/admincli"
	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/config"
)

var cli struct {
	Dev     config.Dev     `cmd:"" help:"Run the engine, a mail inbox and a demo app on this machine, for development only."`
	Serve   config.Serve   `cmd:"" help:"Run the engine for production; docs/operations.md has every setting."`
	Ready   config.Ready   `cmd:"" help:"Ask a running engine whether it is ready; the status is 1 if it is not."`
	Apply   config.Apply   `cmd:"" help:"Make policies, groups and apps what a file says, after showing what changes."`
	Export  config.Export  `cmd:"" help:"Write policies, groups and apps as a file for stile apply."`
	Users   config.Users   `cmd:"" help:"Look after people."`
	Clients config.Clients `cmd:"" help:"Look after apps."`
	Audit   config.Audit   `cmd:"" help:"Read and check the audit log of a data folder, also while the engine runs."`
	Migrate config.Migrate `cmd:"" help:"Bring the schema of a database up to date, or one version back."`
	Copy    config.Copy    `cmd:"" help:"Move a database from SQLite to PostgreSQL, or back."`
	Backup  config.Backup  `cmd:"" help:"Write all that a database holds into a file, also while engines run on it."`
	Restore config.Restore `cmd:"" help:"Make a database of a backup, where none is."`
	WebPush struct{}       `cmd:"" name:"web-push-key" help:"Make a key by which devices are woken, and print it: the value of web_push_key."`
	Verify  config.Verify  `cmd:"" help:"Look through a database for what must never be so, also while engines run on it."`
	Version struct{}       `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-asked
		signal.Stop(asked) // first, so that a second signal ends the process at once (REL R-16)
		stop()
	}()
	k := kong.Parse(&cli, kong.Name("stile"), kong.UsageOnError(),
		kong.Description("Sign-up and sign-in without a password."))
	err := run(ctx, k.Command())
	var exit *admincli.Exit
	if errors.As(err, &exit) {
		os.Exit(exit.Status)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stile:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command string) error {
	switch command {
	case "dev":
		return app.Dev(ctx, cli.Dev, os.Stdout, os.Stderr)
	case "serve":
		return app.Serve(ctx, cli.Serve, os.Stdout, os.Stderr)
	case "ready", "ready <url>":
		return app.AskReady(ctx, cli.Ready, os.Stdout)
	case "audit verify":
		return app.AuditVerify(ctx, cli.Audit.Verify, os.Stdout)
	case "audit tail":
		return app.AuditTail(ctx, cli.Audit.Tail, os.Stdout)
	case "migrate":
		return app.Migrate(ctx, cli.Migrate, os.Stdout)
	case "copy":
		return app.Copy(ctx, cli.Copy, os.Stdout)
	case "backup":
		return app.Backup(ctx, cli.Backup, os.Stdout)
	case "restore":
		return app.Restore(ctx, cli.Restore, os.Stdout)
	case "verify":
		return app.Verify(ctx, cli.Verify, os.Stdout)
	case "web-push-key":
		return app.NewWebPushKey(os.Stdout)
	case "version":
		fmt.Println(app.Version())
		return nil
	}
	return operate(ctx, command)
}
