package main

import (
	"bufio"
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/policy"
)

// The test binary is the command too: then nothing else must be built.
func TestMain(m *testing.M) {
	if os.Getenv("STILE_TEST_COMMAND") != "" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"stile": main})
}

func command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Env = append(os.Environ(), "STILE_TEST_COMMAND=1")
	return c
}

// stile runs the command and holds what it prints to want: patterns that stdout
// or, for one that begins with "stile: ", stderr must match; "!" and a pattern
// is one that stdout must not. The exit status is 1 if something is on stderr.
func stile(t *testing.T, args string, want ...string) string {
	t.Helper()
	c := command(t.Context(), strings.Fields(args)...)
	var out, errs strings.Builder
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if failed := errs.Len() > 0; failed != (err != nil) || failed && c.ProcessState.ExitCode() != 1 {
		t.Errorf("stile %s: %v, stderr %q", args, err, errs.String())
	}
	refusal := false
	for _, w := range want {
		text, not := out.String(), strings.HasPrefix(w, "!")
		if strings.HasPrefix(w, "stile: ") {
			text, refusal = errs.String(), true
		}
		if regexp.MustCompile("(?m)^"+strings.TrimPrefix(w, "!")+"$").MatchString(text) == not {
			t.Errorf("stile %s: %q does not hold of\n%s", args, w, text)
		}
	}
	if (err != nil) != refusal {
		t.Errorf("stile %s: %v\n%s", args, err, errs.String())
	}
	return out.String()
}

// engine opens a data folder and registers clients there.
func engine(t *testing.T, dir string, ids ...string) (stop func()) {
	t.Helper()
	a, err := app.New(t.Context(), app.Config{
		Dir: dir, PublicURL: "http://localhost:9000", Policy: policy.PasswordOptional(),
		Limits: flow.DefaultLimits(), Inbox: true, SealEvery: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Start()
	register(t, a, ids...)
	return func() {
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func register(t *testing.T, a *app.App, ids ...string) {
	t.Helper()
	for _, id := range ids {
		c, _, err := oauth.NewClient(oauth.Client{ID: id, RedirectURIs: []string{"https://app.example/cb"}}, true, time.Now())
		if err == nil {
			err = a.OAuth.AddClient(t.Context(), c)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// forge is what somebody does to a copy of the database by hand.
func forge(t *testing.T, dir, statement string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(to, "master.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(to, "stile.db"))
	if err == nil {
		_, err = db.Exec(statement)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return to
}

const tamper = "stile: the audit log was tampered with: "

func TestSEC_S144_AuditVerify(t *testing.T) {
	dir := t.TempDir()
	engine(t, dir, "one", "two")()
	engine(t, dir, "three")()
	before := stile(t, "audit verify --data "+dir,
		`\d+ rows with \d+ events under 2 seals sealed\.`, `0 rows not sealed yet\.`,
		`Nothing was removed, changed, inserted or moved\.`, `Checkpoint: 2:[A-Za-z0-9_-]{43}`)
	_, checkpoint, _ := strings.Cut(strings.TrimSpace(before), "Checkpoint: ")
	if again := stile(t, "audit verify --data "+dir+" --checkpoint "+checkpoint); again != before {
		t.Errorf("verified twice:\n%s", again)
	}
	other := strings.Repeat("A", 43)
	stile(t, "audit verify --data "+dir+" --checkpoint 3:"+other,
		tamper+`the log ends with seal 2, but the checkpoint is of seal 3: its end was cut off`)
	stile(t, "audit verify --data "+dir+" --checkpoint 2:"+other, tamper+`seal 2 is not the one of the checkpoint: .*`)
	stile(t, "audit verify --data "+dir+" --checkpoint nonsense", `stile: --checkpoint: .*`)

	for _, f := range []struct{ statement, want string }{
		{`DELETE FROM audit WHERE position = 2`, `row 2 is missing: seal 1 of \S+ covers rows 1 to \d+`},
		{`UPDATE audit SET events = replace(events, 'SUCCESS', 'FAILURE') WHERE position = 1`, `rows 1 to \d+ are not as they were when seal 1 was made, .*`},
		{`UPDATE audit SET at = at + 1 WHERE position = 1`, `rows 1 to \d+ are not as they were when seal 1 was made, .*`},
		{`UPDATE audit SET position = 0 WHERE position = 1`, `row 1 is missing: seal 1 .*`},
		{`INSERT INTO audit (id, at, events, position) VALUES ('x', 1, '[]', 99)`, `row 99 \(x\) stands after the end of seal 2: .*`},
		{`DELETE FROM audit_seals WHERE number = 1`, `seal 1 is missing: after the beginning comes seal 2`},
		{`DELETE FROM audit_seals WHERE number = 2`, `row \d+ \(\w+\) stands after the end of seal 1: its seal was removed, or it was inserted`},
		{`UPDATE audit_seals SET at = at + 1000000 WHERE number = 2`, `seal 2 was changed or forged, or was made with another master key`},
	} {
		stile(t, "audit verify --data "+forge(t, dir, f.statement), tamper+f.want)
	}
	stile(t, "audit verify --data "+forge(t, dir, "UPDATE audit SET position = 0; DELETE FROM audit_seals"),
		`0 rows with 0 events under 0 seals sealed\.`, `[1-9]\d* rows not sealed yet\.`, `!Checkpoint.*`)

	none := filepath.Join(t.TempDir(), "none")
	stile(t, "audit verify --data "+none, `stile: --data \S+: there is no database: .*`)
	if _, err := os.Stat(none); err == nil {
		t.Error("the folder was made")
	}
}

func TestAuditTail(t *testing.T) {
	dir := t.TempDir()
	engine(t, dir, "one", "two", "three")()
	tail := "audit tail --data " + dir
	if out := stile(t, tail+" -n 1", `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z SUCCESS \S+ actor=system target=.*`); strings.Count(out, "\n") != 1 {
		t.Errorf("one line:\n%s", out)
	}
	create := `.* SUCCESS application\.lifecycle\.create actor=system target=`
	if out := stile(t, tail+" --type application.lifecycle", create+"one client=one", create+"three client=three"); strings.Count(out, "\n") != 3 {
		t.Errorf("three lines:\n%s", out)
	}
	stile(t, tail+" --user two", create+"two.*", "!"+create+"one.*")
	stile(t, tail+" --user two --json",
		`{"type":"application.lifecycle.create","outcome":"SUCCESS","actor":"system","target":"two","client":"two","at":"[^"]+"}`)
	stile(t, tail+" --since 1h", create+"one.*")
	stile(t, tail+" --since 2100-01-01T00:00:00Z", "!.+")
	stile(t, tail+" --since yesterday", `stile: --since: "yesterday" is neither a time, .*`)
	stile(t, "audit tail --data "+t.TempDir(), `stile: --data \S+: there is no database: .*`)
}

// A running engine holds the lock of the database; what it has not sealed yet shows too.
func TestAuditBesideTheEngine(t *testing.T) {
	dir := t.TempDir()
	a, err := app.New(t.Context(), app.Config{Dir: dir, PublicURL: "http://localhost:9000", Policy: policy.PasswordOptional(), Inbox: true, SealEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	a.Start()
	defer func() {
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	register(t, a, "one")
	stile(t, "audit verify --data "+dir, `0 rows with 0 events under 0 seals sealed\.`, `[1-9]\d* rows? not sealed yet\.`)
	stile(t, "audit tail --data "+dir, `.*target=one.*`)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := command(ctx, "audit", "tail", "-f", "--data", dir, "--type", "application")
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, id := range []string{"one", "two", "three"} {
		if !lines.Scan() || !strings.Contains(lines.Text(), "target="+id) {
			t.Fatalf("%q, %v; want %s", lines.Text(), lines.Err(), id)
		}
		switch id {
		case "one":
			register(t, a, "two")
		case "two":
			register(t, a, "three")
		}
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}
