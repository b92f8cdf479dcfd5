// Package history checks from outside what a server did while it was broken: a
// [Journal] has every request that clients sent and every answer that they
// received, and once the faults are over [Check] compares it with what the
// database, the mail and the public API say (REL R §1).
//
// An answer that did not come may have been written or not; whatever later reads
// say of it must be the same.
package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// A Request is what one request says that the checks want to know.
type Request struct {
	Client string    `json:"client"` // whoever sends it
	At     time.Time `json:"at"`     // by the client's clock
	Method string    `json:"method"`
	Path   string    `json:"path"`

	Handle   string `json:"handle,omitempty"`   // the transaction's
	Address  string `json:"address,omitempty"`  // of a sign-up's form, or a user name
	Passcode string `json:"passcode,omitempty"` // a mailed code
	Grant    string `json:"grant,omitempty"`    // grant_type
	Secret   string `json:"secret,omitempty"`   // the code or token that is to be exchanged, revoked or used
}

// An Answer is what one answer says, or why there is none.
type Answer struct {
	Took   time.Duration `json:"took"`
	Lost   string        `json:"lost,omitempty"` // why no answer came; then the rest is empty
	Status int           `json:"status,omitempty"`
	Error  string        `json:"error,omitempty"` // OAuth error, or the first message's key

	Handle  string   `json:"shown,omitempty"` // the transaction's
	Stage   Stage    `json:"stage,omitempty"`
	User    string   `json:"user,omitempty"`
	Code    string   `json:"code,omitempty"` // interaction code
	Access  string   `json:"access,omitempty"`
	Refresh string   `json:"refresh,omitempty"`
	ID      string   `json:"id,omitempty"`   // ID token
	Keys    []string `json:"keys,omitempty"` // of a JWKS: the kid of each
	JWKS    string   `json:"jwks,omitempty"`
	Body    string   `json:"body,omitempty"` // of a 5xx
}

// Acknowledged reports whether the server has said yes.
func (a Answer) Acknowledged() bool { return a.Status >= 200 && a.Status < 300 && a.Error == "" }

// A Stage is how far a transaction has visibly come.
type Stage int

// The stages, in their order. Up to Asked nothing is proven yet.
const (
	None     Stage = iota
	Begun          // who are you
	Filling        // the sign-up form
	Asked          // prove it
	Proven         // what else
	Finished       // here is a code for tokens
)

// A Call is a request and what came of it.
type Call struct {
	N int64
	Request
	Answer
}

// Ended is when the client knew the outcome.
func (c Call) Ended() time.Time { return c.At.Add(c.Took) }

// line is what the journal's file holds: a request, or the answer to one.
type line struct {
	N       int64    `json:"n"`
	Request *Request `json:"sent,omitempty"`
	Answer  *Answer  `json:"got,omitempty"`
}

// A Journal is a file that is only appended to. A request is on disk before it is
// sent: what a server has seen, the journal has.
type Journal struct {
	mu   sync.Mutex
	file *os.File
	n    int64
}

// Create begins a journal.
func Create(name string) (*Journal, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &Journal{file: f}, nil
}

// Sent writes a request down and returns its number. It is on disk then.
func (j *Journal) Sent(r Request) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.n++
	if err := j.write(line{N: j.n, Request: &r}); err != nil {
		return 0, err
	}
	return j.n, j.file.Sync()
}

// Got writes down what came of a request.
func (j *Journal) Got(n int64, a Answer) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write(line{N: n, Answer: &a})
}

func (j *Journal) write(l line) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(data, '\n'))
	return err
}

// Close ends the journal.
func (j *Journal) Close() error { return j.file.Close() }

// Read returns the calls of a journal in the order in which they were sent. One
// without an answer is lost, as is one whose line the client did not finish.
func Read(name string) ([]Call, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var calls []Call
	for r := bufio.NewReader(f); ; {
		data, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return calls, nil
		}
		if err != nil {
			return nil, err
		}
		var l line
		if err := json.Unmarshal(data, &l); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		switch {
		case l.Request != nil:
			if l.N != int64(len(calls))+1 {
				return nil, fmt.Errorf("%s: request %d stands at place %d", name, l.N, len(calls)+1)
			}
			calls = append(calls, Call{N: l.N, Request: *l.Request, Answer: Answer{Lost: "nothing came"}})
		case l.N < 1 || l.N > int64(len(calls)):
			return nil, fmt.Errorf("%s: an answer to request %d, which was not sent", name, l.N)
		default:
			calls[l.N-1].Answer = *l.Answer
		}
	}
}

// Name is that of the file.
func (j *Journal) Name() string { return j.file.Name() }
