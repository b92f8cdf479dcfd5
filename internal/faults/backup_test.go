//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/faults/history"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// REL R-25: backups are made beside an engine under load, and what is restored from
// each is compared with the journal: all that was acknowledged before the backup
// began is there, nothing is half there, and nothing is of later than its end. An
// engine on the newest signs people in and up, takes no token from before, and sends
// no mail again.
func TestREL_R25_RestoredAgainstTheJournal(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { againstTheJournal(t, "", func() string { return "" }) })
	t.Run("postgres", func(t *testing.T) {
		whole(t)
		againstTheJournal(t, pgtest.Database(t), func() string { return pgtest.Empty(t) })
	})
}

func againstTheJournal(t *testing.T, database string, elsewhere func() string) {
	s := open(t, plan{database: database})
	l := s.begin(8, sized(10*time.Minute, 30*time.Minute))
	var backups []backup
	for range sized(2, 20) {
		l.through(l.done.Load() + int64(sized(10, 200))) // more than are under way
		backups = append(backups, s.backup())
	}
	l.through(l.done.Load() + 8) // so that there is something that no backup has
	l.end()
	s.stopAll()
	whole := s.read()

	var copied *site
	for i, b := range backups {
		copied = s.restored(b, elsewhere())
		missing := b.judge(copied, whole)
		t.Logf("backup %d, %.2f s beside the engine: %d sign-ups acknowledged before, %d since, of which %d are in it",
			i+1, b.Ended.Sub(b.Began).Seconds(), len(history.Acknowledged(b.Cut(whole))), len(missing.since), missing.had)
		if i == len(backups)-1 {
			break
		}
		// The checker would see it if this were all that is left of the next one.
		lost := slices.DeleteFunc(copied.against(backups[i+1].Copying, whole), func(f history.Finding) bool { return f.Invariant != "I1" })
		t.Logf("taken for backup %d: %d acknowledged sign-ups are found to be lost", i+2, len(lost))
		if len(lost) == 0 {
			t.Errorf("backup %d passes for backup %d", i+1, i+2)
		}
	}
	copied.serves(l, backups[len(backups)-1], whole)
}

// through waits until so many people have got through.
func (l *load) through(n int64) {
	l.site.t.Helper()
	for l.done.Load() < n {
		if pause(l.ctx, 20*time.Millisecond); l.ctx.Err() != nil {
			l.site.t.Fatalf("%d of %d people have got through", l.done.Load(), n)
		}
	}
}

// A backup is a file, and when it was made.
type backup struct {
	history.Copying
	file string
}

func (s *site) backup() backup {
	s.t.Helper()
	b := backup{file: filepath.Join(s.t.TempDir(), "backup")}
	b.Began = time.Now()
	s.stile("backup", "--to", b.file)
	b.Ended = time.Now()
	return b
}

// restored is the site as a backup has it, which is not started yet.
func (s *site) restored(b backup, database string) *site {
	s.t.Helper()
	r := &site{t: s.t, binary: s.binary, database: database, url: s.url, secret: s.secret, sink: s.sink, journal: s.journal}
	n := &node{site: r, name: "restored", dir: s.t.TempDir(), listen: s.nodes[0].listen}
	r.nodes = []*node{n}
	n.configure("")
	data := filepath.Join(n.dir, "data")
	key, err := os.ReadFile(filepath.Join(s.nodes[0].dir, "data", "master.key"))
	if err == nil {
		err = errors.Join(os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, "master.key"), key, 0o600))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	to := "sqlite:" + data
	if database != "" {
		to = database
	}
	out, err := exec.Command(s.binary, "restore", "--from", b.file, "--to", to, "--master-key-file", filepath.Join(data, "master.key")).CombinedOutput()
	if err != nil {
		s.t.Fatalf("restore: %v\n%s", err, out)
	}
	return r
}

// state reads the tables of a copy, and what came of its mail.
func (s *site) state(c history.Copying) *history.State {
	s.t.Helper()
	driver, source := s.tables()
	state, err := history.ReadDatabase(context.Background(), driver, source)
	if err != nil {
		s.t.Fatal(err)
	}
	state.Mails, state.Refused = c.Mails(s.sink.Mails(), state.Outbox), s.sink.Refused()
	return state
}

var afterRestore = history.Conditions{Deadline: deadline, Restored: true}

// against is what the checker finds in a copy that says to be of a time.
func (s *site) against(c history.Copying, calls []history.Call) []history.Finding {
	s.t.Helper()
	state := s.state(c)
	if out, err := s.command("verify"); err != nil {
		state.Verified = fmt.Errorf("%w: %s", err, out)
	}
	return history.Check(c.Cut(calls), state, afterRestore)
}

// since are those who were acknowledged after a backup was begun, and how many of
// them it has.
type since struct {
	since []string
	had   int
}

// judge compares a copy with the journal.
func (b backup) judge(r *site, calls []history.Call) since {
	r.t.Helper()
	for _, f := range r.against(b.Copying, calls) {
		r.t.Errorf("restored: %s", f)
	}
	before, there := history.Acknowledged(b.Cut(calls)), map[string]bool{}
	if len(before) == 0 {
		r.t.Error("nothing was acknowledged before the backup: it proves nothing")
	}
	for _, u := range r.state(b.Copying).Users {
		there[u.Email] = true
	}
	var s since
	for _, address := range history.Acknowledged(calls) {
		if slices.Contains(before, address) {
			continue
		}
		s.since = append(s.since, address)
		if there[address] {
			s.had++
		}
	}
	return s
}

// serves starts an engine on a copy and lets people come back to it.
func (s *site) serves(l *load, b backup, calls []history.Call) {
	s.t.Helper()
	mails := s.sink.Mails()
	there := map[string]bool{}
	for _, u := range s.state(b.Copying).Users {
		there[u.Email] = true
	}
	began := time.Now()
	n := s.nodes[0]
	n.start()
	n.ready()
	s.t.Cleanup(func() { _ = n.end(9) })
	signIns := s.signIns(l, s.sample(history.Open(b.Cut(calls))))

	again := &load{site: s, base: l.base, wait: 20 * time.Second, ctx: s.t.Context()}
	anew := 0
	for _, address := range s.sample(history.Acknowledged(calls)) { // whom the copy does not know signs up as anybody does
		if there[address] || anew == 5 {
			continue
		}
		g := again.guest("anew "+address, address, int64(50000+anew))
		for _, m := range mails {
			g.seen[m.MessageID] = true
		}
		if _, err := g.enter(true); err != nil {
			s.t.Errorf("%s is not in the copy, and cannot sign up: %v", address, err)
		}
		anew++
	}
	tokens := s.probe(calls)
	s.settled()
	s.stopAll()

	for _, p := range tokens { // I5: also those that were revoked after the backup, which it cannot know
		if p.Accepted {
			s.t.Error("I5: a token from before the restore is accepted")
		}
	}
	old := map[string]bool{}
	for _, m := range mails {
		old[m.MessageID] = true
	}
	for _, m := range s.sink.Mails()[len(mails):] {
		if old[m.MessageID] {
			s.t.Errorf("a mail from before the restore came again, to %s", m.To)
		}
	}
	state := s.state(b.Copying)
	state.Mails = append(b.Mails(mails, state.Outbox), s.sink.Mails()[len(mails):]...)
	state.Verified, state.SignIns, state.Tokens = s.verified(), signIns, tokens
	later := slices.DeleteFunc(s.read(), func(c history.Call) bool { return c.At.Before(began) })
	found := history.Check(append(b.Cut(calls), later...), state, afterRestore)
	for _, f := range found {
		s.t.Errorf("after the engine ran on the copy: %s", f)
	}
	failed := 0
	for _, in := range signIns {
		if in.Failed != "" {
			failed++
		}
	}
	s.t.Logf("%d requests; an engine on the newest copy: %d signed in, %d failed, %d signed up anew, %d revoked tokens asked about, %d mails from before, none again; %d findings",
		len(calls), len(signIns)-failed, failed, anew, len(tokens), len(mails), len(found))
	if len(signIns) == 0 || len(tokens) == 0 {
		s.t.Error("nobody came back: the run proves nothing")
	}
}
