//go:build unix

package faults

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// schema is the version that the database has.
func (s *site) schema() int {
	s.t.Helper()
	out := s.stile("migrate", "--dry-run")
	m := regexp.MustCompile(`schema has version (\d+)|^version (\d+) ->`).FindStringSubmatch(out)
	if m == nil {
		s.t.Fatalf("migrate --dry-run: %s", out)
	}
	n, _ := strconv.Atoi(m[1] + m[2])
	return n
}

// answers waits until all nodes answer /readyz with a status.
func (s *site) answers(l *load, status int) {
	s.t.Helper()
	for _, n := range s.nodes {
		for n.status("/readyz") != status {
			if pause(l.ctx, 10*time.Millisecond); l.ctx.Err() != nil {
				s.t.Fatalf("%s: /readyz is not %d", n.name, status)
			}
		}
	}
}

// faultless fails the test if a node answered with a 5xx other than "later".
func (s *site) faultless() {
	s.t.Helper()
	for _, c := range s.read() {
		if c.Status == http.StatusInternalServerError {
			s.t.Errorf("%s %s: %d %s", c.Client, c.Path, c.Status, c.Error)
		}
	}
}

// REL R-24: a step back is refused while nodes run that could not live with it, and
// people do not notice. Where an operator insists, the nodes are not ready until the
// schema is back, and nobody loses anything; nor does anybody where the nodes are
// stopped first, as they should be.
func TestREL_R24_StepsUnderLoad(t *testing.T) {
	s, _ := cluster(t, plan{nodes: 3})
	newest := s.schema()
	before, after := strconv.Itoa(newest-1), strconv.Itoa(newest)
	l := s.begin(4, 10*time.Minute, patient)
	await := func(people int64) {
		for until := l.done.Load() + people; l.done.Load() < until; {
			if pause(l.ctx, 10*time.Millisecond); l.ctx.Err() != nil {
				t.Fatal("nobody gets through")
			}
		}
	}
	await(8)
	for range 3 {
		out, err := s.command("migrate", "--to", before)
		if err == nil || !strings.Contains(out, "nodes are connected that do not work on schema version "+before+": stile/"+after) {
			t.Fatalf("a step back beside nodes: %v, %s", err, out)
		}
		await(4)
	}
	if have, retried, anew := s.schema(), l.retried.Load(), l.anew.Load(); have != newest || retried+anew > 0 {
		t.Errorf("after the refusal: version %d, %d calls made again, %d flows begun anew", have, retried, anew)
	}
	refused := l.done.Load()

	s.stile("migrate", "--to", before, "--despite-nodes")
	s.answers(l, http.StatusServiceUnavailable)
	s.stile("migrate")
	s.answers(l, http.StatusOK)
	await(8)
	despite := l.done.Load()

	s.stopAll()
	s.stile("migrate", "--to", before)
	if have := s.schema(); have != newest-1 {
		t.Errorf("after the step back: version %d", have)
	}
	s.stile("migrate")
	s.startAll()
	await(8)
	l.end()
	v := s.judge(l)
	s.faultless()
	t.Logf("%d people through before and during refused steps, %d with a step under running nodes, %d with stopped ones; %d answers with 5xx",
		refused, despite-refused, l.done.Load()-despite, v.refused)
}

// earlier is the program of the schema version before this one's: that before the
// commit which brought in the newest migration.
func earlier(t *testing.T) string {
	t.Helper()
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-C", filepath.Join("..", "..")}, args...)...).Output()
		if err != nil {
			t.Skipf("the program of the version before is in the repository's history, which is not here: git %s: %v", args[0], err)
		}
		return strings.TrimSpace(string(out))
	}
	if git("rev-parse", "--is-shallow-repository") != "false" {
		t.Skip("the program of the version before is in the repository's history, of which a shallow clone has not enough")
	}
	const folder = "internal/store/postgres/migrations"
	all, err := os.ReadDir(filepath.Join("..", "..", filepath.FromSlash(folder)))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	added := git("log", "-1", "--diff-filter=A", "--format=%H", "--", ":/"+folder+"/"+all[len(all)-1].Name())
	if added == "" {
		t.Skip("the newest migration is not committed yet: the program before it cannot be told")
	}
	dir := t.TempDir()
	archive := filepath.Join(dir, "source.tar")
	git("archive", "-o", archive, added+"^:")
	source, binary := filepath.Join(dir, "source"), filepath.Join(dir, "stile")
	build := exec.Command("go", "build", "-o", binary, "./cmd/stile")
	build.Dir = source
	for _, c := range []*exec.Cmd{exec.Command("mkdir", source), exec.Command("tar", "-x", "-C", source, "-f", archive), build} {
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, bytes.TrimSpace(out))
		}
	}
	t.Logf("the version before is that of the commit before %.12s", added)
	return binary
}

// REL R-24: nodes of the schema version before are replaced one by one by this
// program's, and these by the old ones, and the schema is taken back, while people sign
// up, come back and leave all the time.
func TestREL_R24_VersionBefore(t *testing.T) {
	whole(t)
	if !long {
		t.Skip("it builds another program, and runs for minutes: TestREL_R24_StepsUnderLoad is the short form")
	}
	old, program := earlier(t), build(t)
	f := newFront(t)
	s := open(t, plan{database: pgtest.Empty(t), nodes: 3, public: f.listen, binary: old})
	f.serve(s)
	have := s.schema()
	l := s.begin(6, 30*time.Minute, patient)
	stay := func() {
		t.Helper()
		until := l.done.Load() + 50
		pause(l.ctx, 20*time.Second)
		for l.done.Load() < until {
			if pause(l.ctx, 10*time.Millisecond); l.ctx.Err() != nil {
				t.Fatal("nobody gets through")
			}
		}
	}
	replace := func(binary string) {
		t.Helper()
		for _, n := range s.nodes {
			if err := n.end(syscall.SIGTERM); err != nil {
				t.Errorf("%s stops: %v", n.name, err)
			}
			n.binary = binary
			n.start()
			n.ready()
			stay()
		}
		s.binary = binary
	}
	var counted []string
	count := func(what string) {
		counted = append(counted, fmt.Sprintf("%s: %d people", what, l.done.Load()))
	}
	stay()
	count("old nodes")
	for range 2 {
		replace(program)
		if now := s.schema(); now != have+1 {
			t.Fatalf("the new nodes have schema %d, the old ones had %d", now, have)
		}
		count("up to new nodes")
		if out, err := s.command("migrate", "--to", strconv.Itoa(have)); err == nil || !strings.Contains(out, fmt.Sprintf("stile/%d", have+1)) {
			t.Fatalf("a step back beside new nodes: %v, %s", err, out)
		}
		replace(old)
		count("back to old nodes")
		s.binary = program
		s.stile("migrate", "--to", strconv.Itoa(have))
		s.binary = old
		if now := s.schema(); now != have {
			t.Fatalf("the step back leads to %d", now)
		}
		stay()
		count("schema back")
	}
	l.end()
	retried, anew := l.retried.Load(), l.anew.Load()
	v := s.judge(l)
	s.faultless()
	t.Logf("schema %d and %d; %s; %d calls made again, %d flows begun anew, %d answers with 5xx, %d without an answer; requests by node: %d, %d, %d",
		have, have+1, strings.Join(counted, ", "), retried, anew, v.refused, v.unknown, f.passed[0].Load(), f.passed[1].Load(), f.passed[2].Load())
}
