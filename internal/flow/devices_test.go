package flow

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// Authenticators that use what the port has beyond codes and passwords. Each
// stands for any of its kind.
const (
	phoneKey   = "phone"   // wants to be told before it begins
	gadgetKey  = "gadget"  // answers elsewhere
	passkeyKey = "passkey" // tells whose it is
)

// with adds authenticators to an organisation's list, at its end.
func with(org policy.Org, keys ...string) policy.Org {
	for _, key := range keys {
		org.Enrollment[0].Authenticators = append(org.Enrollment[0].Authenticators, policy.Authenticator{Key: key, Need: policy.Optional})
	}
	return org
}

type phone struct{ now func() time.Time }

func (phone) Info() authenticator.Info {
	return authenticator.Info{
		Key: phoneKey, Type: "phone", ID: "aut" + phoneKey, Name: "Phone", Methods: []authenticator.Method{"sms", "voice"},
		EnrollmentPrefix: "sms", AMR: "sms", Class: policy.Possession, AfterProof: true, Wrong: problem.Message{Key: "of its own", Field: "passcode"},
	}
}

func (phone) Details(enrolling bool) []authenticator.Field {
	fields := []authenticator.Field{{Name: "methodType", Choices: []authenticator.Choice{{Label: "SMS", Value: "sms"}, {Label: "Voice call", Value: "voice"}}}}
	if enrolling {
		fields = append(fields, authenticator.Field{Name: "phoneNumber"})
	}
	return fields
}

func (p phone) begin(s authenticator.Subject, to string) (authenticator.Prompt, error) {
	return authenticator.Prompt{
		Method: authenticator.Method(s.Details["methodType"]), Sealed: []byte(to), Fields: []authenticator.Field{{Name: "passcode"}},
		ExpiresAt: p.now().Add(5 * time.Minute),
		Effects: []authenticator.Effect{{Text: &authenticator.Text{
			Method: authenticator.Method(s.Details["methodType"]), To: to, Country: to[:min(3, len(to))], Code: "123456", Enrolling: s.Enrolling,
		}}},
	}, nil
}

func (p phone) BeginEnroll(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	switch to := s.Details["phoneNumber"]; {
	case to == "" || s.Details["methodType"] == "":
		return authenticator.Prompt{}, &authenticator.Wanted{Fields: p.Details(true)}
	case to[0] != '+':
		return authenticator.Prompt{}, &authenticator.Rejected{Messages: []problem.Message{{Key: "api.factors.error.sms.invalid_phone", Field: "phoneNumber"}}}
	default:
		return p.begin(s, to)
	}
}

func (p phone) FinishEnroll(_ context.Context, _ authenticator.Subject, prompt authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	if in["passcode"] != "123456" {
		return authenticator.Credential{}, authenticator.ErrWrong
	}
	return authenticator.Credential{Data: prompt.Sealed, Profile: map[string]string{"phoneNumber": "+X"}}, nil
}

func (p phone) BeginVerify(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	if s.Details["methodType"] == "" {
		return authenticator.Prompt{}, &authenticator.Wanted{Fields: p.Details(false)}
	}
	return p.begin(s, string(s.First().Data))
}

func (p phone) FinishVerify(_ context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	if in["passcode"] != "123456" {
		return authenticator.Proof{}, authenticator.ErrWrong
	}
	return authenticator.Proof{Credential: s.First()}, nil
}

// gadget is registered and asked by its key, and says yes or no.
type gadget struct{ now func() time.Time }

func (gadget) Info() authenticator.Info {
	return authenticator.Info{
		Key: gadgetKey, Type: "app", ID: "aut" + gadgetKey, Name: "Gadget", Methods: []authenticator.Method{"push"},
		EnrollmentPrefix: "pfd", AMR: "swk", Class: policy.Possession, Several: true,
	}
}

func (gadget) Channels(authenticator.Subject) []authenticator.Choice {
	return []authenticator.Choice{{Label: "QR code", Value: "qrcode"}, {Label: "Email", Value: "email"}}
}

func (g gadget) BeginEnroll(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	if s.Details["channel"] == "email" && s.Details["email"] == "" {
		return authenticator.Prompt{}, &authenticator.Wanted{Channel: true, Fields: []authenticator.Field{{Name: "email"}}}
	}
	p := authenticator.Prompt{Elsewhere: true, Public: map[string]any{"selectedChannel": s.Details["channel"]}, ExpiresAt: g.now().Add(15 * time.Minute)}
	if to := s.Details["email"]; to != "" {
		p.Effects = []authenticator.Effect{{Mail: &authenticator.Mail{Template: "device-link", To: to, Link: "https://id.example.com/link", ExpiresAt: p.ExpiresAt}}}
	}
	return p, nil
}

func (gadget) FinishEnroll(_ context.Context, _ authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	if in["key"] == "" {
		return authenticator.Credential{}, authenticator.ErrWrong
	}
	return authenticator.Credential{Data: []byte(in["key"]), Unique: []byte(in["key"])}, nil
}

func (g gadget) BeginVerify(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	ends := g.now().Add(5 * time.Minute)
	p := authenticator.Prompt{Elsewhere: true, ExpiresAt: ends, Method: "push"}
	wakes := &authenticator.Push{Data: json.RawMessage(`{"n":42}`), ExpiresAt: ends, Wakes: true}
	p.Effects = []authenticator.Effect{{Push: wakes}}
	return p, nil
}

func (gadget) FinishVerify(_ context.Context, s authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	for _, c := range s.Enrolled {
		if string(c.Data) == in["key"] {
			if in["say"] == "no" {
				return authenticator.Proof{}, authenticator.ErrDenied
			}
			return authenticator.Proof{Credential: c}, nil
		}
	}
	return authenticator.Proof{}, authenticator.ErrWrong
}

// passkey signs with its name; the question it answers must be the one that is open.
type passkey struct{}

func (passkey) Info() authenticator.Info {
	return authenticator.Info{
		Key: passkeyKey, Type: "security_key", ID: "aut" + passkeyKey, Name: "Passkey", Methods: []authenticator.Method{"webauthn"},
		EnrollmentPrefix: "fwf", AMR: "hwk", Class: policy.Possession, PhishingResistant: true, Several: true,
		Wrong: problem.Message{Key: "of its own", Text: "Not that one", Field: "key"},
	}
}

func (passkey) BeginEnroll(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	return authenticator.Prompt{Fields: []authenticator.Field{{Name: "key", Hidden: true}}}, nil
}

func (passkey) FinishEnroll(_ context.Context, _ authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	return authenticator.Credential{Data: []byte(in["key"]), Unique: []byte(in["key"])}, nil
}

func (passkey) ask(s authenticator.Subject) (authenticator.Prompt, error) {
	return authenticator.Prompt{
		Sealed: []byte(s.Challenge), Fields: []authenticator.Field{{Name: "key"}, {Name: "signed"}, {Name: "userHandle"}},
		Public: map[string]any{"challenge": s.Challenge},
	}, nil
}

func (p passkey) BeginVerify(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	return p.ask(s)
}

func (p passkey) BeginDiscover(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	return p.ask(s)
}

func (passkey) Discover(in authenticator.Input) (string, bool) {
	return in["userHandle"], in["userHandle"] != ""
}

func (passkey) FinishVerify(_ context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Proof, error) {
	for _, c := range s.Enrolled {
		if string(c.Data) == in["key"] && in["signed"] == string(p.Sealed) {
			return authenticator.Proof{Credential: c, UserVerified: true}, nil
		}
	}
	return authenticator.Proof{}, authenticator.ErrWrong
}

// emailOnly is an organisation in which the email is enough and all that there is.
func emailOnly() policy.Org {
	org := policy.PasswordOptional()
	org.Enrollment[0].Authenticators = []policy.Authenticator{{Key: emailKey, Need: policy.Required}}
	return org
}
