package storetest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/store/schema"
)

// A Migrated is a database in the hands of its migrations.
type Migrated interface {
	Version(context.Context) (int64, error)
	Plan(ctx context.Context, to int64) (int64, []schema.Step, error)
	Apply(ctx context.Context, to int64, done func(schema.Step)) error
	Close() error
}

// Migrations are those of an adapter.
type Migrations struct {
	Files fs.FS
	// Die is the statement that kills the process which runs it.
	Die string
	// Open opens a database for migrations out of files.
	Open func(name string, files fs.FS) (Migrated, error)
	// Dump is the schema as text, with the versions that are noted.
	Dump func(t *testing.T, name string) string
}

// dieIn is the variable that tells a child what to do: the database, the version
// to go to, the file that kills it, and after which of its statements.
const dieIn = "STILE_TEST_DIE_IN"

// Child is for an adapter's TestMain: in a child of RunMigrations it does not return.
func (m Migrations) Child() {
	task := strings.Split(os.Getenv(dieIn), "\n")
	if len(task) != 4 {
		return
	}
	to, _ := strconv.ParseInt(task[1], 10, 64)
	after, _ := strconv.Atoi(task[3])
	s, err := m.Open(task[0], m.deadly(task[2], to, after))
	if err == nil {
		err = s.Apply(ctx, to, func(schema.Step) {})
	}
	fmt.Fprintln(os.Stderr, "not killed:", err)
	os.Exit(1)
}

// deadly are the files with the statement that kills after some of one's.
func (m Migrations) deadly(name string, to int64, after int) fs.FS {
	files := fstest.MapFS{}
	all, err := fs.Glob(m.Files, "*.sql")
	for _, f := range all {
		var text []byte
		if text, err = fs.ReadFile(m.Files, f); f == name {
			text = []byte(m.cut(string(text), versionOf(f) > to, after))
		}
		files[f] = &fstest.MapFile{Data: text}
	}
	if err != nil {
		panic(err)
	}
	return files
}

const down = "-- +goose Down"

func (m Migrations) cut(text string, back bool, after int) string {
	before, section, rest := sections(text, back)
	parts := strings.SplitAfter(section, ";\n")
	parts[after-1] += m.Die + "\n"
	return before + strings.Join(parts, "") + rest
}

// sections splits a file around the statements of one direction.
func sections(text string, back bool) (before, section, rest string) {
	up, below, _ := strings.Cut(text, down)
	if back {
		return up + down, below, ""
	}
	return "", up, strings.TrimPrefix(text, up)
}

func versionOf(file string) int64 {
	number, _, _ := strings.Cut(path.Base(file), "_")
	v, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		panic(err)
	}
	return v
}

// RunMigrations takes the database of a name, which has nothing in it, through
// all versions, and back as far as that goes. In the midst of every step a
// process is killed: nothing of the step is there afterwards, and it can be made.
func RunMigrations(t *testing.T, m Migrations, name string) {
	s, err := m.Open(name, m.Files)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, plan, err := s.Plan(ctx, 0)
	if err != nil || len(plan) < 4 || s.Close() != nil {
		t.Fatal(plan, err)
	}
	before := map[int64]string{}
	for _, step := range plan {
		before[step.Version-1] = m.Dump(t, name)
		m.survive(t, name, step)
	}
	for i := len(plan) - 1; ; i-- {
		step := plan[i]
		step.Back = true
		text, err := fs.ReadFile(m.Files, step.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), down) {
			m.noWayBack(t, name, step.Version-1)
			break
		}
		m.survive(t, name, step)
		if d := cmp.Diff(before[step.Version-1], m.Dump(t, name)); d != "" {
			t.Errorf("%s is not the schema before (-want +got)\n%s", step, d)
		}
	}
}

// survive makes a step after it has been cut short at its beginning, in its
// midst and before its end.
func (m Migrations) survive(t *testing.T, name string, step schema.Step) {
	t.Helper()
	text, err := fs.ReadFile(m.Files, step.Name)
	if err != nil {
		t.Fatal(err)
	}
	from, to := step.Version-1, step.Version
	if step.Back {
		from, to = to, from
	}
	_, section, _ := sections(string(text), step.Back)
	n := strings.Count(section, ";\n")
	was := m.Dump(t, name)
	for _, after := range []int{1, (n + 1) / 2, n} {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), dieIn+"="+strings.Join([]string{name, strconv.FormatInt(to, 10), step.Name, strconv.Itoa(after)}, "\n"))
		out, err := child.CombinedOutput()
		if err == nil || child.ProcessState.ExitCode() != -1 {
			t.Fatalf("%s, statement %d: not killed: %v, %s", step, after, err, out)
		}
		if d := cmp.Diff(was, m.Dump(t, name)); d != "" && from > 0 { // the list of versions comes before the first
			t.Errorf("%s, killed after statement %d: something stayed (-want +got)\n%s", step, after, d)
		}
	}
	s, err := m.Open(name, m.Files)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var done []schema.Step
	if v, err := s.Version(ctx); err != nil || v != from {
		t.Fatalf("%s: version %d after the kills, %v", step, v, err)
	}
	if err := s.Apply(ctx, to, func(s schema.Step) { done = append(done, s) }); err != nil {
		t.Fatal(err)
	}
	same(t, done, []schema.Step{step})
	if v, err := s.Version(ctx); err != nil || v != to {
		t.Errorf("%s: version %d, %v", step, v, err)
	}
}

func (m Migrations) noWayBack(t *testing.T, name string, to int64) {
	t.Helper()
	s, err := m.Open(name, m.Files)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for version, want := range map[int64]string{to: "no way back", -1: "no schema version", 9999: "no schema version"} {
		if err := s.Apply(ctx, version, func(schema.Step) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("to version %d: %v, want %q", version, err, want)
		}
	}
}
