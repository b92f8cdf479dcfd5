//go:build linux

package faults

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/loopback"
)

// REL R-13: whoever else holds the file up is not seen by anybody: a writer for
// some seconds, a reader for long. A second engine on it does not start.
func TestREL_R13_HeldUp(t *testing.T) {
	s := open(t, plan{})
	l := s.begin(4, sized(10*time.Minute, 10*time.Minute), patient)
	db := s.sql()
	defer db.Close()
	ctx := context.Background()
	reader, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, q := range []string{"BEGIN", "SELECT count(*) FROM users"} {
		if _, err := reader.ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	pause(l.ctx, sized(2*time.Second, 60*time.Second))
	writer, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if _, err := writer.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	was := l.done.Load()
	hold := sized(1500*time.Millisecond, 3*time.Second) // the engine waits 5 s
	pause(l.ctx, hold)
	held := l.done.Load() - was
	if _, err := writer.ExecContext(ctx, "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	pause(l.ctx, time.Second)
	if _, err := reader.ExecContext(ctx, "ROLLBACK"); err != nil {
		t.Fatal(err)
	}

	second := exec.Command(s.binary, "serve", "--config", filepath.Join(s.nodes[0].dir, "stile.yaml"), "--listen", loopback.Address(t))
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use") {
		t.Errorf("a second engine: %v\n%s", err, out)
	}
	l.end()
	retried := l.retried.Load()
	v := s.judge(l)
	t.Logf("a reader for %v and more, a writer for %v in which %d people got through", sized(2*time.Second, 60*time.Second), hold, held)
	if v.refused > 0 || v.unknown > 0 || retried > 0 {
		t.Errorf("%d requests refused, %d without an answer, %d calls made again; want none", v.refused, v.unknown, retried)
	}
}

// REL R-14: where the disk is full, writes are refused and reads go on; once
// there is room again all goes on, and nothing acknowledged is lost.
func TestREL_R14_DiskFull(t *testing.T) {
	whole(t)
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+sized("24m", "256m")+",mode=0700")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		t.Skip("a small file system takes the rights of root: ", err) // nothing else here runs out of room
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := open(t, plan{dir: dir})
	n := s.nodes[0]
	l := s.begin(4, sized(10*time.Minute, 30*time.Minute))
	times, refused := sized(2, 20), 0
	for range times {
		pause(l.ctx, time.Second)
		filled := fill(t, filepath.Join(dir, "ballast"))
		for got := n.interact(); ; got = n.interact() {
			if got.status == http.StatusServiceUnavailable && got.after != "" {
				refused++
				break
			}
			if got.status != http.StatusOK { // what the file still had room for
				t.Errorf("with a full disk: %+v, want 503 with Retry-After", got)
			}
			if l.ctx.Err() != nil {
				t.Fatal("nothing is refused")
			}
		}
		pause(l.ctx, time.Second)
		if got := ask("GET", n.url()+"/oauth2/default/v1/keys", nil); got.status != http.StatusOK {
			t.Errorf("keys: %+v", got)
		}
		if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for n.interact().status != http.StatusOK {
			if pause(l.ctx, 20*time.Millisecond); l.ctx.Err() != nil {
				t.Fatal("it does not go on")
			}
		}
		t.Logf("%d KiB filled the disk; it goes on %v after there is room", filled>>10, time.Since(began).Round(time.Millisecond))
	}
	s.judge(l)
	t.Logf("%d times full", times)
}

// fill writes until nothing more fits.
func fill(t *testing.T, name string) (n int) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		m, err := f.Write(make([]byte, size))
		n += m
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		if err != nil {
			size /= 2
		}
	}
	return n
}
