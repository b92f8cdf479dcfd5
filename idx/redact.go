package idx

import (
	"fmt"
	"io"
	"log/slog"
)

// What fmt and slog print of these types never holds a bearer secret, a code or
// a password, whatever the verb. JSON and text forms do: they are for the app.

func redact(w io.Writer, s string) { _, _ = io.WriteString(w, s) }

// String gives the status and the step.
func (t Transaction) String() string {
	s := "idx.Transaction{" + string(t.Status)
	if t.NextStep != nil {
		s += " " + t.NextStep.Name
	}
	for _, m := range t.Messages {
		s += " " + m.I18n.Key
	}
	return s + "}"
}

// Format prints String for every verb.
func (t Transaction) Format(f fmt.State, _ rune) { redact(f, t.String()) }

// LogValue gives the status, the step and the messages' keys.
func (t Transaction) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("status", string(t.Status))}
	if t.NextStep != nil {
		attrs = append(attrs, slog.String("step", t.NextStep.Name))
	}
	if len(t.Messages) > 0 {
		keys := make([]string, len(t.Messages))
		for i, m := range t.Messages {
			keys[i] = m.I18n.Key
		}
		attrs = append(attrs, slog.Any("messages", keys))
	}
	return slog.GroupValue(attrs...)
}

// Format prints the step's name for every verb: its inputs may hold secrets.
func (s NextStep) Format(f fmt.State, _ rune) { redact(f, "idx.NextStep{"+s.Name+"}") }

// LogValue gives the step's name.
func (s NextStep) LogValue() slog.Value { return slog.StringValue(s.Name) }

// Format prints the key for every verb: the context may hold a seed.
func (a Authenticator) Format(f fmt.State, _ rune) { redact(f, "idx.Authenticator{"+a.Key+"}") }

// LogValue gives the key.
func (a Authenticator) LogValue() slog.Value { return slog.StringValue(a.Key) }

const redacted = "[redacted]"

// Format prints no value, for any verb.
func (t Tokens) Format(f fmt.State, _ rune) { redact(f, "idx.Tokens{"+redacted+"}") }

// LogValue gives no value.
func (t Tokens) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints no value, for any verb.
func (t AccessToken) Format(f fmt.State, _ rune) { redact(f, "idx.AccessToken{"+redacted+"}") }

// LogValue gives no value.
func (t AccessToken) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints no value, for any verb.
func (t IDToken) Format(f fmt.State, _ rune) { redact(f, "idx.IDToken{"+redacted+"}") }

// LogValue gives no value.
func (t IDToken) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints no value, for any verb.
func (t RefreshToken) Format(f fmt.State, _ rune) { redact(f, "idx.RefreshToken{"+redacted+"}") }

// LogValue gives no value.
func (t RefreshToken) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints no value, for any verb.
func (p Profile) Format(f fmt.State, _ rune) { redact(f, "idx.Profile{"+redacted+"}") }

// LogValue gives no value.
func (p Profile) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints no value, for any verb.
func (cr Credentials) Format(f fmt.State, _ rune) { redact(f, "idx.Credentials{"+redacted+"}") }

// LogValue gives no value.
func (cr Credentials) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints no value, for any verb.
func (o StartOptions) Format(f fmt.State, _ rune) { redact(f, "idx.StartOptions{"+redacted+"}") }

// LogValue gives no value.
func (o StartOptions) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints no value, for any verb.
func (in Input) Format(f fmt.State, _ rune) { redact(f, "idx.Input{"+redacted+"}") }

// LogValue gives no value.
func (in Input) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints issuer and client id for every verb.
func (cfg Config) Format(f fmt.State, _ rune) {
	redact(f, "idx.Config{"+cfg.Issuer+" "+cfg.ClientID+"}")
}

// LogValue gives issuer and client id.
func (cfg Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("issuer", cfg.Issuer), slog.String("client", cfg.ClientID))
}

// Format prints no token, for any verb.
func (a *Account) Format(f fmt.State, _ rune) { redact(f, "idx.Account{"+redacted+"}") }

// LogValue gives no token.
func (a *Account) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints issuer and client id for every verb.
func (c *Client) Format(f fmt.State, _ rune) {
	redact(f, "idx.Client{"+c.cfg.Issuer+" "+c.cfg.ClientID+"}")
}

// LogValue gives issuer and client id.
func (c *Client) LogValue() slog.Value { return c.cfg.LogValue() }
