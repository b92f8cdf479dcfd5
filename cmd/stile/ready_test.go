package main

import (
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

// The command says of an engine what a proxy in front would see, and why.
func TestREL_R30_Ready(t *testing.T) {
	p := produce(t, "shutdown_drain: 60s\n")
	config := " --config " + filepath.Join(p.dir, "stile.yaml")
	operator, public := regexp.QuoteMeta(p.operator), regexp.QuoteMeta(p.url)
	stile(t, "ready"+config, operator+` is ready\.`)
	stile(t, "ready "+p.url, public+` is ready\.`)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.says("stopping")
	stile(t, "ready"+config, `stile: `+operator+` answers 503: not ready: the engine is stopping`)
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil { // a second one ends it at once
		t.Fatal(err)
	}
	p.ended()
	stile(t, "ready"+config, `stile: `+operator+` does not answer: dial tcp .*: connection refused`)
	stile(t, "ready localhost", `stile: the address is not of the form http://host:port`)
}
