//go:build unix

package faults

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/internal/faults/history"
)

// operators is the way to the operators' API of the first node: the socket of its
// data folder.
func (s *site) operators() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &history.Transport{
		Journal: s.journal, Client: "operator", Base: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", filepath.Join(s.nodes[0].dir, "data", "admin.sock"))
			},
		},
	}}
}

// unattended is for where a node may be away without anybody noticing: its operators would.
func unattended(l *load) { l.operators = nil }

// leave ends what one person in four has in a way that is to hold for good (I5):
// in turn a sign-out by the app, one everywhere, a disabling, and a deletion, after
// which the person signs up anew.
func (g *guest) leave(n int64, tx *idx.Transaction) error {
	l, user := g.load, "http://stile/api/v1/users/"+tx.Tokens.IDToken.Claims.Subject
	switch {
	case n%16 == 0: // without offline access, see guest
		hint := url.Values{"id_token_hint": {tx.Tokens.IDToken.Value}}
		return g.ended(g.http, http.MethodGet, l.site.url+"/oauth2/default/v1/logout?"+hint.Encode(), "", 0)
	case n%16 == 4:
		// The same request, if it came twice, may have ended the token (REL R-03).
		return g.ended(g.http, http.MethodDelete, l.site.url+"/idp/myaccount/sessions", tx.Tokens.AccessToken.Value, http.StatusUnauthorized)
	case n%16 == 8 && l.operators != nil:
		return g.ended(l.operators, http.MethodPost, user+"/lifecycle/suspend", "", 0)
	case n%16 == 12 && l.operators != nil:
		if err := g.ended(l.operators, http.MethodPost, user+"/lifecycle/deactivate", "", 0); err != nil {
			return err
		}
		if err := g.ended(l.operators, http.MethodDelete, user, "", 0); err != nil {
			return err
		}
		_, err := g.enter(true)
		return err
	}
	return nil
}

// ended makes a call until what it is to end is known to have ended: by a yes, by a
// status that says so, or by a no after a call of which nothing is known.
func (g *guest) ended(c *http.Client, method, to, bearer string, over int) error {
	unknown := false
	_, err := again(g.load, func() (bool, error) {
		r, err := http.NewRequestWithContext(g.load.ctx, method, to, nil)
		if err != nil {
			return false, err
		}
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		res, err := c.Do(r)
		if err != nil {
			unknown = true
			return false, err
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		switch {
		case res.StatusCode >= 500, res.StatusCode == http.StatusTooManyRequests:
			unknown = true
			after, _ := strconv.Atoi(res.Header.Get("Retry-After"))
			return false, &idx.ResponseError{Status: res.StatusCode, RetryAfter: time.Duration(after) * time.Second}
		case res.StatusCode/100 != 2 && res.StatusCode != over && !unknown:
			return false, fmt.Errorf("%s %s: %d %s", method, r.URL.Path, res.StatusCode, body)
		}
		return true, nil
	})
	return err
}

// shutOut tries to sign in people who were disabled: it takes one look, and no mail
// is waited for.
func (s *site) shutOut(l *load, addresses []string) []history.SignIn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	after := &load{site: s, base: l.base, wait: 300 * time.Millisecond, ctx: ctx}
	var out []history.SignIn
	for i, address := range addresses[max(0, len(addresses)-3):] {
		g := after.guest("shut out "+address, address, int64(64000+i))
		for _, m := range s.sink.Mails() {
			g.seen[m.MessageID] = true
		}
		in := history.SignIn{Address: address}
		tx, err := g.flow(false)
		if err != nil {
			in.Failed = err.Error()
		} else {
			in.User = tx.Tokens.IDToken.Claims.Subject
		}
		out = append(out, in)
	}
	return out
}
