package mail

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// relayFailures is how many letters in a row a relay may fail (outbox.Chain).
const relayFailures = 3

func TestREL_R08_TwoRelays(t *testing.T) {
	busy := &smtp.SMTPError{Code: 421, EnhancedCode: smtp.NoEnhancedCode, Message: "closing"}
	first, second := &relay{mail: busy}, &relay{}
	clock := struct {
		sync.Mutex
		at time.Time
	}{at: time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)}
	pass := func(d time.Duration) {
		clock.Lock()
		defer clock.Unlock()
		clock.at = clock.at.Add(d)
	}
	now := func() time.Time {
		clock.Lock()
		defer clock.Unlock()
		return clock.at
	}
	r := NewRelays(now, slog.New(slog.DiscardHandler),
		dialer(t, "smtp://"+serve(t, first, cleartext)), dialer(t, "smtp://"+serve(t, second, cleartext)))
	asked := func(r *relay) int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.sessions
	}
	set := func(r *relay, mail *smtp.SMTPError) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.mail = mail
	}
	send := func() error { return r.Send(t.Context(), letter(t)) }
	want := func(when string, firstAsked, firstGot, secondGot int) {
		t.Helper()
		if asked(first) != firstAsked || len(first.received()) != firstGot || len(second.received()) != secondGot {
			t.Errorf("%s: first asked %d times, got %d, second got %d", when, asked(first), len(first.received()), len(second.received()))
		}
	}
	for range relayFailures + 2 {
		wantClass(t, send(), "", false, false)
	}
	want("while the first fails", relayFailures, 0, relayFailures+2)
	pass(16 * time.Second)
	for range 2 {
		wantClass(t, send(), "", false, false)
	}
	want("after 16 s, one letter is tried", relayFailures+1, 0, relayFailures+4)

	set(first, nil)
	pass(16 * time.Second)
	wantClass(t, send(), "", false, false)
	wantClass(t, send(), "", false, false)
	want("once the first takes letters", relayFailures+2, 2, relayFailures+4) // on one connection

	refuse := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.NoEnhancedCode, Message: "no such user"}
	first.mu.Lock()
	first.rcpt = refuse
	first.mu.Unlock()
	wantClass(t, send(), "550", true, false)
	want("what is said of a recipient holds", asked(first), 2, relayFailures+4)

	first.mu.Lock()
	first.rcpt = nil
	first.mu.Unlock()
	set(first, busy)
	set(second, busy)
	for range relayFailures {
		wantClass(t, send(), "421", false, true)
	}
	wantClass(t, send(), "unavailable", false, true)
}

// A relay that accepts and stalls leaves the next one time enough, and counts as failed.
func TestREL_R08_StalledRelay(t *testing.T) {
	second := &relay{}
	r := NewRelays(time.Now, slog.New(slog.DiscardHandler),
		dialer(t, "smtp://"+script(t, "…")), dialer(t, "smtp://"+serve(t, second, cleartext)))
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	wantClass(t, r.Send(ctx, letter(t)), "", false, false)
	if got := len(second.received()); got != 1 {
		t.Errorf("the second relay has %d letters", got)
	}
}
