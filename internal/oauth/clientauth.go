package oauth

import (
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// identify finds the client that a request names, and authenticates it if the
// request has a secret: by Basic or in the form, never both (SEC S-87). Without
// a client id c.client stays nil. A wrong secret is refused also where none was
// asked for.
func (c *call) identify(p params) error {
	id, secret := p["client_id"], p["client_secret"]
	if p["client_assertion"] != "" || p["client_assertion_type"] != "" {
		return invalidClient("Client assertions are not supported.")
	}
	if headers := c.r.Header.Values("Authorization"); len(headers) > 0 {
		basicID, basicSecret, ok := parseBasic(headers[0])
		switch {
		case len(headers) > 1 || secret != "":
			return invalidRequest("Only one way of client authentication may be used in a request.")
		case !ok:
			return invalidClient("The Authorization header is not of the form 'Basic base64(client_id:client_secret)'.")
		case id != "" && id != basicID:
			return invalidRequest("The client_id differs from the one in the Authorization header.")
		}
		id, secret = basicID, basicSecret
	}
	if id == "" {
		if secret != "" {
			return errNoClient
		}
		return nil
	}
	client, err := c.clients.get(c.r.Context(), id)
	if err != nil {
		return err
	}
	c.client = client
	if secret != "" {
		if !client.authenticates(secret) {
			return errSecret
		}
		c.authenticated = true
	}
	return nil
}

// authenticate is identify where a client is needed, and its secret too if it
// has one.
func (c *call) authenticate(p params) error {
	if err := c.identify(p); err != nil {
		return err
	}
	return c.needClient()
}

func (c *call) needClient() error {
	switch {
	case c.client == nil:
		return errNoClient
	case !c.client.Public() && !c.authenticated:
		return errNoSecret
	}
	return nil
}

// parseBasic reads an Authorization header. Public clients of okta-auth-js send
// the id alone, without a colon (IDX §1.3). Both parts are form-encoded
// (RFC 6749 §2.3.1).
func parseBasic(header string) (id, secret string, ok bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(encoded), "="))
	if err != nil {
		return "", "", false
	}
	id, secret, _ = strings.Cut(string(raw), ":")
	if id, err = url.QueryUnescape(id); err != nil || id == "" {
		return "", "", false
	}
	return id, secret, true
}

func triedBasic(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Basic")
}

// authenticates reports whether secret is one of the client's. The comparison
// takes the same time whatever differs, and all secrets are always compared. A
// secret from Basic is taken as it is and form-decoded, since clients do both.
func (c *Client) authenticates(secret string) bool {
	match := 0
	try := func(s string) {
		hash := HashSecret(s)
		for _, want := range c.Secrets {
			match |= subtle.ConstantTimeCompare(hash, want)
		}
	}
	try(secret)
	if decoded, err := url.QueryUnescape(secret); err == nil && decoded != secret {
		try(decoded)
	}
	return match == 1
}
