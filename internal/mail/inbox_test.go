package mail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/outbox"
)

func newInbox(t testing.TB, change ...func(*InboxConfig)) *Inbox {
	t.Helper()
	c := InboxConfig{Now: func() time.Time { return at1402 }}
	for _, f := range change {
		f(&c)
	}
	b, err := NewInbox(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// put adds a mail to an address under an id.
func put(t testing.TB, b *Inbox, id, to string) {
	t.Helper()
	l, err := newComposer(t).Compose(id, message(SignIn, func(m *Message) { m.To = to }))
	if err != nil {
		t.Fatal(err)
	}
	b.Add(l)
}

func ids(messages []InboxMessage) []string {
	out := []string{}
	for _, m := range messages {
		out = append(out, m.ID)
	}
	return out
}

func TestInboxOrderAndFilter(t *testing.T) {
	b := newInbox(t)
	put(t, b, "one", "ada@example.com")
	put(t, b, "two", "Bob@Example.COM")
	put(t, b, "three", "ada@example.com")
	put(t, b, "four", "eva@bücher.example")
	for to, want := range map[string][]string{
		"":                          {"four", "three", "two", "one"},
		"ada@example.com":           {"three", "one"},
		"ADA@EXAMPLE.COM":           {"three", "one"},
		"bob@example.com":           {"two"},
		"eva@xn--bcher-kva.example": {"four"},
		"eva@BÜCHER.example":        {"four"},
		"nobody@example.com":        {},
		"ada":                       {},
	} {
		if diff := cmp.Diff(want, ids(b.Messages(to))); diff != "" {
			t.Errorf("UX_P8_2 %q: %s", to, diff)
		}
	}
	m := b.Messages("bob@example.com")[0]
	if m.Code != "123456" || m.Link != message(SignIn).Link || m.To != "Bob@Example.COM" || m.CreatedAt != at1402 {
		t.Errorf("%+v", m)
	}
}

// Mails are sent side by side: a notice that was written before a code may arrive
// after it, and is not the newest for that.
func TestInboxOrderIsThatOfWriting(t *testing.T) {
	b := newInbox(t)
	for _, m := range []struct {
		id      string
		written time.Duration
	}{{"code", time.Second}, {"notice", 0}, {"next", 2 * time.Second}} {
		l := *letter(t)
		l.ID, l.To, l.Date = m.id, "ada@example.com", at1402.Add(m.written)
		b.Add(&l)
		if m.id == "next" {
			continue
		}
		if newest, err := b.Wait(t.Context(), l.To, ""); err != nil || newest.ID != "code" {
			t.Errorf("after %s the newest is %s, %v", m.id, newest.ID, err)
		}
	}
	if diff := cmp.Diff([]string{"next", "code", "notice"}, ids(b.Messages(""))); diff != "" {
		t.Error(diff)
	}
	if after, err := b.Wait(t.Context(), "", "code"); err != nil || after.ID != "next" {
		t.Errorf("after the code: %s, %v", after.ID, err)
	}
}

func TestInboxKeepsEachLetterOnce(t *testing.T) {
	b := newInbox(t)
	put(t, b, "one", "ada@example.com")
	put(t, b, "one", "ada@example.com")
	if got := ids(b.Messages("")); len(got) != 1 {
		t.Errorf("REL_R06: %v", got)
	}
}

func TestUX_P8_5_AtMostAThousand(t *testing.T) {
	dir := t.TempDir()
	b := newInbox(t, func(c *InboxConfig) { c.Dir = dir })
	l := letter(t)
	for i := range InboxMax + 5 {
		n := *l
		n.ID = fmt.Sprintf("m%d", i)
		b.Add(&n)
	}
	got := b.Messages("")
	if len(got) != InboxMax || got[0].ID != "m1004" || got[InboxMax-1].ID != "m5" {
		t.Errorf("%d kept, from %s to %s", len(got), got[0].ID, got[len(got)-1].ID)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != InboxMax {
		t.Errorf("%d files, %v", len(files), err)
	}
}

func TestInboxOutlivesARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "inbox")
	config := func(c *InboxConfig) { c.Dir = dir }
	b := newInbox(t, config)
	put(t, b, "one", "ada@example.com")
	put(t, b, "two", "ada@example.com")
	put(t, b, "three", "ada@example.com")
	if err := b.Delete("two"); err != nil {
		t.Fatal(err)
	}
	want := b.Messages("")
	if err := os.WriteFile(filepath.Join(dir, "000000000099.json"), []byte("{cut"), 0o600); err != nil {
		t.Fatal(err)
	}

	again := newInbox(t, config)
	if diff := cmp.Diff(want, again.Messages("")); diff != "" {
		t.Error(diff)
	}
	put(t, again, "three", "ada@example.com")
	put(t, again, "four", "ada@example.com")
	if diff := cmp.Diff([]string{"four", "three", "one"}, ids(again.Messages(""))); diff != "" {
		t.Error(diff)
	}
	again.DeleteAll("")
	if left := newInbox(t, config).Messages(""); len(left) != 0 {
		t.Errorf("%d messages came back", len(left))
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestInboxDelete(t *testing.T) {
	b := newInbox(t)
	put(t, b, "one", "ada@example.com")
	put(t, b, "two", "bob@example.com")
	put(t, b, "three", "ada@example.com")
	if err := b.Delete("missing"); !errors.Is(err, ErrUnknownMessage) {
		t.Errorf("%v", err)
	}
	b.DeleteAll("Ada@example.com")
	if diff := cmp.Diff([]string{"two"}, ids(b.Messages(""))); diff != "" {
		t.Error(diff)
	}
}

func TestUX_P8_3_Wait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInbox(t, func(c *InboxConfig) { c.Now = time.Now })
		put(t, b, "old", "ada@example.com")
		begin := time.Now()

		if m, err := b.Wait(t.Context(), "ada@example.com", ""); err != nil || m.ID != "old" {
			t.Errorf("what is there already: %v, %v", m.ID, err)
		}
		time.AfterFunc(3*time.Second, func() { put(t, b, "other", "bob@example.com") })
		time.AfterFunc(5*time.Second, func() { put(t, b, "new", "ada@example.com") })
		if m, err := b.Wait(t.Context(), "ada@example.com", "old"); err != nil || m.ID != "new" {
			t.Errorf("after an id: %v, %v", m.ID, err)
		}
		if waited := time.Since(begin); waited != 5*time.Second {
			t.Errorf("waited %v", waited)
		}
		if m, err := b.Wait(t.Context(), "", begin.Add(4*time.Second).Format(time.RFC3339)); err != nil || m.ID != "new" {
			t.Errorf("after a time: %v, %v", m.ID, err)
		}
		if _, err := b.Wait(t.Context(), "", "nothing known"); !errors.Is(err, ErrUnknownMessage) {
			t.Errorf("after nothing known: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := b.Wait(ctx, "ada@example.com", "new"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("none comes: %v", err)
		}
		if err := b.Delete("new"); err != nil {
			t.Error(err)
		}
		time.AfterFunc(time.Second, func() { _ = b.Close() })
		if _, err := b.Wait(t.Context(), "ada@example.com", "new"); !errors.Is(err, ErrClosed) {
			t.Errorf("after a deleted one, until closed: %v", err)
		}
	})
}

func TestPost(t *testing.T) {
	r := &relay{}
	b := newInbox(t)
	p := &Post{Composer: newComposer(t), Inbox: b, SMTP: NewRelays(time.Now, slog.New(slog.DiscardHandler), dialer(t, "smtp://"+serve(t, r, cleartext)))}
	payload, err := json.Marshal(message(SignUp))
	if err != nil {
		t.Fatal(err)
	}
	d := outbox.Delivery{ID: "msg1", Payload: payload, Attempt: 1, CreatedAt: at1402}
	for range 2 { // at least once
		if err := p.Deliver(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	got := r.received()
	if len(b.Messages("")) != 1 || len(got) != 2 || string(got[0].data) != string(got[1].data) {
		t.Errorf("%d in the inbox, %d sent", len(b.Messages("")), len(got))
	}

	for name, payload := range map[string]string{"no JSON": "{", "no template": "{}"} {
		var permanent *outbox.Permanent
		if err := p.Deliver(t.Context(), outbox.Delivery{ID: "msg2", Payload: []byte(payload)}); !errors.As(err, &permanent) || permanent.Class != "invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}

	// The inbox has a mail even where the relay does not take it.
	r.mu.Lock()
	r.rcpt = &smtpRefusal
	r.mu.Unlock()
	d.ID = "msg3"
	wantClass(t, p.Deliver(t.Context(), d), "550", true, false)
	if got := ids(b.Messages("")); len(got) != 2 {
		t.Errorf("%v", got)
	}

	// A row of the same id, the day after.
	r.mu.Lock()
	r.rcpt = nil
	r.mu.Unlock()
	d.ID, d.CreatedAt = "msg1", at1402.Add(24*time.Hour)
	if err := p.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	got = r.received()
	first, second := messageID(t, got[0].data), messageID(t, got[len(got)-1].data)
	if first == second || len(b.Messages("")) != 3 {
		t.Errorf("%d in the inbox; Message-ID %s, then %s", len(b.Messages("")), first, second)
	}
}

func messageID(t *testing.T, raw []byte) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return m.Header.Get("Message-Id")
}
