package app_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store/sqlite"
)

// A relay that accepts and says nothing does not make a stop fail: the audit log is
// sealed, and the mail is given back, to go out after the next start.
func TestREL_R16_StopWhileARelayStalls(t *testing.T) {
	relay, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	accepted := make(chan net.Conn, 16)
	go func() {
		for {
			c, err := relay.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c // and open until the end
		}
	}()
	var log bytes.Buffer
	e := &engine{dir: t.TempDir(), http: http.DefaultClient}
	e.App, err = app.New(t.Context(), app.Config{
		Dir: e.dir, PublicURL: "http://localhost:9000", Policy: policy.PasswordOptional(), Limits: limits(), SealEvery: time.Hour,
		SMTP: []string{"smtp://" + relay.Addr().String()}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Start()
	server := httptest.NewServer(e.Handler())
	defer server.Close()
	e.url = server.URL
	e.register(t)
	if _, err := e.enrolled("ada@example.com"); err != nil {
		t.Fatal(err)
	}
	stalled := <-accepted
	defer stalled.Close()
	server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second) // `stile serve` has five, on a machine that does nothing else
	defer cancel()
	if err := e.Close(ctx); err != nil {
		t.Errorf("the stop: %v", err)
	}
	if told := "mail under way was broken off"; !strings.Contains(log.String(), told) {
		t.Errorf("the log has no %q: %s", told, log.String())
	}
	s, err := sqlite.OpenReadOnly(t.Context(), filepath.Join(e.dir, "stile.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if rows, err := s.UnsealedAudit(t.Context(), 10); err != nil || len(rows) != 0 {
		t.Errorf("%d rows are not sealed, %v", len(rows), err)
	}
	if sealed, err := s.SealedAudit(t.Context(), 1, 10); err != nil || len(sealed) == 0 {
		t.Errorf("%d rows are sealed, %v", len(sealed), err)
	}
	mails, err := s.Messages(t.Context(), "", 10)
	if err != nil || len(mails) != 1 || mails[0].Status != "queued" || mails[0].LeasedUntil.After(time.Now()) {
		t.Errorf("%+v, %v", mails, err)
	}
}
