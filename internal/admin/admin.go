// Package admin is what operators do: to people, groups, apps, and the
// organisation's document as a whole.
//
// Every change is one database transaction with its audit events in it. Nobody
// here sees or picks a password, a code or the secret of another (SEC S-62, S-133).
package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// OrgSetting is where the database keeps the policies, as one document.
const OrgSetting = "org"

// A Store is what operators need of the storage port.
type Store interface {
	Account(ctx context.Context, userID string) (directory.Account, error)
	AccountByAddress(ctx context.Context, canonical string) (directory.Account, error)
	Users(ctx context.Context, q directory.Query) ([]directory.User, error)
	Ticket(ctx context.Context, id string) (directory.Ticket, error)
	Clients(ctx context.Context) ([]oauth.Client, error)
	Setting(ctx context.Context, name string) ([]byte, error)
	// InTx runs fn in one database transaction that survives the loss of power.
	InTx(ctx context.Context, fn func(Tx) error) error
}

// A Tx is what one change writes.
type Tx interface {
	InsertUser(directory.User) error
	UpdateUser(directory.User) error
	DeleteUser(id string, at time.Time) error
	InsertEnrollment(directory.Enrollment) error
	DeleteEnrollment(id string) error
	InsertTicket(directory.Ticket) error
	SpendTickets(userID string, kind directory.TicketKind, at time.Time) error
	EndSessions(userID string, at time.Time) error
	// SignOut ends sessions and refresh families of a user, and voids every token
	// that was issued until then (SEC S-104).
	SignOut(userID string, at time.Time) error
	InsertClient(oauth.Client) error
	UpdateClient(oauth.Client) error
	DeleteClient(id string, version int64) error
	RevokeClient(clientID string, at time.Time) error
	ReplaceSetting(name string, old, value []byte) error
	DeleteCounter(key string) error
	Enqueue(outbox.Message) error
	Append(audit.Row) error
}

// An Engine is what operators need of the flow.
type Engine interface {
	Knows(authenticator string) bool
	NameOf(authenticator string) string
	WhichOf(directory.Enrollment) string
	Allows(groups []string, authenticator string) bool
	Over(directory.Enrollment) bool
	Vouch(directory.User) (directory.Enrollment, error)
	Assign(userID, authenticator string, in authenticator.Input) (directory.Enrollment, authenticator.Issued, error)
	MintTicket(directory.Ticket) string
	TicketID(kind directory.TicketKind, token string) (string, bool)
	PasswordPaused(ctx context.Context, u directory.User) (bool, error)
	PasswordCounters(userID string) []string
}

// A Letter is a mail to a person about what an operator did.
type Letter struct {
	Kind      LetterKind
	To        directory.User
	Client    oauth.Client // whose person it is; zero: the organisation's
	Method    string       // of MethodAdded and MethodRemoved: its name
	Which     string       // tells it from others of its kind, where one goes
	Link      string
	At        time.Time
	ExpiresAt time.Time // of the link
}

// A LetterKind says what a letter is about.
type LetterKind string

// The kinds.
const (
	Invitation    LetterKind = "invitation"
	AdminRecovery LetterKind = "admin-recovery"
	MethodAdded   LetterKind = "method-added"
	MethodRemoved LetterKind = "method-removed"
)

// A Post makes rows of letters, and has them delivered once they are committed.
type Post interface {
	Prepare(Letter) (outbox.Message, error)
	Handoff(...outbox.Message)
}

// Config is what a Service is made of; every field but Changed is required.
type Config struct {
	Store     Store
	Engine    Engine
	Keys      *keyring.Keyring
	Post      Post
	Initial   policy.Org // until a document is stored
	PublicURL string
	// Changed puts what was written in force in this process at once.
	Changed func(context.Context) error
	Now     func() time.Time
}

// A Service does what operators ask for. It is safe for concurrent use.
type Service struct {
	Config
}

// New returns a Service.
func New(c Config) *Service {
	if c.Changed == nil {
		c.Changed = func(context.Context) error { return nil }
	}
	return &Service{c}
}

// Invalid refuses values; each cause begins with the path of what it means.
type Invalid struct{ Causes []string }

func (e *Invalid) Error() string { return strings.Join(e.Causes, "\n") }

// Unwrap makes it a refusal of kind Invalid.
func (e *Invalid) Unwrap() error { return problem.New(problem.Invalid, "", "invalid") }

func invalid(path, format string, args ...any) error {
	return &Invalid{[]string{path + ": " + fmt.Sprintf(format, args...)}}
}

// causes makes an Invalid of errors that were joined, and of those joined in them.
func causes(err error) error {
	if err == nil {
		return nil
	}
	var list []string
	var walk func(error)
	walk = func(err error) {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				walk(e)
			}
			return
		}
		list = append(list, err.Error())
	}
	walk(err)
	return &Invalid{list}
}

// The refusals that the wire has codes of its own for (MGMT §2.3).
var (
	errOpen   = problem.New(problem.Forbidden, "E0000032", "Unlock is not allowed for this user.")
	errState  = problem.New(problem.Forbidden, "E0000038", "This operation is not allowed in the user's current status.")
	errActive = problem.New(problem.Forbidden, "E0000016", "Activation failed because the user is already active")
)

func notFound(id, kind string) error {
	return problem.New(problem.NotFound, "E0000007", "Not found: Resource not found: %s (%s)", id, kind)
}

// change runs fn in one transaction with its events, and hands the mail over.
func (s *Service) change(ctx context.Context, letters []outbox.Message, events []audit.Event, fn func(Tx) error) error {
	now, source := s.Now(), audit.SourceOf(ctx)
	row := audit.Row{ID: directory.NewIDAt("ae", now), At: now, Events: events}
	for i := range events {
		e := &events[i]
		e.At, e.Outcome, e.Actor, e.RequestID = now, audit.Success, audit.System, source.RequestID
	}
	err := s.Store.InTx(ctx, func(tx Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		for _, m := range letters {
			if err := tx.Enqueue(m); err != nil {
				return err
			}
		}
		return tx.Append(row)
	})
	if err != nil {
		return err
	}
	if len(letters) > 0 {
		s.Post.Handoff(letters...)
	}
	return nil
}

// again takes a change anew that lost a race.
func again(do func() error) error {
	var err error
	for range 8 {
		if err = do(); problem.KindOf(err) != problem.Stale {
			return err
		}
	}
	return err
}

func is(err error, kind problem.Kind) bool { return problem.KindOf(err) == kind }

var errNoChange = errors.New("admin: nothing to change")
