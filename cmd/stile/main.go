// Command stile lets people sign up for, and sign in to, an app without a password.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/config"
)

var cli struct {
	Dev     config.Dev   `cmd:"" help:"Run the engine, a mail inbox and a demo app on this machine, for development only."`
	Audit   config.Audit `cmd:"" help:"Read and check the audit log of a data folder, also while the engine runs."`
	Version struct{}     `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	k := kong.Parse(&cli, kong.Name("stile"), kong.UsageOnError(),
		kong.Description("Sign-up and sign-in without a password."))
	var err error
	switch k.Command() {
	case "dev":
		err = app.Dev(ctx, cli.Dev, os.Stdout, os.Stderr)
	case "audit verify":
		err = app.AuditVerify(ctx, cli.Audit.Verify, os.Stdout)
	case "audit tail":
		err = app.AuditTail(ctx, cli.Audit.Tail, os.Stdout)
	case "version":
		fmt.Println(app.Version())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stile:", err)
		os.Exit(1)
	}
}
