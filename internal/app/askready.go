package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/stile-id/stile/internal/config"
)

// askPatience is for the answer, which readyPatience may be a part of.
const askPatience = readyPatience + 2*time.Second

// AskReady asks a running engine whether it is ready, and says so or returns why not, in
// one line. It is for containers whose image has nothing else to ask with.
func AskReady(ctx context.Context, c config.Ready, out io.Writer) error {
	door, err := c.Door(os.Environ())
	if err != nil {
		return err
	}
	transport := &http.Transport{} // asks no proxy: one would answer in place of the engine
	if door.Certificate != "" {
		if transport.TLSClientConfig, err = itself(door); err != nil {
			return err
		}
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport: transport, Timeout: askPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, door.URL+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(r)
	if err != nil {
		var why *url.Error
		if errors.As(err, &why) {
			err = why.Err
		}
		return fmt.Errorf("%s does not answer: %w", door.URL, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 500))
	if err != nil {
		return fmt.Errorf("%s: %w", door.URL, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d: %s", door.URL, res.StatusCode, firstLine(string(text)))
	}
	fmt.Fprintf(out, "%s is ready.\n", door.URL)
	return nil
}

// itself trusts an engine that shows the certificate in its settings, whoever has signed it.
func itself(d config.Door) (*tls.Config, error) {
	chain, err := os.ReadFile(d.Certificate)
	if err != nil {
		return nil, err
	}
	trusted, err := x509.SystemCertPool()
	if err != nil {
		trusted = x509.NewCertPool() // this machine knows none
	}
	trusted.AppendCertsFromPEM(chain)
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: d.Host, RootCAs: trusted}, nil
}

// firstLine is for a terminal, whoever wrote the text.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, line)
}
