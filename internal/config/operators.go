package config

import "time"

// JSON says that a command prints what the management API answers.
type JSON struct {
	JSON bool `name:"json" help:"Print JSON, as the management API has it."`
}

// Apply holds the settings of `stile apply`.
type Apply struct {
	Data
	File     string `short:"f" required:"" placeholder:"FILE" help:"What the organisation is to be: docs/policies.md; - reads standard input."`
	DryRun   bool   `help:"Only show what would change."`
	ExitCode bool   `help:"With --dry-run: end with status 2 if something would change."`
	Prune    bool   `help:"Also remove groups that the file does not have, and switch off such apps."`
}

// Export holds the settings of `stile export`.
type Export struct {
	Data
	Output string `short:"o" placeholder:"FILE" help:"Write there. Default: standard output."`
}

// Ticket says how a token gets to the person whom it is for.
type Ticket struct {
	Mail   bool   `negatable:"" default:"true" help:"Mail it as a link to the app's page."`
	Client string `placeholder:"ID" help:"The app whose page the link leads to: its activationUri or recoveryUri. Default: the one app that has such a page."`
}

// A User is whom a command is about.
type User struct {
	Data
	JSON
	User string `arg:"" placeholder:"USER" help:"Id or email address."`
}

// Users holds the settings of `stile users`.
type Users struct {
	List        UsersList       `cmd:"" help:"List people."`
	Show        User            `cmd:"" help:"Show a person with groups and ways to sign in."`
	Add         UsersAdd        `cmd:"" help:"Add a person who can sign in at once, with an address that you vouch for."`
	Invite      UsersInvite     `cmd:"" help:"Invite a person, or invite one again: an activation token, good for 7 days and once."`
	Disable     User            `cmd:"" help:"Keep a person out: ends all sessions and tokens."`
	Enable      User            `cmd:"" help:"Let a disabled person back in."`
	Delete      UsersDelete     `cmd:"" help:"Delete a disabled person for good."`
	DropMethod  UsersDropMethod `cmd:"" name:"drop-method" help:"Take a way to sign in from a person, who is signed out everywhere and told by mail."`
	Token       UsersToken      `cmd:"" help:"Give a person a token that computes one-time codes, in the place of one they had, which signs them out everywhere; they are told by mail."`
	Code        UsersCode       `cmd:"" help:"Give a person a temporary access code and print it once; they are told by mail that there is one. In the place of one they had, it signs them out everywhere."`
	EndSessions User            `cmd:"" name:"end-sessions" help:"Sign a person out of every browser and every app."`
	Export      UsersExport     `cmd:"" help:"Write all that is held about a person as one JSON document, without secrets."`
	Reset       UsersReset      `cmd:"" help:"Give a person a recovery token to a new password, good for 1 hour and once."`
}

// UsersList holds the settings of `stile users list`.
type UsersList struct {
	Data
	JSON
	Search string `placeholder:"TEXT" help:"Only whose address or name begins so."`
	Status string `placeholder:"STATUS" enum:"active,invited,staged,disabled,deactivated," default:"" help:"Only of this status: active, invited, staged, disabled or deactivated."`
	Group  string `placeholder:"ID" help:"Only of this group."`
}

// A NewUser is what may be said of a person who is added or invited.
type NewUser struct {
	Data
	JSON
	Email     string            `arg:"" placeholder:"ADDRESS" help:"The email address."`
	FirstName string            `placeholder:"NAME" help:"First name."`
	LastName  string            `placeholder:"NAME" help:"Last name."`
	Locale    string            `placeholder:"TAG" help:"Language of mails, as de or pt-BR."`
	Groups    []string          `name:"group" placeholder:"ID" help:"A group to be in; repeatable."`
	Set       map[string]string `placeholder:"NAME=VALUE" help:"An attribute of a profile policy; repeatable."`
}

// UsersAdd holds the settings of `stile users add`.
type UsersAdd struct {
	NewUser
	EmailVerified bool `help:"Needed: you know that the address is theirs. Who reads its mail can sign in."`
}

// UsersInvite holds the settings of `stile users invite`.
type UsersInvite struct {
	NewUser
	Ticket
}

// UsersDelete holds the settings of `stile users delete`.
type UsersDelete struct {
	User
	DryRun bool `help:"Only show who would be deleted."`
}

// UsersToken holds the settings of `stile users token`.
type UsersToken struct {
	User
	SecretFile string `name:"secret-file" placeholder:"FILE" default:"-" help:"The token's secret as its maker gives it, in base32; - reads standard input."`
	Hex        bool   `help:"The secret is in hexadecimal."`
	Counter    int64  `placeholder:"N" help:"Where the token's count stands."`
	Clock      bool   `help:"The token goes by the clock, in steps of 30 seconds."`
}

// UsersCode holds the settings of `stile users code`.
type UsersCode struct {
	User
	For  time.Duration `placeholder:"DURATION" default:"1h" help:"How long it is good: 10m to 240h. Default: 1h."`
	Uses string        `placeholder:"once|many" enum:"once,many" default:"once" help:"Whether it is good once, which is the default, or as often as wanted until it ends."`
}

// UsersDropMethod holds the settings of `stile users drop-method`.
type UsersDropMethod struct {
	User
	Method string `arg:"" placeholder:"METHOD" help:"Key of the authenticator, as okta_password, or the id of an enrollment."`
}

// UsersExport holds the settings of `stile users export`.
type UsersExport struct {
	Data
	User string `arg:"" placeholder:"USER" help:"Id or email address."`
	Out  string `short:"o" placeholder:"FILE" help:"Write there, a new file that only you can read. Default: standard output."`
}

// UsersReset holds the settings of `stile users reset`.
type UsersReset struct {
	User
	Mail   bool   `help:"Also mail it as a link to the app's page."`
	Client string `placeholder:"ID" help:"The app whose recoveryUri the link leads to. Default: the one app that has one."`
}

// A Client is which app a command is about.
type Client struct {
	Data
	JSON
	ID string `arg:"" placeholder:"ID" help:"The client id."`
}

// Clients holds the settings of `stile clients`.
type Clients struct {
	List         ClientsList   `cmd:"" help:"List apps."`
	Add          ClientsAdd    `cmd:"" help:"Register an app, and print its secret once."`
	RotateSecret ClientsRotate `cmd:"" name:"rotate-secret" help:"Give an app a new secret, and print it once. The one before works until the next rotation."`
	Disable      Client        `cmd:"" help:"Switch an app off: nobody signs in there, and its refresh tokens end."`
	Enable       Client        `cmd:"" help:"Switch an app on again."`
	Delete       Client        `cmd:"" help:"Delete an app that is switched off."`
}

// ClientsList holds the settings of `stile clients list`.
type ClientsList struct {
	Data
	JSON
}

// ClientsAdd holds the settings of `stile clients add`.
type ClientsAdd struct {
	Data
	JSON
	Name          string   `arg:"" placeholder:"NAME" help:"What people know the app as."`
	ID            string   `name:"id" placeholder:"ID" help:"The client id. Default: made."`
	Public        bool     `help:"It runs where people have it in hand, as a single-page or mobile app does, and has no secret."`
	RedirectURIs  []string `name:"redirect-uri" required:"" placeholder:"URL" help:"Where it may be sent back to; repeatable."`
	LogoutURIs    []string `name:"post-logout-redirect-uri" placeholder:"URL" help:"Where it may be sent after sign-out; repeatable."`
	EmailCallback string   `name:"email-callback-uri" placeholder:"URL" help:"Where mailed links of a sign-in lead."`
	SignUpURI     string   `name:"sign-up-uri" placeholder:"URL" help:"Its sign-up page, for mails."`
	ActivationURI string   `name:"activation-uri" placeholder:"URL" help:"Its page that takes activationToken, for invitations."`
	RecoveryURI   string   `name:"recovery-uri" placeholder:"URL" help:"Its page that takes recoveryToken, for stile users reset."`
}

// ClientsRotate holds the settings of `stile clients rotate-secret`.
type ClientsRotate struct {
	Client
	AtOnce bool `help:"The secrets before end now, and so do the app's refresh tokens."`
}
