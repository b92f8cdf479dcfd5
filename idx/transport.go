package idx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	maxBody = 1 << 20 // of an answer, in bytes

	ionType  = "application/ion+json; okta-version=1.0.0"
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// A response is an answer, read to its end.
type response struct {
	status     int
	body       []byte
	requestID  string
	retryAfter time.Duration
	challenge  string // WWW-Authenticate
}

func (c *Client) do(req *http.Request) (*response, error) { return c.doUpTo(req, maxBody) }

// doUpTo reads an answer of limit bytes at most.
func (c *Client) doUpTo(req *http.Request, limit int) (*response, error) {
	if d, ok := device(req.Context()); ok && headerSafe(d.AcceptLanguage) {
		req.Header.Set("Accept-Language", d.AcceptLanguage)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("idx: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("idx: %s: %w", req.URL.Redacted(), err)
	}
	r := &response{
		status:     res.StatusCode,
		body:       body,
		requestID:  res.Header.Get("X-Okta-Request-Id"),
		retryAfter: wait(res.Header.Get("Retry-After"), c.cfg.Now()),
		challenge:  res.Header.Get("WWW-Authenticate"),
	}
	if len(body) > limit {
		return nil, &ResponseError{
			Status: r.status, RequestID: r.requestID, Description: fmt.Sprintf("the answer is longer than %d MiB", limit>>20),
		}
	}
	return r, nil
}

// wait reads Retry-After, seconds or a date (RFC 9110 §10.2.3).
func wait(value string, now time.Time) time.Duration {
	if s, err := strconv.Atoi(value); err == nil && s > 0 && s < 1<<30 {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// postJSON posts to the IDX API. accepts is what the form says of itself.
func (c *Client) postJSON(ctx context.Context, href, contentType, accepts string, body map[string]any) (*response, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("idx: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, href, bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("idx: %w", err)
	}
	if accepts == "" {
		accepts = ionType
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", accepts)
	return c.do(req)
}

// newForm makes a request to an OAuth endpoint, authenticated as the client
// (RFC 6749 §2.3.1).
func (c *Client) newForm(ctx context.Context, href string, form url.Values) (*http.Request, error) {
	form.Set("client_id", c.cfg.ClientID)
	if c.cfg.ClientSecret != "" && c.cfg.SecretInBody {
		form.Set("client_secret", c.cfg.ClientSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, href, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("idx: %w", err)
	}
	req.Header.Set("Content-Type", formType)
	req.Header.Set("Accept", jsonType)
	if c.cfg.ClientSecret != "" && !c.cfg.SecretInBody {
		req.SetBasicAuth(url.QueryEscape(c.cfg.ClientID), url.QueryEscape(c.cfg.ClientSecret))
	}
	return req, nil
}

// get reads a JSON object from the engine.
func (c *Client) get(ctx context.Context, href string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, href, nil)
	if err != nil {
		return fmt.Errorf("idx: %w", err)
	}
	req.Header.Set("Accept", jsonType)
	res, err := c.do(req)
	if err != nil {
		return err
	}
	if res.status != http.StatusOK {
		return res.failure()
	}
	if err := json.Unmarshal(res.body, into); err != nil {
		return fmt.Errorf("idx: %s: %w", href, err)
	}
	return nil
}

func origin(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// sameOrigin refuses to follow a document to another server: what is posted
// holds the state handle and what a person typed.
func (c *Client) sameOrigin(href string) error {
	u, err := url.Parse(href)
	if err != nil {
		return errors.New("idx: the engine gave an href that is no URL")
	}
	if u.User != nil || origin(u) != c.origin {
		return fmt.Errorf("idx: the engine gave an href of another origin: %s", origin(u))
	}
	return nil
}

func device(ctx context.Context) (Device, bool) {
	d, ok := ctx.Value(deviceKey{}).(Device)
	return d, ok
}

// forward passes the person's address, agent and device on. An engine believes them only
// from a client that has proven its secret, so others do not send them.
func (c *Client) forward(req *http.Request) {
	d, ok := device(req.Context())
	if !ok || c.cfg.ClientSecret == "" {
		return
	}
	if ip, err := netip.ParseAddr(d.IP); err == nil {
		req.Header.Set("X-Forwarded-For", ip.WithZone("").String())
	}
	if headerSafe(d.UserAgent) {
		req.Header.Set("User-Agent", d.UserAgent)
	}
	if deviceToken.MatchString(d.DeviceToken) {
		req.Header.Set("X-Device-Token", d.DeviceToken)
	}
}

// deviceToken is what engines take for one.
var deviceToken = regexp.MustCompile(`^[0-9A-Za-z._~-]{16,32}$`)

// headerSafe refuses what came from a browser and net/http would not send.
func headerSafe(s string) bool {
	const longest = 1024
	return s != "" && len(s) <= longest && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
