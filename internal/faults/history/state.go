package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// A State is how things stand once the faults are over.
type State struct {
	Users    []User
	Methods  map[string][]string // of each user: the authenticators
	Deleted  map[string]bool     // ids that were users
	Events   []Event
	Families map[string]Family  // by id
	Outbox   map[string]Message // by id
	Mails    []Mail
	Read     time.Time       // when the tables were read
	Refused  map[string]bool // addresses that the mail server has refused for good
	Verified error           // what the audit log's own check says

	SignIns []SignIn
	Tokens  []Probe
}

// A User is a row of users.
type User struct {
	ID, Email, Canonical, Status string
	Verified                     bool
}

// An Event is one of the audit log. Row is the same for all of one change.
type Event struct {
	Row         string `json:"-"`
	Type        string `json:"type"`
	Outcome     string `json:"outcome"`
	Target      string `json:"target"`
	Transaction string `json:"transaction"`
}

// A Family is a row of refresh_families.
type Family struct {
	Grant, User string
	Generation  int64
	Revoked     bool
}

// A Message is a row of outbox.
type Message struct {
	Status, LastError string
	Ends              time.Time // when what it carries is of no use any more
}

// A SignIn is what the public API says of an address: who signs in with it.
type SignIn struct{ Address, User, Failed string }

// A Probe is what the public API says of a token that was to end.
type Probe struct {
	Token, Node string
	Accepted    bool
}

// ReadDatabase reads the tables themselves, past the code that wrote them. The
// driver is "pgx" or "sqlite".
func ReadDatabase(ctx context.Context, driver, source string) (*State, error) {
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	s := &State{Read: time.Now(), Methods: map[string][]string{}, Deleted: map[string]bool{}, Families: map[string]Family{}, Outbox: map[string]Message{}}
	for _, q := range []struct {
		query string
		row   func(*sql.Rows) error
	}{
		{"SELECT id, email, canonical, status, email_verified_at <> 0 FROM users", func(r *sql.Rows) error {
			var u User
			err := r.Scan(&u.ID, &u.Email, &u.Canonical, &u.Status, &u.Verified)
			s.Users = append(s.Users, u)
			return err
		}},
		{"SELECT user_id, authenticator FROM enrollments", func(r *sql.Rows) error {
			var user, method string
			err := r.Scan(&user, &method)
			s.Methods[user] = append(s.Methods[user], method)
			return err
		}},
		{"SELECT id FROM deleted_users", func(r *sql.Rows) error {
			var id string
			err := r.Scan(&id)
			s.Deleted[id] = true
			return err
		}},
		{"SELECT id, events FROM audit ORDER BY seq", func(r *sql.Rows) error {
			var id, text string
			if err := r.Scan(&id, &text); err != nil {
				return err
			}
			var events []Event
			if err := json.Unmarshal([]byte(text), &events); err != nil {
				return err
			}
			for _, e := range events {
				e.Row = id
				s.Events = append(s.Events, e)
			}
			return nil
		}},
		{"SELECT id, grant_id, user_id, generation, revoked_at <> 0 FROM refresh_families", func(r *sql.Rows) error {
			var id string
			var f Family
			err := r.Scan(&id, &f.Grant, &f.User, &f.Generation, &f.Revoked)
			s.Families[id] = f
			return err
		}},
		{"SELECT id, status, last_error, expires_at FROM outbox", func(r *sql.Rows) error {
			var id string
			var m Message
			var ends int64
			err := r.Scan(&id, &m.Status, &m.LastError, &ends)
			m.Ends = time.UnixMicro(ends)
			s.Outbox[id] = m
			return err
		}},
	} {
		if err := each(ctx, db, q.query, q.row); err != nil {
			return nil, fmt.Errorf("%s: %w", q.query, err)
		}
	}
	return s, nil
}

func each(ctx context.Context, db *sql.DB, query string, row func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
