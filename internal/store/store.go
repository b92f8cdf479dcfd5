// Package store is the storage port: what the engine keeps, and the promises that
// every adapter makes.
//
// Verbs say intent. Single use is a verb, never a habit: what must happen once
// is one conditional statement whose loser gets ErrStale or ErrConflict. Time is
// a parameter; no adapter asks the database for it.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// What the verbs return, beside faults. They are refusals of the taxonomy, so
// that packages which this one imports can tell them by problem.KindOf.
var (
	ErrNotFound error = problem.New(problem.NotFound, "", "no such row")
	ErrConflict error = problem.New(problem.Conflict, "", "unique value is taken") // an address, an id
	ErrStale    error = problem.New(problem.Stale, "", "changed since it was read")
	ErrBusy     error = problem.New(problem.Unavailable, "", "too many writers waiting") // nothing was written; try again later
	ErrUnknown  error = problem.New(problem.Unavailable, "", "storage did not say whether it was written")
	ErrClosed         = errors.New("store: closed")
)

// Durability says what a commit survives (decision D13).
type Durability int

const (
	// Lazy is Relaxed and may wait a moment for another commit to share, so
	// that writing down what has happened already costs no commit of its own.
	Lazy Durability = iota
	// Relaxed survives the end of the process, and may be lost with the machine.
	Relaxed
	// Durable survives the loss of power once InTx has returned.
	Durable
)

// A Store is safe for concurrent use. Reads see every InTx that has returned.
type Store interface {
	Reader

	// InTx runs fn in one database transaction and commits it. An error of fn
	// rolls everything back and is returned as it is. fn may be run again after
	// a lost race, and may share its commit with other callers' transactions, so
	// it must be quick, have no other effect, and use only the Tx. What a verb
	// refused with ErrStale, an Insert with ErrConflict, or a verb that needs no
	// user with ErrNotFound, changed nothing and fn may go on; after any other error
	// nothing is committed, even if fn returns nil. ctx ends the wait for a turn,
	// not what has begun. If the answer to the commit is lost the error is
	// ErrUnknown: all was written or nothing, and fn was not run again.
	InTx(ctx context.Context, d Durability, fn func(Tx) error) error

	// ClaimOutbox leases up to limit due messages of a kind: NotBefore passed, ExpiresAt
	// not, status queued or delayed, no live lease. Fence is already counted up.
	ClaimOutbox(ctx context.Context, kind string, now, leaseUntil time.Time, limit int) ([]outbox.Message, error)

	// Purge removes up to limit rows of each transient kind that ended before
	// now: transactions, messages, revocations, tickets, devices, counters at
	// ExpiresAt; refresh families and sessions at IdleUntil, which is not after
	// their ExpiresAt. A zero time is no end, and a leased message stays.
	// Transactions may stay a quarter of an hour longer, where many of them go at
	// once, beyond the limit. It returns how many rows went, of those as an estimate.
	Purge(ctx context.Context, now time.Time, limit int) (int, error)

	// Stats counts what the store has done since it was opened.
	Stats() Stats
	// Pool tells how many wait for the store, and whom it has refused.
	Pool() Pool

	Close() error
}

// A Reader reads committed state. Missing rows are ErrNotFound; lists may be empty.
type Reader interface {
	Transaction(ctx context.Context, id string) (flow.Row, error)
	Account(ctx context.Context, userID string) (directory.Account, error)
	AccountByAddress(ctx context.Context, canonical string) (directory.Account, error)
	OutboxMessage(ctx context.Context, id string) (outbox.Message, error)
	// OutboxWaiting counts the messages that are still to be delivered at now, and
	// returns CreatedAt of the oldest, zero if there is none.
	OutboxWaiting(ctx context.Context, now time.Time) (n int64, oldest time.Time, err error)

	Clients(ctx context.Context) ([]oauth.Client, error)
	Keys(ctx context.Context) ([]oauth.Key, error)
	RefreshFamily(ctx context.Context, id string) (oauth.RefreshFamily, error)
	// RevocationsSince returns those made at or after t, oldest first.
	RevocationsSince(ctx context.Context, t time.Time) ([]oauth.Revocation, error)

	// AuditRows returns up to limit rows after the row with the given id, in the
	// order they were appended; "" starts at the first, an unknown id is ErrNotFound.
	AuditRows(ctx context.Context, after string, limit int) ([]audit.Row, error)
	// UnsealedAudit returns up to limit rows without a position, in the order in
	// which they were committed, as far as the database can tell.
	UnsealedAudit(ctx context.Context, limit int) ([]audit.Record, error)
	// AuditUnsealed counts the rows without a position, as far as atMost.
	AuditUnsealed(ctx context.Context, atMost int) (int64, error)
	// SealedAudit returns up to limit rows from a position on, in order.
	SealedAudit(ctx context.Context, from int64, limit int) ([]audit.Record, error)
	// Seals returns up to limit seals from a number on, in order; LastSeal the newest.
	Seals(ctx context.Context, from int64, limit int) ([]audit.Seal, error)
	LastSeal(ctx context.Context) (audit.Seal, error)
	// Setting returns a value kept by SetSetting.
	Setting(ctx context.Context, name string) ([]byte, error)

	// Users returns users by a query, in the order of their ids. Ids are ordered
	// as bytes, and Search compares by directory.Fold: with Canonical, which is
	// folded already, FirstName and LastName.
	Users(ctx context.Context, q directory.Query) ([]directory.User, error)
	// DueDeletions returns up to limit ids of users whose DeleteAt is not after
	// now, those that are due the longest first.
	DueDeletions(ctx context.Context, now time.Time, limit int) ([]string, error)
	Ticket(ctx context.Context, id string) (directory.Ticket, error)
	// Tickets returns a user's tickets of a kind, spent ones too, newest first, as
	// all lists that say so: by CreatedAt, and by id those of one moment.
	Tickets(ctx context.Context, userID string, kind directory.TicketKind) ([]directory.Ticket, error)

	Session(ctx context.Context, id string) (session.Session, error)
	// Sessions returns a user's sessions that have not been ended, newest first.
	Sessions(ctx context.Context, userID string) ([]session.Session, error)
	Device(ctx context.Context, userID, id string) (session.Device, error)
	// Devices returns a user's devices, newest first.
	Devices(ctx context.Context, userID string) ([]session.Device, error)
	// RefreshFamilies returns a user's families that have not been revoked, newest first.
	RefreshFamilies(ctx context.Context, userID string) ([]oauth.RefreshFamily, error)

	// Belongings returns all that is kept of a user's sessions, refresh families and
	// tickets, those too that were ended, revoked or spent.
	Belongings(ctx context.Context, userID string) (Belongings, error)
	// Messages returns up to limit messages of the outbox whose ids come after one, in
	// the order of their ids.
	Messages(ctx context.Context, after string, limit int) ([]outbox.Message, error)

	// Counter returns what is counted for a key, ended or not.
	Counter(ctx context.Context, key string) (limit.Counter, error)
}

// Belongings are rows of one user, each list newest first.
type Belongings struct {
	Sessions []session.Session
	Families []oauth.RefreshFamily
	Tickets  []directory.Ticket
}

// A Tx writes within one database transaction. Inserting an id that exists is ErrConflict.
type Tx interface {
	InsertTransaction(flow.Row) error
	// SaveTransaction writes row over the stored one of the same ID if that has
	// Version row.Version-1, else ErrStale.
	SaveTransaction(row flow.Row) error

	// InsertUser is ErrConflict if Canonical or ID is taken, or if a user of that ID was deleted (SEC S-39).
	InsertUser(directory.User) error
	// UpdateUser writes over the version before u.Version, else ErrStale; ErrConflict if Canonical is taken.
	UpdateUser(u directory.User) error
	InsertEnrollment(directory.Enrollment) error // ErrNotFound without its user
	UpdateEnrollment(directory.Enrollment) error // as UpdateUser
	DeleteEnrollment(id string) error            // ErrNotFound
	// DeleteUser removes a user with enrollments, tickets, sessions, devices,
	// memberships and refresh families, and keeps the id from being used again; ErrNotFound.
	DeleteUser(id string, at time.Time) error

	InsertTicket(directory.Ticket) error // ErrNotFound without its user
	// UpdateTicket writes Data and ExpiresAt over the version before of a ticket of
	// that user and kind, else ErrStale; ErrStale too if it was spent.
	UpdateTicket(directory.Ticket) error
	// SpendTicket leaves Version as it is, as SpendTickets does. The end of the
	// ticket is for the caller to look at.
	SpendTicket(id string, at time.Time) error // ErrStale if it was spent, or is not there
	// SpendTickets spends all of a user's tickets of a kind that are not; none is no error.
	SpendTickets(userID string, kind directory.TicketKind, at time.Time) error

	InsertSession(session.Session) error // ErrNotFound without its user
	// UpdateSession writes all but EndedAt over the version before of a session of
	// that user, else ErrStale; ErrStale too if it was ended.
	UpdateSession(session.Session) error
	// EndSession leaves Version as it is; ended already, or not there, is no error.
	EndSession(id string, at time.Time) error
	EndSessions(userID string, at time.Time) error
	// EndOtherSessions ends all sessions of a user but the one with the id except; "" excepts none.
	EndOtherSessions(userID, except string, at time.Time) error
	// SaveDevice inserts a device or writes SeenAt, IP, UserAgent and ExpiresAt over it;
	// ErrNotFound without its user.
	SaveDevice(session.Device) error
	DeleteDevices(userID string) error

	// Counter reads what is counted for a key and holds it until the commit, so
	// that two transactions count one after the other, also the first two of a key;
	// the zero Counter with the key if there is none. An adapter whose transactions
	// run side by side must lock the key, row or no row. Who counts several keys
	// takes them in one order everywhere.
	Counter(key string) (limit.Counter, error)
	PutCounter(limit.Counter) error
	DeleteCounter(key string) error // none is no error

	Enqueue(outbox.Message) error
	// Settle writes status, attempts, error, not-before, payload and lease of m if
	// the stored Fence is m.Fence, else ErrStale.
	Settle(m outbox.Message) error

	Append(audit.Row) error
	// Seal inserts s, and gives the rows with these ids the positions from s.First
	// on. It is ErrConflict if the seal's number is taken. If a position is taken,
	// or a row is gone or has one already, nothing is committed.
	Seal(s audit.Seal, ids []string) error

	InsertClient(oauth.Client) error
	UpdateClient(oauth.Client) error // as UpdateUser
	// DeleteClient removes a client if it has that version, else ErrStale. Its id is free again.
	DeleteClient(id string, version int64) error
	InsertKey(oauth.Key) error
	UpdateKey(oauth.Key) error // ActiveFrom and ExpiresAt only; ErrNotFound

	InsertRefreshFamily(oauth.RefreshFamily) error
	// RotateRefreshFamily moves a live family from generation f.Generation-1 to
	// f.Generation and writes RotatedAt and IdleUntil, else ErrStale.
	RotateRefreshFamily(f oauth.RefreshFamily) error
	// RevokeGrant ends all families of a grant that are still live; none is no error.
	RevokeGrant(grant string, at time.Time) error
	// RevokeFamilies ends all live families of a user but those of the grant except; "" excepts none.
	RevokeFamilies(userID, except string, at time.Time) error
	// RevokeClient ends all live families of a client; it looks at every family.
	RevokeClient(clientID string, at time.Time) error
	Revoke(oauth.Revocation) error // of two for one id the later holds

	SetSetting(name string, value []byte) error
	// ReplaceSetting writes value if the setting is still old, byte by byte, else
	// ErrStale; a nil old is a setting that is not there.
	ReplaceSetting(name string, old, value []byte) error
}

// Stats counts work done, for budgets (decision D37) and metrics.
type Stats struct {
	Commits        int64 // database commits
	DurableCommits int64 // of which forced to disk
	Transactions   int64 // InTx that succeeded; group commit makes Commits the smaller
	RowWrites      int64 // rows inserted, updated or deleted
	Reads          int64 // queries outside InTx
	TxReads        int64 // queries inside InTx
}

// Pool is what callers wait for: a connection, or on SQLite their turn to write.
type Pool struct {
	Open, InUse, Max int // connections, of a server's
	Waiting          int
	Busy, Gone       int64 // callers who were refused: too many, or the server does not answer
	Away             bool  // it does not answer now
}
