//go:build unix

package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/stile-id/stile/idx"
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
	l := s.begin(4, sized(2*time.Minute, 20*time.Minute), patient)
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
