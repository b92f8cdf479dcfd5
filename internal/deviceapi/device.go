package deviceapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
)

// A statement may be sent again within its minute by whoever has seen it. Nothing
// keeps those that were taken, on no node, because none does more the second time:
// enrolling and answering close the question that they are for, in the database,
// whichever node is asked; reading the requests tells what the requests' owner
// could be told; leaving has nothing left to leave; and a name, or where it can be
// woken, comes back that the device has said itself within the minute.
//
// Enrolling is answered in full again, secret and all, for as long as the link is
// good: an answer may be lost, and the device has nothing else to ask with. Who has
// seen a statement, inside TLS, has seen or could have had its first answer too.

type enrolled struct {
	Device    string `json:"device"`
	Name      string `json:"name"`
	Account   string `json:"account"`
	App       string `json:"app"`
	Secret    string `json:"secret"`
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int    `json:"period"`
}

func (s *Server) enroll(ctx context.Context, text string) (any, error) {
	said, err := s.Authenticator.Enrolling(text)
	if err != nil {
		return nil, err
	}
	tx, challenge, ends, ok := s.Authenticator.Link(said.Token)
	if !ok || !s.Now().Before(ends) {
		return nil, errGone
	}
	out, err := s.Engine.AnswerElsewhere(ctx, flow.DeviceAnswer{
		Transaction: tx, Challenge: challenge, Input: authenticator.Input{"proof": text},
		Authenticator: s.Authenticator.Key(), Unique: said.Unique,
	})
	switch {
	case errors.Is(err, flow.ErrGone), problem.KindOf(err) == problem.Expired:
		return nil, errGone
	case err != nil:
		return nil, err
	case out.Kind != problem.None || out.Enrollment == "":
		return nil, errTaken
	}
	d, err := s.Accounts.Signer(ctx, out.UserID, out.Enrollment, s.Authenticator.Key())
	if err != nil {
		return nil, err
	}
	codes, err := s.Authenticator.Codes(d.Credential)
	if err != nil {
		return nil, err
	}
	return enrolled{
		Device: d.UserID + "." + d.ID, Name: d.Credential.Name, Account: d.Email, App: out.App,
		Secret: codes.Secret, Algorithm: "SHA1", Digits: codes.Digits, Period: int(codes.Period / time.Second),
	}, nil
}

// perDevice is how often a device may speak: a page that polls does so every four
// seconds, in as many tabs as it is open in.
var perDevice = limit.Volume{{N: 30, Per: 30 * time.Second}}

// device finds whose statement it is, and checks that it is theirs.
func (s *Server) device(ctx context.Context, text, path string) (account.Signer, Statement, error) {
	id, ok := s.Authenticator.Device(text)
	user, enrollment, both := strings.Cut(id, ".")
	if !ok {
		return account.Signer{}, Statement{}, ErrStatement
	}
	if !both || len(id) > 128 {
		return account.Signer{}, Statement{}, errDevice
	}
	d, err := s.Accounts.Signer(ctx, user, enrollment, s.Authenticator.Key())
	if problem.KindOf(err) == problem.NotFound {
		return d, Statement{}, errDevice
	}
	if err != nil {
		return d, Statement{}, err
	}
	said, err := s.Authenticator.Said(d.Credential, text, path)
	if err != nil || s.Rules.HandleRequests.Off() {
		return d, said, err
	}
	// Counted when it is known whose it is: anybody can write somebody's id.
	if wait, ok := s.local.Spend(limit.Key("device", user, enrollment), perDevice, s.Now()); !ok {
		return d, said, &problem.Error{Kind: problem.Throttled, Code: "too_many_requests", Detail: "Too many requests.", RetryAfter: wait}
	}
	return d, said, nil
}

type request struct {
	ID        string   `json:"request"`
	App       string   `json:"app"`
	Purpose   string   `json:"purpose"`
	Browser   string   `json:"browser,omitempty"`
	System    string   `json:"system,omitempty"`
	IP        string   `json:"ip,omitempty"`
	At        string   `json:"at"`
	ExpiresAt string   `json:"expiresAt"`
	Numbers   []string `json:"numbers"`
}

type listed struct {
	Name     string    `json:"name"`
	Account  string    `json:"account"`
	Wake     bool      `json:"wake"`
	Requests []request `json:"requests"`
}

func (s *Server) requests(ctx context.Context, text string) (any, error) {
	d, _, err := s.device(ctx, text, "/device/v1/requests")
	if err != nil {
		return nil, err
	}
	pushes, err := s.Engine.Pushes(ctx, d.UserID)
	if err != nil {
		return nil, err
	}
	out := listed{Name: d.Credential.Name, Account: d.Email, Wake: s.Waker != nil && s.Waker.Wakes(s.Authenticator.WokenBy(d.Credential)), Requests: []request{}}
	for _, p := range pushes {
		var asked struct {
			Numbers []string `json:"numbers"`
			Purpose string   `json:"purpose"`
		}
		if err := json.Unmarshal(p.Data, &asked); err != nil {
			return nil, fmt.Errorf("deviceapi: request %s: %w", p.ID, err)
		}
		r := request{
			ID: p.Challenge, App: p.App, Purpose: asked.Purpose, Numbers: asked.Numbers, IP: p.IP,
			At: p.At.UTC().Format(time.RFC3339), ExpiresAt: p.ExpiresAt.UTC().Format(time.RFC3339),
		}
		r.Browser, r.System = s.Agent(p.UserAgent)
		out.Requests = append(out.Requests, r)
	}
	return out, nil
}

type answered struct {
	Result string `json:"result"`
}

func (s *Server) answer(ctx context.Context, text string) (any, error) {
	d, said, err := s.device(ctx, text, "/device/v1/answer")
	if err != nil {
		return nil, err
	}
	pushes, err := s.Engine.Pushes(ctx, d.UserID)
	if err != nil {
		return nil, err
	}
	for _, p := range pushes {
		if p.Challenge != said.Request {
			continue
		}
		out, err := s.Engine.AnswerElsewhere(ctx, flow.DeviceAnswer{
			Transaction: p.Transaction, Challenge: p.Challenge, Input: authenticator.Input{"answer": text},
		})
		switch {
		case errors.Is(err, flow.ErrGone), problem.KindOf(err) == problem.Expired:
			return nil, errGone
		case err != nil:
			return nil, err
		case out.Kind == problem.None && out.Denied && !said.Approve:
			return answered{"denied"}, nil
		case out.Denied: // another number, which ends it too
			return answered{"wrong"}, nil
		case out.Kind == problem.None:
			return answered{"approved"}, nil
		}
		return answered{"wrong"}, nil
	}
	return nil, errGone
}

type renamed struct {
	Name string `json:"name"`
}

func (s *Server) rename(ctx context.Context, text string) (any, error) {
	d, said, err := s.device(ctx, text, "/device/v1/rename")
	if err != nil {
		return nil, err
	}
	next, ok := s.Authenticator.Rename(d.Credential, said.Name)
	if !ok {
		return nil, errName
	}
	err = s.Accounts.ChangeSigner(ctx, d, s.Authenticator.Key(), func(c authenticator.Credential) authenticator.Credential {
		c, _ = s.Authenticator.Rename(c, said.Name)
		return c
	})
	return renamed{next.Name}, s.still(err)
}

type waking struct {
	Wake bool `json:"wake"`
}

// wake takes where a device can be woken, or takes that back.
func (s *Server) wake(ctx context.Context, text string) (any, error) {
	d, said, err := s.device(ctx, text, "/device/v1/wake")
	if err != nil {
		return nil, err
	}
	var kept []byte
	if given := said.Subscription; len(given) > 0 && string(given) != "null" {
		if s.Waker == nil {
			return nil, errAsleep
		}
		if kept, err = s.Waker.Read(given); err != nil {
			return nil, errWake
		}
	}
	next, err := s.Authenticator.Wake(d.Credential, kept)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(next.Data, d.Credential.Data) { // it is told again what it has said
		return waking{kept != nil}, nil
	}
	err = s.Accounts.ChangeSigner(ctx, d, s.Authenticator.Key(), func(c authenticator.Credential) authenticator.Credential {
		c, _ = s.Authenticator.Wake(c, kept) // it could be read a moment ago
		return c
	})
	return waking{kept != nil}, s.still(err)
}

func (s *Server) leave(ctx context.Context, text string) (any, error) {
	d, _, err := s.device(ctx, text, "/device/v1/leave")
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.still(s.Accounts.RemoveSigner(ctx, d, s.Authenticator.Key()))
}

// still says of a device that was removed meanwhile that it is unknown.
func (s *Server) still(err error) error {
	if problem.KindOf(err) == problem.NotFound {
		return errDevice
	}
	return err
}
