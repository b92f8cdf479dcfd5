package idx

import (
	"context"
	"net/http"
	"time"
)

// An AccountDevice is where a person is signed in: a browser with the apps that
// began in it, or an app that can renew its tokens.
type AccountDevice struct {
	ID      string
	Browser string // "Chrome"; empty: not known
	System  string // "Windows"; empty: not known
	IP      string
	Apps    []string // names

	CreatedAt, LastSeenAt, ExpiresAt time.Time

	Current bool // it is the one that asks
}

// Devices lists where the person is signed in, the one that asks first, then those
// seen last (okta.myAccount.sessions.manage).
func (a *Account) Devices(ctx context.Context) ([]AccountDevice, error) {
	var bodies []struct {
		ID         string    `json:"id"`
		Browser    string    `json:"browser"`
		System     string    `json:"system"`
		IP         string    `json:"ip"`
		Apps       []string  `json:"apps"`
		CreatedAt  time.Time `json:"createdAt"`
		LastSeenAt time.Time `json:"lastSeenAt"`
		ExpiresAt  time.Time `json:"expiresAt"`
		Current    bool      `json:"current"`
	}
	if err := a.call(ctx, http.MethodGet, "/devices", nil, &bodies); err != nil {
		return nil, err
	}
	all := make([]AccountDevice, len(bodies))
	for i, b := range bodies {
		all[i] = AccountDevice(b)
	}
	return all, nil
}

// EndDevice signs the person out on one device. Tokens issued there are refused
// within a second (okta.myAccount.sessions.manage).
func (a *Account) EndDevice(ctx context.Context, id string) error {
	return a.call(ctx, http.MethodDelete, "/devices/"+escape(id), nil, nil)
}

// EndOtherDevices signs the person out everywhere but here
// (okta.myAccount.sessions.manage).
func (a *Account) EndOtherDevices(ctx context.Context) error {
	return a.call(ctx, http.MethodDelete, "/devices", nil, nil)
}

// EndAllSessions signs the person out everywhere, here too: the token is of no use
// afterwards (okta.myAccount.sessions.manage).
func (a *Account) EndAllSessions(ctx context.Context) error {
	return a.call(ctx, http.MethodDelete, "/sessions", nil, nil)
}

// maxData bounds the document of all that is held about a person, in bytes.
const maxData = 64 << 20

// Data gives all that is held about the person, as one JSON document of at most
// 64 MiB (okta.myAccount.profile.manage).
func (a *Account) Data(ctx context.Context) ([]byte, error) {
	res, err := a.send(ctx, http.MethodGet, "/data", nil, maxData)
	if err != nil {
		return nil, err
	}
	return res.body, nil
}

// AccountDeletion tells whether an account is to be deleted.
type AccountDeletion struct {
	At   time.Time     // when; zero: it is not
	Wait time.Duration // between the request and the end; zero: not told
}

type deletionBody struct {
	DeleteAt time.Time `json:"deleteAt"`
	Wait     int64     `json:"waitSeconds"`
}

func (a *Account) deletion(ctx context.Context, method string) (AccountDeletion, error) {
	var b deletionBody
	if err := a.call(ctx, method, "/deletion", nil, &b); err != nil {
		return AccountDeletion{}, err
	}
	return AccountDeletion{At: b.DeleteAt, Wait: time.Duration(b.Wait) * time.Second}, nil
}

// Deletion tells whether the account is to be deleted, and how long people can
// change their mind (okta.myAccount.profile.read).
func (a *Account) Deletion(ctx context.Context) (AccountDeletion, error) {
	return a.deletion(ctx, http.MethodGet)
}

// RequestDeletion sets the day on which the account is deleted, and mails a link
// that keeps it. Asked again the first day holds (okta.myAccount.profile.manage).
func (a *Account) RequestDeletion(ctx context.Context) (AccountDeletion, error) {
	return a.deletion(ctx, http.MethodPost)
}

// KeepAccount takes RequestDeletion back (okta.myAccount.profile.manage).
func (a *Account) KeepAccount(ctx context.Context) error {
	return a.call(ctx, http.MethodDelete, "/deletion", nil, nil)
}
