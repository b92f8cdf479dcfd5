package idx

import (
	"context"
	"net/http"
	"time"
)

// An AccountMethod is a way to sign in that the person has, or may add.
type AccountMethod struct {
	ID    string // empty: to be added
	Key   string // okta_email, okta_password, …
	Type  string // "email", "password", …
	Name  string
	Label string // what its owner calls it: "MacBook"; empty: nothing

	Profile    map[string]string // what the engine shows of it, partly hidden
	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never

	Removable bool
	Kept      Kept // why it cannot be removed; empty: it can, or there is none yet
}

// Kept says why a way to sign in cannot be removed.
type Kept string

// The reasons.
const (
	KeptEmail    Kept = "email"    // the account is found and recovered by it; it can be changed
	KeptRequired Kept = "required" // the organisation asks for it
	KeptLast     Kept = "last"     // none of the others may be used to sign in
)

// Methods lists the ways to sign in that the person has, the oldest first, and
// then those that they may add (okta.myAccount.profile.read).
func (a *Account) Methods(ctx context.Context) ([]AccountMethod, error) {
	var bodies []struct {
		ID         string            `json:"id"`
		Key        string            `json:"key"`
		Type       string            `json:"type"`
		Name       string            `json:"name"`
		Label      string            `json:"label"`
		Profile    map[string]string `json:"profile"`
		CreatedAt  time.Time         `json:"createdAt"`
		LastUsedAt time.Time         `json:"lastUsedAt"`
		Removable  bool              `json:"removable"`
		Kept       Kept              `json:"kept"`
	}
	if err := a.call(ctx, http.MethodGet, "/methods", nil, &bodies); err != nil {
		return nil, err
	}
	all := make([]AccountMethod, len(bodies))
	for i, b := range bodies {
		all[i] = AccountMethod(b)
	}
	return all, nil
}

// RenameMethod gives a way to sign in of which people have several another label, of 1
// to 50 characters (okta.myAccount.profile.manage).
func (a *Account) RenameMethod(ctx context.Context, id, label string) error {
	return a.call(ctx, http.MethodPut, "/methods/"+escape(id), map[string]any{"label": label}, nil)
}

// RemoveMethod removes a way to sign in, and ends everything else that the person
// is signed in with. One that must be kept is a *ResponseError of Status 403 and
// Code E0000038; AccountMethod.Kept says why (okta.myAccount.profile.manage).
func (a *Account) RemoveMethod(ctx context.Context, id string) error {
	return a.call(ctx, http.MethodDelete, "/methods/"+escape(id), nil, nil)
}

func passwordOf(password, current string) map[string]any {
	p := map[string]any{"password": password}
	if current != "" {
		p["currentPassword"] = current
	}
	return map[string]any{"profile": p}
}

// SetPassword gives the person a password who has none, and ends everything else
// that they are signed in with. What the rules refuse is in Causes, under the field
// password; where there is a password already the Status is 409
// (okta.myAccount.password.manage).
func (a *Account) SetPassword(ctx context.Context, password string) error {
	return a.call(ctx, http.MethodPost, "/password", passwordOf(password, ""), nil)
}

// ChangePassword puts another password in the place of the current one, and ends
// everything else that the person is signed in with. current may be empty; with it
// the token needs no other proof of the password. A wrong one is a *ResponseError of
// Status 403 and Code E0000014 (okta.myAccount.password.manage).
func (a *Account) ChangePassword(ctx context.Context, current, password string) error {
	return a.call(ctx, http.MethodPut, "/password", passwordOf(password, current), nil)
}

// RemovePassword leaves the person with the other ways to sign in, and ends
// everything else that they are signed in with (okta.myAccount.password.manage).
func (a *Account) RemovePassword(ctx context.Context) error {
	return a.call(ctx, http.MethodDelete, "/password", nil, nil)
}
