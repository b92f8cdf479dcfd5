//go:build unix

package faults

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/stile-id/stile/idx"
	offered "github.com/stile-id/stile/internal/load"
)

// REL R-07: a mail server that is busy for a while, and one that does not know
// some people, hold up no answer; each mail arrives, or is given up with a reason.
func TestREL_R07_BusyRelay(t *testing.T) {
	s := open(t, plan{})
	busy := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "busy"}
	unknown := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	refuse := func(now error) {
		s.sink.Refuse(func(to string) error {
			if strings.HasPrefix(to, "nobody") {
				return unknown
			}
			return now
		})
	}
	refuse(nil)
	l := s.begin(4, sized(10*time.Minute, 20*time.Minute), patient)
	times := sized(1, 20)
	const strangers = 5
	for i := range times {
		pause(l.ctx, 500*time.Millisecond)
		refuse(busy)
		pause(l.ctx, 2*time.Second)
		for n := range strangers {
			g := l.guest(fmt.Sprintf("nobody%d.%d", i, n), fmt.Sprintf("nobody%d.%d@example.com", i, n), int64(50000+i*strangers+n))
			tx, err := g.app.Register(l.ctx, idx.Profile{FirstName: "A", LastName: "B", Email: g.address})
			if err != nil || tx.NextStep == nil || tx.NextStep.Name != "enroll-authenticator" {
				t.Errorf("%s: %+v, %v", g.address, tx, err)
			}
		}
		refuse(nil)
	}
	v := s.judge(l)
	var slowest time.Duration
	for _, c := range s.read() {
		slowest = max(slowest, c.Took)
	}
	db := s.sql()
	defer db.Close()
	var sent, refused int
	err := db.QueryRow("SELECT count(*) FILTER (WHERE status = 'sent'), count(*) FILTER (WHERE status = 'refused' AND last_error = '550') FROM outbox").Scan(&sent, &refused)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d times busy for 2 s; %d mails sent, %d refused for good; the slowest answer took %v", times, sent, refused, slowest.Round(time.Millisecond))
	if v.refused > 0 || v.unknown > 0 || refused != times*strangers {
		t.Errorf("%d requests refused, %d without an answer, want none; %d mails refused, want %d", v.refused, v.unknown, refused, times*strangers)
	}
}

// REL R-07: whatever a mail server does to its clients, people who ask for a code
// are answered as if it did well.
func TestREL_R07_EachMode(t *testing.T) {
	measures(t)
	s := open(t, plan{nice: true})
	c := s.visitors()
	c.capacity(1)
	rate := c.capacity(2) / 4
	refusing := func(code int) func() (func() error, error) {
		return func() (func() error, error) {
			s.sink.Refuse(func(string) error { return &smtp.SMTPError{Code: code, Message: "as the test has it"} })
			return func() error { s.sink.Refuse(nil); return nil }, nil
		}
	}
	talking := func(server func(net.Conn)) func() (func() error, error) {
		return func() (func() error, error) { return s.sink.Instead(server) }
	}
	modes := []struct {
		name  string
		begin func() (end func() error, err error)
	}{
		{"well", func() (func() error, error) { return func() error { return nil }, nil }},
		{"closed port", func() (func() error, error) { return s.sink.Reopen, s.sink.Close() }},
		{"accepts and says nothing", talking(func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })},
		{"a byte a second", talking(func(c net.Conn) {
			for _, b := range []byte("220 slow.example ESMTP, and a greeting that does not end within any patience\r\n") {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				pause(t.Context(), time.Second)
			}
		})},
		{"421 at once", talking(func(c net.Conn) { _, _ = c.Write([]byte("421 gone.example is going\r\n")) })},
		{"450", refusing(450)},
		{"451", refusing(451)},
		{"452", refusing(452)},
		{"550", refusing(550)},
		{"gone after DATA", talking(func(c net.Conn) { until(c, "DATA\r\n") })},
		{"gone after the dot", talking(func(c net.Conn) { until(c, ".\r\n") })},
	}
	var late time.Duration
	for i, m := range modes {
		end, err := m.begin()
		if err != nil {
			t.Fatal(err)
		}
		c.times()
		r := offered.Offer(t.Context(), rate, 15*time.Second, func(ctx context.Context, n int) offered.Outcome {
			n += (3 + i) << 20
			_, err := c.wishes(ctx, n, fmt.Sprintf("p%d@example.com", n))
			return c.became(err)
		})
		took, refused, _ := c.times()
		late = max(late, offered.Percentile(r.Lateness, 99))
		p99 := offered.Percentile(took, 99)
		t.Logf("%-24s %d asked for a code; requests p50 %v, p99 %v; %d refused", m.name,
			r.Count(offered.Answered), offered.Percentile(took, 50), p99, len(refused))
		if p99 > 300*time.Millisecond || len(refused) > 0 {
			t.Errorf("%s: p99 of requests is %v, %d were refused", m.name, p99, len(refused))
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	void(t, late)
	s.delivered(t)
}

// until converses as a mail server does, as far as a line that ends so.
func until(c net.Conn, last string) {
	if _, err := c.Write([]byte("220 gone.example ESMTP\r\n")); err != nil {
		return
	}
	data := false
	for lines := bufio.NewReader(c); ; {
		line, err := lines.ReadString('\n')
		if err != nil || line == last {
			return
		}
		reply := "250 gone.example\r\n"
		if data {
			continue
		} else if line == "DATA\r\n" {
			data, reply = true, "354 go on\r\n"
		}
		if _, err := c.Write([]byte(reply)); err != nil {
			return
		}
	}
}

// delivered waits until no mail is to be sent any more, and says what became of them.
func (s *site) delivered(t *testing.T) (sent int) {
	t.Helper()
	db := s.sql()
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	for {
		var open, refused, expired int
		err := db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE status IN ('queued', 'delayed')), count(*) FILTER (WHERE status = 'sent'),
			count(*) FILTER (WHERE status = 'refused'), count(*) FILTER (WHERE status = 'expired') FROM outbox`).Scan(&open, &sent, &refused, &expired)
		if err != nil {
			t.Fatalf("%d mails wait: %v", open, err)
		}
		if open == 0 {
			t.Logf("mails: %d sent, %d refused, %d expired", sent, refused, expired)
			return sent
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// REL R-08: nobody listens where mails go, and five times as many people come as there
// is room for. What waits is bounded, and is gone soon when mails can go again.
func TestREL_R08_RelayAway(t *testing.T) {
	measures(t)
	s := open(t, plan{nice: true})
	n, c := s.nodes[0], s.visitors()
	c.capacity(1)
	capacity := c.capacity(2)
	db := s.sql()
	defer db.Close()
	before, from := held(t, n), len(s.sink.Mails())
	if err := s.sink.Close(); err != nil {
		t.Fatal(err)
	}
	r := offered.Offer(t.Context(), 5*capacity, sized(2*time.Second, 2*time.Minute), func(ctx context.Context, n int) offered.Outcome {
		n += 3 << 20
		_, err := c.wishes(ctx, n, fmt.Sprintf("p%d@example.com", n))
		return c.became(err)
	})
	var waiting int
	if err := db.QueryRow("SELECT count(*) FROM outbox WHERE status IN ('queued', 'delayed')").Scan(&waiting); err != nil {
		t.Fatal(err)
	}
	after := held(t, n)
	t.Logf("%v; %d mails wait, %.1f MiB held before and %.1f after", r, waiting, before, after)
	if err := s.sink.Reopen(); err != nil {
		t.Fatal(err)
	}
	s.delivered(t)
	came := s.sink.Mails()[from:]
	all := len(came)
	if all == 0 {
		t.Fatal("no mail came")
	}
	// The first are tried one at a time; the last were tried before, and wait for their turn.
	most := came[all/20 : all-all/20]
	rate := float64(len(most)) / most[len(most)-1].At.Sub(most[0].At).Seconds()
	t.Logf("%d mails came within %v, %.0f a second", all, came[all-1].At.Sub(came[0].At).Round(time.Second), rate)
	void(t, offered.Percentile(r.Lateness, 99))
	if waiting > 100_000 || after > 400 {
		t.Errorf("%d mails wait, and %.1f MiB are held", waiting, after)
	}
	if all < r.Count(offered.Answered) {
		t.Errorf("%d mails came to the %d who were promised one", all, r.Count(offered.Answered))
	}
	if rate < 4*50 { // four workers
		t.Errorf("%.0f mails a second, want 50 for each of four workers", rate)
	}
}
