//go:build unix

package faults

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stile-id/stile/internal/faults/history"
)

// deadline is what `stile serve` gives a request (SEC S-134).
const deadline = 15 * time.Second

// A verdict is what a run came to.
type verdict struct {
	sent, unknown, refused, acknowledged, users, mails, revoked int
	findings                                                    []history.Finding
}

// judge ends the load and the faults of a site, lets it settle, and checks its
// history. It prints what was counted.
func (s *site) judge(l *load) verdict {
	s.t.Helper()
	v := s.inspect(l)
	for i, f := range v.findings {
		if i == 20 {
			s.t.Errorf("and %d more", len(v.findings)-i)
			break
		}
		s.t.Errorf("%s", f)
	}
	for i, f := range l.failed.list {
		if i == 5 {
			s.t.Errorf("and %d more", len(l.failed.list)-i)
			break
		}
		s.t.Errorf("%s did not get through: %v\n%s", f.client, f.err, s.story(f.client))
	}
	return v
}

// story is what the journal has of a client, line by line.
func (s *site) story(client string) string {
	var lines []string
	for _, c := range s.read() {
		if c.Client == client {
			lines = append(lines, fmt.Sprintf("%s %s %s: %d %s %s, stage %d, after %v",
				c.At.Format("15:04:05.000"), c.Path, c.Address, c.Status, c.Error, c.Lost, c.Stage, c.Took.Round(time.Millisecond)))
		}
	}
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

func (s *site) inspect(l *load) verdict {
	s.t.Helper()
	l.end()
	s.stopAll()
	s.elapse()
	s.startAll()
	s.settled() // a mailbox is as full as what was asked for makes it

	calls := s.read()
	accounts := history.Acknowledged(calls)
	var signIns, out []history.SignIn
	if !l.loses { // who is lost gets no code
		signIns = s.signIns(l, s.sample(history.Open(calls)))
		out = s.shutOut(l, history.Closed(calls))
	}
	tokens := s.probe(calls)
	s.settled()
	s.stopAll()

	driver, source := s.tables()
	state, err := history.ReadDatabase(context.Background(), driver, source)
	if err != nil {
		s.t.Fatal(err)
	}
	state.Verified = s.verified()
	state.Mails, state.SignIns, state.Tokens = s.sink.Mails(), append(signIns, out...), tokens
	state.Refused = s.sink.Refused()
	calls = s.read()
	ended := history.Endings(calls)
	most, repeats := repeated(state.Mails)
	v := verdict{
		sent: len(calls), acknowledged: len(accounts), users: len(state.Users), mails: len(state.Mails),
		findings: history.Check(calls, state, history.Conditions{Deadline: deadline, Crashed: l.crashes}),
	}
	for _, c := range calls {
		switch {
		case c.Lost != "":
			v.unknown++
		case c.Status >= 500:
			v.refused++
		case strings.HasSuffix(c.Path, "/v1/revoke") && c.Acknowledged():
			v.revoked++
		}
	}
	s.t.Logf("%d requests: %d without an answer, %d refused with 5xx, %d calls made again, %d flows begun anew; "+
		"%d people through, %d failed, %d with a full mailbox; %d sign-ups acknowledged, %d users, %d mails, %d of them again (one at most %d times), %d revocations acknowledged, "+
		"%d sign-outs by apps, %d everywhere, %d people disabled, %d deleted; "+
		"%d signed in afterwards, %d who were disabled tried to, %d tokens asked about; %d findings",
		v.sent, v.unknown, v.refused, l.retried.Load(), l.anew.Load(), l.done.Load(), len(l.failed.list), l.full.Load(),
		v.acknowledged, v.users, v.mails, repeats, most, v.revoked,
		ended["logout"], ended["user.session.clear"], ended["user.lifecycle.suspend"], ended["user.lifecycle.delete.completed"],
		len(signIns), len(out), len(tokens), len(v.findings))
	if v.acknowledged == 0 || v.revoked == 0 {
		s.t.Error("nothing was acknowledged: the run proves nothing")
	}
	if l.done.Load() > 64 && l.operators != nil && len(ended) < 5 { // of sixteen people four end something
		s.t.Errorf("of sign-outs, disablings and deletions only %v were acknowledged: the run proves nothing of the others", ended)
	}
	if len(l.cuts) > 0 {
		if err := l.repeats(state.Mails); err != nil {
			s.t.Errorf("REL R-06: %v", err)
		}
	}
	return v
}

func (s *site) read() []history.Call {
	s.t.Helper()
	calls, err := history.Read(s.journal.Name())
	if err != nil {
		s.t.Fatal(err)
	}
	return calls
}

func (s *site) sql() *sql.DB {
	s.t.Helper()
	driver, source := s.tables()
	db, err := sql.Open(driver, source)
	if err != nil {
		s.t.Fatal(err)
	}
	return db
}

// elapse lets the time pass that a mail waits which was in the hands of a
// process that was killed: a minute, for the lease (decision 3).
func (s *site) elapse() {
	s.t.Helper()
	db := s.sql()
	defer db.Close()
	if _, err := db.Exec("UPDATE outbox SET leased_until = 0, not_before = 0 WHERE status IN ('queued', 'delayed')"); err != nil {
		s.t.Fatal(err)
	}
}

// settled waits until no mail is to be delivered any more.
func (s *site) settled() {
	s.t.Helper()
	db := s.sql()
	defer db.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), 90*time.Second)
	defer cancel()
	for {
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM outbox WHERE status IN ('queued', 'delayed')").Scan(&n); err != nil {
			s.t.Fatalf("%d mails wait: %v", n, err)
		}
		if n == 0 {
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// sample is some of the accounts, the last ones among them, whose mailboxes are
// not full: five mails in a quarter of an hour are all that an address gets.
func (s *site) sample(accounts []string) []string {
	got := map[string]int{}
	for _, m := range s.sink.Mails() {
		got[m.To]++
	}
	accounts = slices.DeleteFunc(slices.Clone(accounts), func(a string) bool { return got[a] > 3 })
	most := sized(20, 400)
	if len(accounts) <= most {
		return accounts
	}
	var out []string
	for i := range most { // evenly over all of the run
		out = append(out, accounts[i*len(accounts)/most])
	}
	return out
}

// signIns signs people in afterwards.
func (s *site) signIns(l *load, addresses []string) []history.SignIn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	after := &load{site: s, base: l.base, wait: 20 * time.Second, ctx: ctx}
	seen := map[string]bool{}
	for _, m := range s.sink.Mails() {
		seen[m.MessageID] = true
	}
	out := make([]history.SignIn, len(addresses))
	var group sync.WaitGroup
	turn := make(chan int)
	for range 4 {
		group.Go(func() {
			for i := range turn {
				g := after.guest("after "+addresses[i], addresses[i], int64(60000+i))
				for id := range seen {
					g.seen[id] = true
				}
				out[i].Address = addresses[i]
				tx, err := g.enter(false)
				if err != nil {
					out[i].Failed = err.Error()
					continue
				}
				out[i].User = tx.Tokens.IDToken.Claims.Subject
			}
		})
	}
	for i := range addresses {
		turn <- i
	}
	close(turn)
	group.Wait()
	return out
}

// probe asks each node about tokens that were to end.
func (s *site) probe(calls []history.Call) []history.Probe {
	s.t.Helper()
	var out []history.Probe
	for _, token := range history.Void(calls) {
		for _, n := range s.nodes {
			live, err := n.introspect(s.secret, token)
			if err != nil {
				s.t.Errorf("%s: %v", n.name, err)
			}
			out = append(out, history.Probe{Token: token, Node: n.name, Accepted: live})
		}
	}
	return out
}

// introspect asks whether a token is active (RFC 7662).
func (n *node) introspect(secret, token string) (bool, error) {
	r, err := http.NewRequest("POST", n.url()+"/oauth2/default/v1/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(clientID, secret)
	res, err := (&http.Client{Timeout: 30 * time.Second}).Do(r)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	var answer struct {
		Active *bool `json:"active"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Active == nil {
		return false, fmt.Errorf("introspect: %d, %v", res.StatusCode, err)
	}
	return *answer.Active, nil
}
