// Package account is what people change about their own account: their profile,
// their address, the ways in which they sign in, where they are signed in, and
// whether there is an account at all.
//
// Every change is one database transaction over the version of the user that was
// read: of two changes at once the second is made anew, from where the first has
// left things. Whoever is told that something was changed finds it so.
package account

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/session"
)

// Store is what the package needs of the storage port. Its errors are refusals
// of kind NotFound, Stale and Conflict.
type Store interface {
	Account(ctx context.Context, userID string) (directory.Account, error)
	AccountByAddress(ctx context.Context, canonical string) (directory.Account, error)
	Ticket(ctx context.Context, id string) (directory.Ticket, error)
	Tickets(ctx context.Context, userID string, kind directory.TicketKind) ([]directory.Ticket, error)
	Session(ctx context.Context, id string) (session.Session, error)
	Sessions(ctx context.Context, userID string) ([]session.Session, error)
	Devices(ctx context.Context, userID string) ([]session.Device, error)
	Grants(ctx context.Context, userID string) ([]Grant, error)
	// Proofs are what was shown for a grant that began without a session; none if that
	// is not known, and where it was the mailbox alone.
	Proofs(ctx context.Context, grant string) ([]session.Proof, error)
	// Additions are what a sign-in has set up lately; none where that is not known.
	Additions(ctx context.Context, grant string) ([]session.Addition, error)
	// Belongings has those too that are over.
	Belongings(ctx context.Context, userID string) (Belongings, error)
	// Mails finds those to one of several addresses that are not delivered yet.
	Mails(ctx context.Context, canonical []string) ([]Mail, error)
	DueDeletions(ctx context.Context, now time.Time, limit int) ([]string, error)
	UnsealedAudit(ctx context.Context, limit int) ([]audit.Record, error)
	SealedAudit(ctx context.Context, from int64, limit int) ([]audit.Record, error)
	LastSeal(ctx context.Context) (audit.Seal, error)
	// InTx commits durably.
	InTx(ctx context.Context, fn func(Tx) error) error
}

// Tx is what the package writes in one database transaction.
type Tx interface {
	UpdateUser(directory.User) error
	DeleteUser(id string, at time.Time) error
	InsertEnrollment(directory.Enrollment) error
	UpdateEnrollment(directory.Enrollment) error
	DeleteEnrollment(id string) error
	InsertTicket(directory.Ticket) error
	UpdateTicket(directory.Ticket) error
	SpendTicket(id string, at time.Time) error
	SpendTickets(userID string, kind directory.TicketKind, at time.Time) error
	EndSession(id string, at time.Time) error
	DeleteDevices(userID string) error
	RevokeGrant(grant string, at time.Time) error
	// Void makes what was issued in a session, or for a grant, of no use any more.
	Void(id string, at time.Time) error
	// SignOut ends every session and grant of a user and voids all that was issued
	// to them, pending changes of address and recovery links included.
	SignOut(userID string, at time.Time) error
	// SignOutBut is SignOut of everything but a session and a grant; a pending change
	// of address stays.
	SignOutBut(userID string, at time.Time, session, grant string) error
	Counter(key string) (limit.Counter, error)
	PutCounter(limit.Counter) error
	// KeepAdditions puts what a sign-in has set up in the place of what was kept of it.
	KeepAdditions(grant string, all []session.Addition) error
	DeleteCounter(key string) error
	Enqueue(outbox.Message) error
	Append(audit.Row) error
}

// A Grant is a sign-in by which an app can renew its tokens.
type Grant struct {
	ID        string // of the refresh family
	Grant     string
	App       string // client id
	Session   string // of the browser at the engine; empty without
	IP        string
	UserAgent string
	Scopes    []string
	CreatedAt time.Time
	SeenAt    time.Time
	EndsAt    time.Time
	RevokedAt time.Time // zero: not
}

// An App is what must be known of an OAuth client.
type App struct {
	ID, Name     string
	Confidential bool // its server stands between the person and us
	LogoURI      string
	Profile      string // name of its profile policy; empty: the default
}

// Apps finds apps. One that is gone is an App with its id alone.
type Apps interface {
	App(ctx context.Context, id string) (App, error)
}

// Secrets makes and opens what only this installation can.
type Secrets interface {
	MintTicket(directory.Ticket) string
	TicketID(kind directory.TicketKind, token string) (string, bool)
	SealCredential(enrollmentID string, c authenticator.Credential) []byte
	OpenCredential(directory.Enrollment) (authenticator.Credential, error)
}

// A Letter is a mail, or a text to a phone, with its circumstances.
type Letter struct {
	Mail   authenticator.Mail
	Text   *authenticator.Text // nil: it is a mail
	User   directory.User      // whom a text is for
	App    App
	Source audit.Source
	Locale string
	At     time.Time
	Void   bool // goes as far as one that is sent, and reaches nobody (SEC S-42)
}

// Post makes rows of letters, and delivers them once they are committed.
type Post interface {
	Prepare(Letter) (outbox.Message, error)
	Handoff(...outbox.Message)
}

// Config is what Accounts are made of; every field but Logger is required.
type Config struct {
	Store          Store
	Keys           *keyring.Keyring
	Secrets        Secrets
	Apps           Apps
	Post           Post
	Policies       func() *policy.Org
	Authenticators []authenticator.Authenticator
	// Agent names the browser and the system of a User-Agent header.
	Agent     func(userAgent string) (browser, system string)
	Rules     limit.Rules
	PublicURL string // of mailed links, without a trailing slash
	Now       func() time.Time
	Logger    *slog.Logger
}

// Accounts serves all people. It is safe for concurrent use and keeps nothing in
// memory but the limits of sources.
type Accounts struct {
	Config
	authenticators map[string]authenticator.Authenticator
	local          *limit.Local
}

// The keys that the package knows the meaning of.
const (
	emailKey    = "okta_email"
	passwordKey = "okta_password"
	phoneKey    = "phone_number"
)

// New returns Accounts.
func New(c Config) (*Accounts, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Accounts{Config: c, authenticators: map[string]authenticator.Authenticator{}, local: limit.NewLocal()}
	for _, one := range c.Authenticators {
		a.authenticators[one.Info().Key] = one
	}
	if a.authenticators[emailKey] == nil {
		return nil, errors.New("account: an address cannot be proven without " + emailKey)
	}
	return a, nil
}

// An Actor is the person who asks for something, as their access token says or as
// a link does that was mailed to them.
type Actor struct {
	UserID   string
	App      string // client id
	Grant    string // of the sign-in; empty: not known
	Session  string // of the browser at the engine; empty without
	AuthTime time.Time
	AMR      []string
	Linked   bool // by a mailed link, which their own browser has opened
}
