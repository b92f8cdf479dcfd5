package idx

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// An AccountEmail is an address of an account: the one in use, or one that waits
// for its code.
type AccountEmail struct {
	ID, Address string
	Verified    bool // it is in use

	// Of one that waits.
	Challenge string    // id of the code's challenge; empty: no code was sent
	ExpiresAt time.Time // when the change is given up; zero: not told
}

type emailBody struct {
	ID        string    `json:"id"`
	Status    string    `json:"status"`
	ExpiresAt time.Time `json:"expiresAt"`
	Profile   struct {
		Email string `json:"email"`
	} `json:"profile"`
	Links map[string]struct {
		Href string `json:"href"`
	} `json:"_links"`
}

func (b *emailBody) email() AccountEmail {
	e := AccountEmail{ID: b.ID, Address: b.Profile.Email, Verified: b.Status == "VERIFIED", ExpiresAt: b.ExpiresAt}
	// The challenge's id stands in its addresses alone.
	if _, rest, ok := strings.Cut(b.Links["verify"].Href, "/challenge/"); ok {
		e.Challenge, _, _ = strings.Cut(rest, "/")
	}
	return e
}

// Emails lists the address in use, and the one that waits if a change is under way
// (okta.myAccount.email.read).
func (a *Account) Emails(ctx context.Context) ([]AccountEmail, error) {
	var bodies []emailBody
	if err := a.call(ctx, http.MethodGet, "/emails", nil, &bodies); err != nil {
		return nil, err
	}
	all := make([]AccountEmail, len(bodies))
	for i := range bodies {
		all[i] = bodies[i].email()
	}
	return all, nil
}

// ChangeEmail begins a change of the address, in place of one under way, and mails
// a code to the new one. The old one stays in use until VerifyEmail. An address that
// has an account looks like any other: no code will be right. The address in use
// comes back as it is, Verified, and nothing is mailed (okta.myAccount.email.manage).
func (a *Account) ChangeEmail(ctx context.Context, address string) (*AccountEmail, error) {
	var body emailBody
	err := a.call(ctx, http.MethodPost, "/emails", map[string]any{
		"profile": map[string]any{"email": address}, "sendEmail": true, "role": "PRIMARY",
	}, &body)
	if err != nil {
		return nil, err
	}
	e := body.email()
	return &e, nil
}

// VerifyEmail gives the code that was mailed to the new address, which then takes
// the old one's place; everything else that the person is signed in with ends. A
// code that is wrong or too old is a *ResponseError of Status 401 and Code E0000004
// (okta.myAccount.email.manage).
func (a *Account) VerifyEmail(ctx context.Context, e *AccountEmail, code string) error {
	if e.Challenge == "" {
		return errors.New("idx: no code was sent to this address")
	}
	return a.call(ctx, http.MethodPost, "/emails/"+escape(e.ID)+"/challenge/"+escape(e.Challenge)+"/verify",
		map[string]any{"verificationCode": code}, nil)
}

// ResendEmail mails one more code, and gives the challenge that it belongs to: the
// old one, or another where wrong codes have used that up
// (okta.myAccount.email.manage).
func (a *Account) ResendEmail(ctx context.Context, e *AccountEmail) (*AccountEmail, error) {
	var body struct {
		ID        string    `json:"id"`
		ExpiresAt time.Time `json:"expiresAt"`
	}
	if err := a.call(ctx, http.MethodPost, "/emails/"+escape(e.ID)+"/challenge", map[string]any{}, &body); err != nil {
		return nil, err
	}
	next := *e
	next.Challenge, next.ExpiresAt = body.ID, body.ExpiresAt
	return &next, nil
}

// CancelEmailChange gives a change up that waits for its code
// (okta.myAccount.email.manage).
func (a *Account) CancelEmailChange(ctx context.Context, id string) error {
	return a.call(ctx, http.MethodDelete, "/emails/"+escape(id), nil, nil)
}
