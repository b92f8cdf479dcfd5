package telephony

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/stile-id/stile/internal/outbox"
)

// patience is how long one call of a provider may take; maxAnswer is what is read of
// its answer.
const (
	patience  = 10 * time.Second
	maxAnswer = 256 << 10
)

// newClient follows no redirects: what is sent lets people in, and goes where the
// operator has said.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// call makes a request and reads the answer. outcome makes its status nil or one of
// the errors of package outbox.
func call(client *http.Client, r *http.Request, outcome func(status int) error) ([]byte, error) {
	res, err := client.Do(r)
	if err != nil {
		return nil, unreachable(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, unreachable(err)
	}
	return body, outcome(res.StatusCode)
}

// unreachable hides the address of a request that failed: there may be a secret in it.
func unreachable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	class := "connect"
	if errors.Is(err, context.DeadlineExceeded) || u != nil && u.Timeout() {
		class = "timeout"
	}
	return &outbox.Temporary{Class: class, Unavailable: true, Err: err}
}

// checkURL admits https, and http to this machine alone.
func checkURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("is not of the form https://host/path")
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	if u.Scheme == "http" && host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, errors.New("must begin with https://: what is sent there lets people in")
	}
	return u, nil
}
