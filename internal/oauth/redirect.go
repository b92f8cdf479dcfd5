package oauth

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const maxURI = 2048

// answerParameters are what the engine appends to a redirect URI: one that
// already has them could forge an answer (SEC S-75).
var answerParameters = []string{"code", "state", "iss", "error", "error_description", "interaction_code", "otp"}

// ValidateRedirectURI reports why a URI may not be registered, nil if it may:
// https, http on loopback and, for public clients alone, a scheme made from a
// domain name (RFC 8252 §7.1). Requests must then match it byte by byte.
func ValidateRedirectURI(raw string, public bool) error {
	if raw == "" || len(raw) > maxURI {
		return fmt.Errorf("must have 1 to %d characters", maxURI)
	}
	if i := strings.IndexFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"*<>\\^`{|}", r) }); i >= 0 {
		return fmt.Errorf("character %d is not allowed: wildcards do not exist, and others must be percent-encoded", i+1)
	}
	if strings.Contains(raw, "#") {
		return errors.New("must not have a fragment")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("is not a URI")
	}
	if u.User != nil || strings.Contains(u.Host, "@") {
		return errors.New("must not have user information")
	}
	if u.Opaque != "" || !strings.HasPrefix(raw, u.Scheme+":") {
		return errors.New("must be absolute, with its scheme in lower case")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("has a malformed query")
	}
	for _, name := range answerParameters {
		if query.Has(name) {
			return fmt.Errorf("must not already contain the parameter '%s'", name)
		}
	}
	switch u.Scheme {
	case "https", "http":
		if err := checkAuthority(u); err != nil {
			return err
		}
		if u.Scheme == "http" && !loopback(u.Hostname()) {
			return errors.New("must be https; plain http is for loopback addresses")
		}
		return nil
	case "":
		return errors.New("must be absolute")
	}
	if !public || !strings.Contains(u.Scheme, ".") {
		return errors.New("must be https; private-use schemes are for public clients and start with a domain name in reverse")
	}
	return nil
}

func checkAuthority(u *url.URL) error {
	host, port := u.Hostname(), u.Port()
	ip, err := netip.ParseAddr(host)
	switch {
	case err == nil && ip.Zone() == "" && ip.Is6() == strings.HasPrefix(u.Host, "["):
	case host == "" || strings.Trim(host, "0123456789-.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" ||
		strings.HasPrefix(host, ".") || strings.Contains(host, ".."):
		return errors.New("has no valid host name; write international names in their xn-- form")
	}
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) || strings.HasSuffix(u.Host, ":") {
		return errors.New("has an invalid port")
	}
	return nil
}

// loopback reports whether a host never leaves the machine (RFC 6761 §6.3).
func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// AllowsRedirect reports whether uri is registered with the client: the same
// bytes, but for the port of a loopback address of a public client, which
// native apps cannot know beforehand (RFC 8252 §7.3).
func (c *Client) AllowsRedirect(uri string) bool {
	if slices.Contains(c.RedirectURIs, uri) {
		return true
	}
	if !c.Public() {
		return false
	}
	host, rest, ok := cutLoopbackPort(uri)
	return ok && slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		h, r, ok := cutLoopbackPort(registered)
		return ok && h == host && r == rest
	})
}

// cutLoopbackPort splits http://127.0.0.1:PORT/rest or http://[::1]:PORT/rest
// into its parts without the port.
func cutLoopbackPort(uri string) (host, rest string, ok bool) {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]"} {
		rest, ok := strings.CutPrefix(uri, host)
		if !ok {
			continue
		}
		if digits, ok := strings.CutPrefix(rest, ":"); ok {
			rest = strings.TrimLeft(digits, "0123456789")
			if n, err := strconv.ParseUint(digits[:len(digits)-len(rest)], 10, 16); err != nil || n == 0 {
				return "", "", false
			}
		}
		return host, rest, rest == "" || rest[0] == '/' || rest[0] == '?'
	}
	return "", "", false
}
