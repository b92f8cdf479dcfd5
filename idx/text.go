package idx

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// state is what goes from call to call. It is never changed in place, so that
// a caller may go on from any transaction it kept.
type state struct {
	handle      string // of the interaction; a bearer secret
	stateHandle string // of the transaction; a bearer secret
	verifier    string // PKCE
	state       string
	nonce       string
	client      string // fingerprint of the configuration that began it
	maxAge      *time.Duration
	expiresAt   time.Time

	doc *document // the last good one; nil after UnmarshalText
	end bool      // redeemed: nothing is left to do
}

func (st *state) with(d *document) *state {
	next := *st
	next.doc = d
	if d.stateHandle != "" {
		next.stateHandle = d.stateHandle
	}
	if !d.expiresAt.IsZero() {
		next.expiresAt = d.expiresAt
	}
	return &next
}

// ended keeps the name only.
func (st *state) ended() *state { return &state{state: st.state, client: st.client, end: true} }

// textPrefix carries the version of the text form.
const textPrefix = "idx1."

// maxText leaves room for the longest state an engine takes, 2048 characters.
const maxText = 8192

type textForm struct {
	Handle      string `json:"i,omitempty"`
	StateHandle string `json:"h,omitempty"`
	Verifier    string `json:"v"`
	State       string `json:"s"`
	Nonce       string `json:"n,omitempty"`
	Client      string `json:"c"`
	MaxAge      *int64 `json:"m,omitempty"` // seconds
	ExpiresAt   int64  `json:"e,omitempty"` // Unix seconds
}

// MarshalText gives what Resume needs to go on: handles, PKCE verifier, state
// and nonce, in about 450 printable bytes without quotes or separators. It holds
// neither tokens nor what the step shows. The error is ErrNoTransaction for a
// transaction that is finished.
func (t Transaction) MarshalText() ([]byte, error) {
	st := t.state
	if st == nil || st.end {
		return nil, ErrNoTransaction
	}
	form := textForm{
		Handle: st.handle, StateHandle: st.stateHandle, Verifier: st.verifier,
		State: st.state, Nonce: st.nonce, Client: st.client,
	}
	if st.maxAge != nil {
		s := int64(*st.maxAge / time.Second)
		form.MaxAge = &s
	}
	if !st.expiresAt.IsZero() {
		form.ExpiresAt = st.expiresAt.Unix()
	}
	body, err := json.Marshal(form)
	if err != nil {
		return nil, err
	}
	return base64.RawURLEncoding.AppendEncode([]byte(textPrefix), body), nil
}

// UnmarshalText reads the form of MarshalText. The transaction then knows its
// handles and nothing of its step: each method of Client first asks the engine
// where it stands. The error is ErrNoTransaction for any other text.
func (t *Transaction) UnmarshalText(text []byte) error {
	encoded, ok := strings.CutPrefix(string(text), textPrefix)
	if !ok || len(text) > maxText {
		return ErrNoTransaction
	}
	body, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return ErrNoTransaction
	}
	var form textForm
	if json.Unmarshal(body, &form) != nil || form.State == "" || form.Handle+form.StateHandle == "" {
		return ErrNoTransaction
	}
	st := &state{
		handle: form.Handle, stateHandle: form.StateHandle, verifier: form.Verifier,
		state: form.State, nonce: form.Nonce, client: form.Client,
	}
	if form.MaxAge != nil {
		age := time.Duration(*form.MaxAge) * time.Second
		st.maxAge = &age
	}
	if form.ExpiresAt != 0 {
		st.expiresAt = time.Unix(form.ExpiresAt, 0).UTC()
	}
	*t = Transaction{Status: StatusPending, ExpiresAt: st.expiresAt, state: st}
	return nil
}

// Resume takes the text of Transaction.MarshalText and asks the engine where the
// transaction stands. Where it has succeeded meanwhile, in another tab for
// example, the result has the tokens. The errors are ErrNoTransaction for a text
// that this client did not make, and ErrExpired.
func (c *Client) Resume(ctx context.Context, text string) (*Transaction, error) {
	var tx Transaction
	if err := tx.UnmarshalText([]byte(text)); err != nil {
		return nil, err
	}
	st, err := c.own(&tx)
	if err != nil {
		return nil, err
	}
	return c.introspect(ctx, st)
}

// own refuses transactions that this client cannot go on with.
func (c *Client) own(t *Transaction) (*state, error) {
	if t == nil || t.state == nil || t.state.end || t.state.client != c.fingerprint {
		return nil, ErrNoTransaction
	}
	return t.state, nil
}

// fingerprint tells configurations apart without naming them.
func fingerprint(cfg Config) string {
	h := sha256.New()
	for _, s := range []string{cfg.Issuer, cfg.ClientID, cfg.RedirectURI} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:9])
}
