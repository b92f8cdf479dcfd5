package oauth

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"github.com/stile-id/stile/internal/edge"
)

const (
	maxOpaque      = 2048 // state, nonce and the tokens that a flow can start with
	maxUserAgent   = 512
	maxDeviceToken = 32
	maxLocale      = 200 // SEC S-138
)

var (
	s256Challenge = regexp.MustCompile(`^[0-9A-Za-z_-]{43}$`)
	deviceToken   = regexp.MustCompile(`^[0-9A-Za-z._~-]+$`)
)

type interactResponse struct {
	Handle string `json:"interaction_handle"`
}

// interact begins a transaction for a client (IDX §1.6). A confidential client
// may leave its secret out, since okta-idx-golang does; only with it is it
// believed where the person comes from.
func (c *call) interact() error {
	p, err := c.form(false)
	if err != nil {
		return err
	}
	if err := c.identify(p); err != nil {
		return err
	}
	if c.client == nil {
		return errNoClient
	}
	if !slices.Contains(c.issuer.Grants, grantInteractionCode) {
		return errFeature
	}
	if !slices.Contains(c.client.GrantTypes, grantInteractionCode) {
		return unauthorizedClient(c.client)
	}
	request := InteractionRequest{
		ClientID: c.client.ID, Server: c.issuer.ID, ClientAuthenticated: c.authenticated,
		Nonce: p["nonce"], LoginHint: p["login_hint"],
		ActivationToken: p["activation_token"], RecoveryToken: p["recovery_token"],
		ACRValues: strings.Fields(p["acr_values"]), Enroll: p["enroll_authenticator"],
	}
	if request.RedirectURI, err = p.need("redirect_uri"); err != nil {
		return err
	}
	if !c.client.AllowsRedirect(request.RedirectURI) {
		return invalidRequest("The 'redirect_uri' parameter must be a Login redirect URI in the client app settings.")
	}
	if request.CodeChallenge, err = p.need("code_challenge"); err != nil {
		return err
	}
	if p["code_challenge_method"] != "S256" {
		return invalidRequest("The 'code_challenge_method' parameter must be 'S256'.")
	}
	if !s256Challenge.MatchString(request.CodeChallenge) {
		return invalidRequest("The 'code_challenge' parameter must have 43 base64url characters.")
	}
	if request.State, err = p.need("state"); err != nil {
		return err
	}
	for _, name := range []string{"state", "nonce", "activation_token", "recovery_token", "login_hint", "acr_values", "enroll_authenticator"} {
		if len(p[name]) > maxOpaque {
			return invalidRequest("The '%s' parameter is longer than %d characters.", name, maxOpaque)
		}
	}
	if request.Scopes, err = c.requestedScopes(p); err != nil {
		return err
	}
	if v := p["max_age"]; v != "" {
		age, err := strconv.ParseInt(v, 10, 64)
		if err != nil || age < 0 {
			return invalidRequest("The 'max_age' parameter must be a number of seconds.")
		}
		request.MaxAge = &age
	}
	c.describePerson(&request)
	request.SessionCookie, request.Browser = c.cookie.Read(c.r)

	handle, err := c.interactions.Begin(c.r.Context(), request)
	if err != nil {
		return err
	}
	edge.WriteJSON(c.w, http.StatusOK, interactResponse{handle})
	return nil
}

func (c *call) requestedScopes(p params) ([]string, error) {
	asked, err := p.need("scope")
	if err != nil {
		return nil, err
	}
	scopes, err := parseScopes(asked)
	if err != nil {
		return nil, err
	}
	if len(scopes) == 0 || len(c.issuer.allowedScopes(c.client, scopes)) != len(scopes) {
		return nil, errScope
	}
	return scopes, nil
}

// describePerson notes where the person is. The headers that speak of somebody
// other than the caller count only from a client that proved its secret (IDX §1.3).
func (c *call) describePerson(request *InteractionRequest) {
	h := c.r.Header
	request.IP = edge.RemoteIP(c.r)
	request.UserAgent = limit(c.r.UserAgent(), maxUserAgent)
	request.Locale = locale(h.Get("Accept-Language"))
	if !c.authenticated {
		return
	}
	first, _, _ := strings.Cut(h.Get("X-Forwarded-For"), ",")
	if ip, err := netip.ParseAddr(strings.TrimSpace(first)); err == nil {
		request.IP, request.Forwarded = ip.WithZone("").Unmap().String(), true
	}
	if t := h.Get("X-Device-Token"); len(t) <= maxDeviceToken && deviceToken.MatchString(t) {
		request.DeviceToken = t
	}
}

// locale returns the language that an Accept-Language header prefers.
func locale(header string) string {
	if len(header) > maxLocale {
		return ""
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return ""
	}
	for _, t := range tags {
		if t != language.Und && t.String() != "mul" { // "*" is any
			return t.String()
		}
	}
	return ""
}

// limit cuts s to at most n bytes of printable ASCII.
func limit(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), n)]
}
