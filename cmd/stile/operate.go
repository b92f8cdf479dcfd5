package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/stile-id/stile/internal/admincli"
	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/config"
)

// operate runs an operator's command against the engine of its data folder.
func operate(ctx context.Context, command string) (err error) {
	data, do, ok := operation(command)
	if !ok {
		return fmt.Errorf("%q does nothing", command) // a command that kong knows and operation does not
	}
	engine, err := app.OpenOperators(ctx, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	return do(ctx, &admincli.CLI{API: engine, Running: engine.Running, In: os.Stdin, Out: os.Stdout, Notes: os.Stderr})
}

type operating = func(context.Context, *admincli.CLI) error

// with makes an operating of a command and its settings.
func with[T any](do func(*admincli.CLI, context.Context, T) error, settings T) operating {
	return func(ctx context.Context, c *admincli.CLI) error { return do(c, ctx, settings) }
}

func operation(command string) (config.Data, operating, bool) {
	u, c := &cli.Users, &cli.Clients
	switch command {
	case "apply":
		return cli.Apply.Data, with((*admincli.CLI).Apply, cli.Apply), true
	case "export":
		return cli.Export.Data, with((*admincli.CLI).Export, cli.Export), true
	case "users list":
		return u.List.Data, with((*admincli.CLI).UsersList, u.List), true
	case "users show <user>":
		return u.Show.Data, with((*admincli.CLI).UsersShow, u.Show), true
	case "users add <email>":
		return u.Add.Data, with((*admincli.CLI).UsersAdd, u.Add), true
	case "users invite <email>":
		return u.Invite.Data, with((*admincli.CLI).UsersInvite, u.Invite), true
	case "users disable <user>":
		return u.Disable.Data, with((*admincli.CLI).UsersDisable, u.Disable), true
	case "users enable <user>":
		return u.Enable.Data, with((*admincli.CLI).UsersEnable, u.Enable), true
	case "users delete <user>":
		return u.Delete.Data, with((*admincli.CLI).UsersDelete, u.Delete), true
	case "users drop-method <user> <method>":
		return u.DropMethod.Data, with((*admincli.CLI).UsersDropMethod, u.DropMethod), true
	case "users token <user>":
		return u.Token.Data, with((*admincli.CLI).UsersToken, u.Token), true
	case "users code <user>":
		return u.Code.Data, with((*admincli.CLI).UsersCode, u.Code), true
	case "users end-sessions <user>":
		return u.EndSessions.Data, with((*admincli.CLI).UsersEndSessions, u.EndSessions), true
	case "users export <user>":
		return u.Export.Data, with((*admincli.CLI).UsersExport, u.Export), true
	case "users reset <user>":
		return u.Reset.Data, with((*admincli.CLI).UsersReset, u.Reset), true
	case "clients list":
		return c.List.Data, with((*admincli.CLI).ClientsList, c.List), true
	case "clients add <name>":
		return c.Add.Data, with((*admincli.CLI).ClientsAdd, c.Add), true
	case "clients rotate-secret <id>":
		return c.RotateSecret.Data, with((*admincli.CLI).ClientsRotateSecret, c.RotateSecret), true
	case "clients disable <id>":
		return c.Disable.Data, with((*admincli.CLI).ClientsDisable, c.Disable), true
	case "clients enable <id>":
		return c.Enable.Data, with((*admincli.CLI).ClientsEnable, c.Enable), true
	case "clients delete <id>":
		return c.Delete.Data, with((*admincli.CLI).ClientsDelete, c.Delete), true
	}
	return config.Data{}, nil, false
}
