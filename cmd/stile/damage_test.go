//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stile-id/stile/internal/store/sqlite/slowtest"
)

// A file of which the look through takes long is served meanwhile; damage found then ends
// the engine in order, with the status of a start that is refused. A stop breaks the
// look off.
func TestREL_R05_DamageEndsTheEngine(t *testing.T) {
	p := produce(t, "shutdown_drain: 1s\n")
	stop := func() {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := p.ended(); code != 0 {
			t.Errorf("stopped with status %d:\n%s", code, p.logged())
		}
	}
	stop()
	check := slowtest.Plant(t, filepath.Join(p.dir, "data", "stile.db"), 100_000)
	p.start()
	check.End(true)
	stop()
	p.start()
	if got := p.status(p.url + "/readyz"); got != 200 {
		t.Errorf("while it is looked through: %d", got)
	}
	check.End(false)
	if code := p.ended(); code != 1 {
		t.Errorf("status %d, want 1", code)
	}
	logged := p.logged()
	for _, want := range []string{`"msg":"the database file is looked through while it is used"`, `"msg":"the database is damaged, the engine ends; restore a backup"`, `"msg":"stopped"`} {
		if !strings.Contains(logged, want) {
			t.Errorf("the log has no %s:\n%s", want, logged)
		}
	}
}
