package main

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// systemd is told when the engine is ready to serve, and when it begins to stop.
func TestREL_R30_SystemdIsTold(t *testing.T) {
	dir, err := os.MkdirTemp("", "stile") // the name of a socket is 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	names := map[string]string{"in a folder": filepath.Join(dir, "notify")}
	if runtime.GOOS == "linux" {
		names["abstract"] = "@" + dir
	}
	for kind, name := range names {
		t.Run(kind, func(t *testing.T) {
			socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			told := func() string {
				t.Helper()
				text := make([]byte, 100)
				err := socket.SetReadDeadline(time.Now().Add(30 * time.Second))
				n := 0
				if err == nil {
					n, err = socket.Read(text)
				}
				if err != nil {
					t.Fatal(err)
				}
				return string(text[:n])
			}
			t.Setenv("NOTIFY_SOCKET", name)
			p := produce(t, "shutdown_drain: 0s\n")
			if got := told(); got != "READY=1" {
				t.Errorf("first: %q", got)
			}
			if got := p.status(p.url + "/readyz"); got != 200 {
				t.Errorf("it is said to be ready: %d", got)
			}
			if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if got := told(); got != "STOPPING=1" {
				t.Errorf("then: %q", got)
			}
			if code := p.ended(); code != 0 {
				t.Errorf("status %d:\n%s", code, p.logged())
			}
		})
	}
}

// A socket that nobody reads is said in the log, and keeps nothing from going on.
func TestREL_R30_NobodyIsTold(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	p := produce(t, "shutdown_drain: 0s\n")
	p.says("systemd is not told")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.ended(); code != 0 {
		t.Errorf("status %d:\n%s", code, p.logged())
	}
}
