package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// coder is an authenticator whose prompts carry a code; it stands for any that
// sends one. Every code of a prompt is good until its end, as the port promises.
type coder struct {
	info authenticator.Info
	now  func() time.Time
	next *int
}

type codes struct {
	Codes []string
	Ends  []time.Time
}

func newCoder(key, name string, proves bool, now func() time.Time) coder {
	return coder{now: now, next: new(int), info: authenticator.Info{
		Key: key, Type: "email", ID: "aut" + key, Name: name, Methods: []authenticator.Method{"email"},
		EnrollmentPrefix: "eae", EnrollmentProves: proves, AMR: "otp", Class: policy.Possession,
	}}
}

func (c coder) Info() authenticator.Info { return c.info }

func (c coder) prompt(s authenticator.Subject, sealed codes) (authenticator.Prompt, error) {
	*c.next++
	code := fmt.Sprintf("%06d", *c.next)
	sealed.Codes = append(sealed.Codes, code)
	sealed.Ends = append(sealed.Ends, c.now().Add(10*time.Minute))
	data, err := json.Marshal(sealed)
	return authenticator.Prompt{
		Sealed: data, Fields: []authenticator.Field{{Name: "passcode", Label: "Enter code"}},
		ExpiresAt: c.now().Add(10 * time.Minute),
		Effects:   []authenticator.Effect{{Mail: &authenticator.Mail{Template: string(s.Purpose), To: s.Address, Code: code}}},
	}, err
}

func (c coder) BeginEnroll(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	return c.prompt(s, codes{})
}

func (c coder) BeginVerify(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	return c.prompt(s, codes{})
}

func (c coder) Resend(_ context.Context, s authenticator.Subject, p authenticator.Prompt) (authenticator.Prompt, error) {
	var sealed codes
	if err := json.Unmarshal(p.Sealed, &sealed); err != nil {
		return p, err
	}
	return c.prompt(s, sealed)
}

func (c coder) FinishEnroll(ctx context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	_, err := c.FinishVerify(ctx, s, p, in)
	return authenticator.Credential{Profile: map[string]string{"email": s.Address}}, err
}

func (c coder) FinishVerify(_ context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	cr := authenticator.Proof{Credential: s.First()}
	if in["passcode"] == "" {
		return cr, authenticator.ErrEmpty
	}
	var sealed codes
	if err := json.Unmarshal(p.Sealed, &sealed); err != nil {
		return cr, err
	}
	for i, code := range sealed.Codes {
		if code == in["passcode"] && c.now().Before(sealed.Ends[i]) && s.Purpose != authenticator.SignInUnknown {
			return cr, nil
		}
	}
	return cr, authenticator.ErrWrong
}

// Vouch implements authenticator.Voucher.
func (c coder) Vouch(s authenticator.Subject) (authenticator.Credential, error) {
	return authenticator.Credential{Profile: map[string]string{"email": s.Address}}, nil
}

// secret is a password without a hash, which keeps no rules but "weak" is refused.
type secret struct{ now func() time.Time }

type secretData struct {
	Secret string
	At     time.Time
}

func (secret) Info() authenticator.Info {
	return authenticator.Info{
		Key: passwordKey, Type: "password", ID: "aut" + passwordKey, Name: "Password", Methods: []authenticator.Method{"password"},
		EnrollmentPrefix: "lae", AMR: "pwd", Class: policy.Knowledge,
	}
}

func (c secret) BeginEnroll(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	return authenticator.Prompt{
		Fields: []authenticator.Field{{Name: "passcode", Label: "Enter password", Secret: true}}, Settings: map[string]any{},
	}, nil
}

func (c secret) BeginVerify(ctx context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	return c.BeginEnroll(ctx, s)
}

func (c secret) BeginChange(ctx context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	return c.BeginEnroll(ctx, s)
}

func (c secret) FinishEnroll(_ context.Context, _ authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	if in["passcode"] == "weak" || in["passcode"] == "" {
		return authenticator.Credential{}, &authenticator.Rejected{Messages: []problem.Message{{
			Key: "password.passwordRequirementsNotMet", Field: "passcode", Class: problem.ClassError,
		}}}
	}
	data, err := json.Marshal(secretData{in["passcode"], c.now()})
	return authenticator.Credential{Data: data}, err
}

func (c secret) FinishChange(ctx context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	return c.FinishEnroll(ctx, s, p, in)
}

func (c secret) FinishVerify(_ context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	cr := authenticator.Proof{Credential: s.First()}
	if in["passcode"] == "" {
		return cr, authenticator.ErrEmpty
	}
	var kept secretData
	if len(s.First().Data) == 0 || s.Purpose == authenticator.SignInUnknown || json.Unmarshal(s.First().Data, &kept) != nil || kept.Secret != in["passcode"] {
		return cr, authenticator.ErrWrong
	}
	return cr, nil
}

func (c secret) ChangedAt(cr authenticator.Credential) time.Time {
	var kept secretData
	_ = json.Unmarshal(cr.Data, &kept) // what is not one was never chosen
	return kept.At
}

// post keeps what the engine hands over for delivery.
type post struct {
	mu     sync.Mutex
	mails  []authenticator.Mail
	n      int
	texted int
	woken  []Outgoing
	rows   map[string]authenticator.Mail
}

func (p *post) Prepare(o Outgoing) (outbox.Message, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	id := fmt.Sprintf("m%d", p.n)
	if o.Once != "" && !o.Void {
		id = o.Once
	}
	if o.Void {
		id, o.Mail = fmt.Sprintf("void%d", p.n), authenticator.Mail{}
	}
	p.rows[id] = o.Mail
	kind := "mail"
	if o.Text != nil {
		kind = "text"
	}
	if o.Wake != nil {
		kind = "wake"
		p.woken = append(p.woken, o)
	}
	return outbox.Message{ID: id, Kind: kind, Status: outbox.Queued}, nil
}

func (p *post) Handoff(ms ...outbox.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range ms {
		if m.Kind == "text" {
			p.texted++
			continue
		}
		if m.Kind == "wake" {
			continue
		}
		p.mails = append(p.mails, p.rows[m.ID])
	}
}

// texts is how many were handed over.
func (p *post) texts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.texted
}

// sent returns the mails to an address, oldest first.
func (p *post) sent(to string) []authenticator.Mail {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []authenticator.Mail
	for _, m := range p.mails {
		if strings.EqualFold(m.To, to) {
			out = append(out, m)
		}
	}
	return out
}
