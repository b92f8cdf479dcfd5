package app

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/policy"
)

// The log says once when the disk gets full, again after an hour, and when there is
// room again.
func TestREL_R14_DiskAlarms(t *testing.T) {
	const size = 1000
	var out bytes.Buffer
	var free uint64
	var failure error
	d := &disk{
		space: func() (uint64, uint64, error) { return free, size, failure },
		log:   slog.New(slog.NewTextHandler(&out, nil)),
	}
	now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		after time.Duration
		free  uint64
		err   error
		want  string // "": nothing
	}{
		{"room", 0, 100, nil, ""},
		{"less than a tenth", time.Minute, 99, nil, "level=WARN msg=.less than a tenth"},
		{"still", time.Minute, 20, nil, ""},
		{"less than a fiftieth", time.Minute, 19, nil, "level=ERROR msg=.the disk is almost full.* free_bytes=19 size_bytes=1000"},
		{"still", time.Minute, 0, nil, ""},
		{"an hour later", time.Hour, 0, nil, "level=ERROR msg=.the disk is almost full"},
		{"a little room", time.Minute, 50, nil, "level=WARN msg=.less than a tenth"},
		{"room again", time.Minute, 500, nil, "level=INFO msg=.there is room"},
		{"an hour later", time.Hour, 500, nil, ""},
		{"it cannot be told", time.Minute, 0, errors.New("stale handle"), "level=WARN msg=.how full.*stale handle"},
	} {
		out.Reset()
		now, free, failure = now.Add(tt.after), tt.free, tt.err
		_ = d.look(now)
		got := out.String()
		if tt.want == "" && got != "" || !regexp.MustCompile(tt.want).MatchString(got) || strings.Count(got, "\n") > 1 {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The metrics tell how much room there is.
func TestREL_R14_DiskMetrics(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := spaceOf(dir); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the system does not tell") // Windows and others; CI is Linux
	}
	a, err := New(t.Context(), Config{
		Dir: dir, PublicURL: "http://localhost:9000", Policy: policy.PasswordOptional(), Limits: flow.DevelopmentLimits(), Inbox: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close(t.Context())
	w := httptest.NewRecorder()
	a.OperationsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, name := range []string{"stile_disk_free_bytes", "stile_disk_size_bytes"} {
		if !regexp.MustCompile(`(?m)^` + name + ` [1-9]`).MatchString(w.Body.String()) {
			t.Errorf("no %s", name)
		}
	}
}
