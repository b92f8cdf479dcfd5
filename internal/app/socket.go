package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store/sqlite"
)

// socketName is the door of operators in the data folder. Who may open it is
// whom the file system lets: it asks for no other proof.
const socketName = "admin.sock"

// serveOperators answers the management API on the data folder's socket until
// the returned function is called.
func (a *App) serveOperators(ctx context.Context, dir, publicURL string) (stop func() error, err error) {
	if err := a.rememberURL(ctx, publicURL); err != nil {
		return nil, err
	}
	l, remove, err := listenSocket(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, socketName), err)
	}
	server := serve(l, a.AdminHandler(), a.log)
	return func() error {
		return errors.Join(stopAll([]*http.Server{server}), remove())
	}, nil
}

// listenSocket binds the socket in a folder of its own, where nobody else can
// open it before its mode is set, and then moves it over the one of an engine
// that did not end well. The database's lock says that there is no other engine.
func listenSocket(dir string) (_ net.Listener, remove func() error, err error) {
	private, err := os.MkdirTemp(dir, ".admin-") // mode 0700
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(private)) }()
	var l net.Listener
	err = inFolder(private, func(path string) error {
		var lc net.ListenConfig
		l, err = lc.Listen(context.Background(), "unix", path)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	bound, final := filepath.Join(private, socketName), filepath.Join(dir, socketName)
	if err = os.Chmod(bound, 0o600); err == nil {
		err = os.Rename(bound, final)
	}
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	return l, func() error { return os.Remove(final) }, nil
}

// maxSocketPath is how long the address of a socket can be everywhere.
const maxSocketPath = 100

// inFolder gives fn a path of the folder's socket that is short enough for an address.
func inFolder(dir string, fn func(path string) error) error {
	path := filepath.Join(dir, socketName)
	if len(path) <= maxSocketPath || runtime.GOOS != "linux" {
		return fn(path)
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return fn("/proc/self/fd/" + strconv.Itoa(int(folder.Fd())) + "/" + socketName)
}

// Operators reaches the management API of a data folder: that of the engine
// which runs on it or, where none does, of one that is opened here for as long
// as the command takes. Close it.
type Operators struct {
	http.RoundTripper
	Running bool // an engine answers
	close   func() error
}

// Close closes what was opened.
func (o *Operators) Close() error { return o.close() }

// patience is how long an engine and a command wait for each other: a command
// holds the database for a moment, and so does an engine before it answers.
const patience = 3 * time.Second

// inTurn tries to open until nobody else has the database open.
func inTurn(ctx context.Context, open func() error) error {
	for end := time.Now().Add(patience); ; {
		err := open()
		if !errors.Is(err, sqlite.ErrInUse) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// OpenOperators finds the engine of a data folder.
func OpenOperators(ctx context.Context, d config.Data) (o *Operators, err error) {
	if err := d.Load(); err != nil {
		return nil, err
	}
	err = inTurn(ctx, func() error {
		o, err = openOperators(ctx, d)
		return err
	})
	if errors.Is(err, sqlite.ErrInUse) {
		err = fmt.Errorf("%s: an engine or another command has it open, and no %s answers", d.Folder(), socketName)
	}
	return o, err
}

func openOperators(ctx context.Context, d config.Data) (*Operators, error) {
	dir, where := d.Data, d.Folder()
	dial := func(ctx context.Context) (c net.Conn, err error) {
		var d net.Dialer
		err = inFolder(dir, func(path string) error {
			c, err = d.DialContext(ctx, "unix", path)
			return err
		})
		return c, err
	}
	if c, err := dial(ctx); err == nil {
		_ = c.Close()
		t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
		return &Operators{RoundTripper: t, Running: true, close: func() error { t.CloseIdleConnections(); return nil }}, nil
	} else if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s: the engine's %s is not yours to open: %w", where, socketName, err)
	}
	db, err := openLog(ctx, d) // refuses where there is no database, so that a misspelt folder is not made
	if err != nil {
		return nil, err
	}
	url, err := db.Setting(ctx, urlSetting)
	if err != nil {
		url = []byte("http://localhost:9000")
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	a, err := New(ctx, Config{
		Dir: dir, Database: d.Database, MasterKeyFile: d.MasterKeyFile, KeyMustExist: true, PublicURL: string(url), Policy: policy.PasswordOptional(), Limits: flow.DefaultLimits(),
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	return &Operators{
		RoundTripper: memory{a.AdminHandler()},
		close:        func() error { return stopIn(20*time.Second, a.Close) },
	}, nil
}

// memory is a handler as a transport, without a network.
type memory struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := &answer{status: http.StatusOK, header: http.Header{}}
	m.handler.ServeHTTP(w, r)
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

type answer struct {
	status int
	wrote  bool
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if !a.wrote {
		a.status, a.wrote = status, true
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.wrote = true
	return a.body.Write(b)
}
