package idx

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// MarshalJSON gives the shape that the protocol's JavaScript client gives, with
// the field names and values of its published guides. A transaction with tokens
// has them in it: it is for the app, not for a log.
func (t Transaction) MarshalJSON() ([]byte, error) {
	type plain Transaction
	return json.Marshal(plain(t))
}

// MarshalJSON writes canSkip, true or false, where a list of authenticators to
// enroll is shown, and elsewhere only where it is true.
func (s NextStep) MarshalJSON() ([]byte, error) {
	type plain NextStep
	out := struct {
		plain
		CanSkip *bool `json:"canSkip,omitempty"`
	}{plain: plain(s)}
	if s.CanSkip || s.Name == "select-authenticator-enroll" {
		out.CanSkip = &s.CanSkip
	}
	return json.Marshal(out)
}

// MarshalJSON gives {"required":true,"refresh":4000}.
func (p PollInfo) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Required bool  `json:"required"`
		Refresh  int64 `json:"refresh"`
	}{true, p.Every.Milliseconds()})
}

type accessTokenJSON struct {
	Value     string   `json:"accessToken"`
	ExpiresAt int64    `json:"expiresAt"`
	TokenType string   `json:"tokenType"`
	Scopes    []string `json:"scopes,omitempty"`
}

// MarshalJSON gives accessToken, expiresAt (Unix seconds), tokenType and scopes.
func (t AccessToken) MarshalJSON() ([]byte, error) {
	return json.Marshal(accessTokenJSON{t.Value, seconds(t.ExpiresAt), t.TokenType, t.Scopes})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *AccessToken) UnmarshalJSON(b []byte) error {
	var in accessTokenJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*t = AccessToken{in.Value, fromSeconds(in.ExpiresAt), in.TokenType, in.Scopes}
	return nil
}

type idTokenJSON struct {
	Value     string         `json:"idToken"`
	ExpiresAt int64          `json:"expiresAt"`
	Claims    map[string]any `json:"claims,omitempty"`
}

// MarshalJSON gives idToken, expiresAt (Unix seconds) and claims.
func (t IDToken) MarshalJSON() ([]byte, error) {
	return json.Marshal(idTokenJSON{t.Value, seconds(t.ExpiresAt), t.Claims.All})
}

// UnmarshalJSON reads what MarshalJSON writes. It verifies nothing: what comes
// from where others can write goes through Client.VerifyIDToken.
func (t *IDToken) UnmarshalJSON(b []byte) error {
	var in idTokenJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*t = IDToken{in.Value, fromSeconds(in.ExpiresAt), newClaims(in.Claims)}
	return nil
}

type refreshTokenJSON struct {
	Value  string   `json:"refreshToken"`
	Scopes []string `json:"scopes,omitempty"`
}

// MarshalJSON gives refreshToken and scopes.
func (t RefreshToken) MarshalJSON() ([]byte, error) {
	return json.Marshal(refreshTokenJSON(t))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *RefreshToken) UnmarshalJSON(b []byte) error {
	var in refreshTokenJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*t = RefreshToken(in)
	return nil
}

// MarshalJSON gives all claims under their own names.
func (c Claims) MarshalJSON() ([]byte, error) {
	if c.All == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(c.All)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Claims) UnmarshalJSON(b []byte) error {
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	*c = newClaims(all)
	return nil
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromSeconds(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// clone keeps those who share one redemption from sharing its result's memory.
func (t *Tokens) clone() *Tokens {
	c := &Tokens{}
	if a := t.AccessToken; a != nil {
		copied := *a
		copied.Scopes = slices.Clone(a.Scopes)
		c.AccessToken = &copied
	}
	if id := t.IDToken; id != nil {
		copied := *id
		copied.Claims.AMR = slices.Clone(id.Claims.AMR)
		copied.Claims.All = maps.Clone(id.Claims.All)
		c.IDToken = &copied
	}
	if r := t.RefreshToken; r != nil {
		copied := *r
		copied.Scopes = slices.Clone(r.Scopes)
		c.RefreshToken = &copied
	}
	return c
}
