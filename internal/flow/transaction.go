package flow

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// A Transaction is one run of sign-up or sign-in. It stores what happened;
// where it stands is computed from that by Route.
type Transaction struct {
	ID        string    `json:"-"`
	Version   int64     `json:"-"`
	ExpiresAt time.Time `json:"-"`

	CreatedAt time.Time `json:"created"`
	Request   Request   `json:"request"`

	ProfileOpen bool     `json:"profileOpen,omitempty"` // the person asked to sign up
	Subject     *Subject `json:"subject,omitempty"`
	Open        *Open    `json:"open,omitempty"` // the one question in hand
	// Aside is the question that another was chosen over, which sent something:
	// whoever comes back to it need not be sent a second code.
	Aside   *Open   `json:"aside,omitempty"`
	Proofs  []Proof `json:"proofs,omitempty"`
	Skipped bool    `json:"skipped,omitempty"` // optional enrollments were declined

	Recovering bool `json:"recovering,omitempty"` // the password is forgotten
	Reset      bool `json:"reset,omitempty"`      // and was dealt with
	Changed    bool `json:"changed,omitempty"`    // a new password was chosen here
	Warned     bool `json:"warned,omitempty"`     // and its end put off
	Unlocking  bool `json:"unlocking,omitempty"`  // a pause of the password is to end
	Unlocked   bool `json:"unlocked,omitempty"`   // and has

	// Enrolled are the ways to sign in that were set up here, beside the mailbox.
	Enrolled       []session.Addition `json:"enrolled,omitempty"`
	Added          bool               `json:"added,omitempty"` // Request.Enroll was added, or declined
	ProfileSkipped bool               `json:"profileSkipped,omitempty"`
	Remember       bool               `json:"remember,omitempty"` // the person asked to be kept signed in
	Ticket         string             `json:"ticket,omitempty"`   // that began it, to be spent
	Activating     bool               `json:"activating,omitempty"`
	Kept           bool               `json:"kept,omitempty"`    // Session was made here
	Session        string             `json:"session,omitempty"` // of the browser, once there is one
	// SignedOutAt is when this transaction signed the person out everywhere else.
	SignedOutAt time.Time `json:"signedOut,omitzero"`

	Guesses Guesses `json:"guesses,omitzero"`
	Ended   *Ended  `json:"ended,omitempty"`
	Code    Code    `json:"code,omitzero"`
	Last    *Last   `json:"last,omitempty"`
}

// A Request is what the client asked for at /v1/interact.
type Request struct {
	ClientID      string   `json:"client"`
	Server        string   `json:"server"` // authorization server id
	Scopes        []string `json:"scopes"`
	RedirectURI   string   `json:"redirectUri"`
	State         string   `json:"state"`
	Nonce         string   `json:"nonce,omitempty"`
	CodeChallenge string   `json:"codeChallenge"`
	ACR           string   `json:"acr,omitempty"`
	Device        string   `json:"device,omitempty"` // hash of the browser's device token
	LoginHint     string   `json:"loginHint,omitempty"`
	Enroll        string   `json:"enroll,omitempty"`    // key of an authenticator to add, for somebody who is signed in
	IP            string   `json:"ip,omitempty"`        // of the person, as far as it is known
	Forwarded     bool     `json:"forwarded,omitempty"` // by a client that proved its secret
	UserAgent     string   `json:"userAgent,omitempty"` // idem
	Locale        string   `json:"locale,omitempty"`
}

// A Kind says what is known of a subject. Only the engine sees it.
type Kind string

// The kinds of subjects.
const (
	KindNew     Kind = "new"     // signs up with an address that has no account
	KindKnown   Kind = "known"   // has an account
	KindUnknown Kind = "unknown" // signs in with an address that has none; never proven
)

// A Subject is the person whom the transaction is about.
type Subject struct {
	Kind Kind `json:"kind"`
	// ID is shown on the wire: until proof one that belongs to the transaction
	// alone; a new user keeps it (decision D25).
	ID        string `json:"id"`
	UserID    string `json:"userId,omitempty"` // the account, once there is one
	Login     string `json:"login"`            // as typed
	Canonical string `json:"canonical"`
	Locale    string `json:"locale,omitempty"`
	SignUp    bool   `json:"signUp,omitempty"` // came by the sign-up form
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
	// Attributes are those of the sign-up form beyond the names.
	Attributes map[string]string `json:"attributes,omitempty"`
	// Created says that this transaction made the user: only then are optional
	// authenticators offered (decision D26).
	Created bool `json:"created,omitempty"`
}

// Open is a question in hand: an enrollment or a challenge. Closing it kills
// what was issued for it.
type Open struct {
	ID            string                `json:"id"` // random; binds codes and links
	Authenticator string                `json:"authenticator"`
	Enrolling     bool                  `json:"enrolling,omitempty"`
	Purpose       authenticator.Purpose `json:"purpose"`
	Prompt        authenticator.Prompt  `json:"prompt"`
	Tries         int                   `json:"tries,omitempty"`   // wrong answers, over all codes of the challenge (decision D5)
	Sent          bool                  `json:"sent,omitempty"`    // something was mailed for it
	Message       string                `json:"message,omitempty"` // outbox id of the newest message
	To            []byte                `json:"to,omitempty"`      // MAC of the way and the address that its messages go
	// Wanted is what must be said before it can be asked; Details what was said.
	Wanted  *authenticator.Wanted `json:"wanted,omitempty"`
	Details authenticator.Input   `json:"details,omitempty"`
	Denied  bool                  `json:"denied,omitempty"` // on the device that it was put to
	Push    string                `json:"push,omitempty"`   // id of the ticket that devices find it by
}

// Guesses is what a transaction has used up of its limits. Going back with
// cancel gives nothing of it back (SEC S-04, S-10).
type Guesses struct {
	Wrong  int       `json:"wrong,omitempty"` // answers, over all challenges
	Sends  int       `json:"sends,omitempty"` // messages, to whatever address
	SentAt time.Time `json:"sentAt,omitzero"`
	SentTo []byte    `json:"sentTo,omitempty"` // MAC of the newest message's way and address
	// Numbers are MACs of the phone numbers that texts went to, as SentTo.
	Numbers [][]byte `json:"numbers,omitempty"`
	// Discovered counts answers to the question that is put to whoever is there: each is answered once (SEC S-51).
	Discovered int `json:"discovered,omitempty"`
}

// A Proof is one thing that the person has shown in this transaction.
type Proof struct {
	Authenticator string    `json:"authenticator"`
	AMR           string    `json:"amr"`
	At            time.Time `json:"at"`
	UserVerified  bool      `json:"userVerified,omitempty"` // the device knew its owner
	Hardware      bool      `json:"hardware,omitempty"`     // hardware is known to keep the key
}

// Ended is an end that is not success.
type Ended struct {
	Kind     problem.Kind      `json:"kind"`
	Messages []problem.Message `json:"messages"`
}

// Code is the state of the interaction code; the code itself is made again by
// MAC whenever it is shown (decision D19).
type Code struct {
	Serial   int       `json:"serial,omitempty"`
	IssuedAt time.Time `json:"issuedAt,omitzero"`
	Redeemed bool      `json:"redeemed,omitempty"`
}

// Last is the answer that last moved the transaction, so that its repetition
// can be told from a new one (SEC S-24). Nothing of the answer can be read from Hash.
type Last struct {
	Hash []byte    `json:"hash"`
	At   time.Time `json:"at"`
}

const sealPurpose = "transactions/data"

func (e *Engine) seal(tx *Transaction) (Row, error) {
	data, err := json.Marshal(tx)
	if err != nil {
		return Row{}, fmt.Errorf("flow: encode transaction: %w", err)
	}
	return Row{
		ID: tx.ID, ClientID: tx.Request.ClientID, Version: tx.Version, ExpiresAt: tx.ExpiresAt,
		Data: e.keys.Seal(sealPurpose, tx.ID, data),
	}, nil
}

func (e *Engine) unseal(r Row) (*Transaction, error) {
	data, err := e.keys.Open(sealPurpose, r.ID, r.Data)
	if err != nil {
		return nil, fmt.Errorf("flow: transaction %s: %w", r.ID, err)
	}
	tx := &Transaction{ID: r.ID, Version: r.Version, ExpiresAt: r.ExpiresAt}
	if err := json.Unmarshal(data, tx); err != nil {
		return nil, fmt.Errorf("flow: decode transaction %s: %w", r.ID, err)
	}
	return tx, nil
}

// since is when the oldest proof was given; what was proven before the person was
// signed out everywhere counts no more (SEC S-104), but in the transaction that did it.
func (tx *Transaction) since() time.Time {
	var oldest time.Time
	for i, p := range tx.Proofs {
		if i == 0 || p.At.Before(oldest) {
			oldest = p.At
		}
	}
	if tx.SignedOutAt.After(oldest) {
		return tx.SignedOutAt
	}
	return oldest
}

func (tx *Transaction) proven() bool { return len(tx.Proofs) > 0 }
