package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/netutil"

	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/policy"
)

// Serve runs the engine for production until ctx ends, and then until what is
// under way has ended. It writes to out what --check found, and to log one line
// per request and fault. Settings that are unsafe or not complete are refused
// before anything is opened.
func Serve(ctx context.Context, c config.Serve, out, log io.Writer) error {
	t, faults := c.Load(os.Environ())
	checkFiles(t, faults)
	if c.Connect && !c.Check {
		faults.Add("connect", "goes together with --check")
	}
	if err := faults.Err(); err != nil {
		return err
	}
	if c.Check {
		if c.Connect {
			if err := connect(ctx, t, faults); err != nil {
				return err
			}
		}
		fmt.Fprintln(out, "The settings are in order.")
		return nil
	}
	logger := newLogger(t, log)
	if t.Loopback {
		logger.Warn("public_url is of this machine alone", "public_url", t.PublicURL)
	}
	CollectSeldom()
	n := &node{settings: t, limits: serveLimits, log: logger, failed: make(chan error, 3)}
	if err := n.start(ctx); err != nil {
		return errors.Join(err, n.stop())
	}
	go func() {
		for err := n.app.AwaitReady(ctx); err != nil; err = n.app.Ready(ctx) { // why not, /readyz says
			select {
			case <-ctx.Done():
				return
			case <-time.After(readyAge):
			}
		}
		tellSystemd(logger, serviceReady)
		logger.Info("ready")
		settle(logger)
	}()
	logger.Info("started", "version", Version(), "public_url", t.PublicURL, "listen", n.listener.Addr().String())
	var err error
	select {
	case <-ctx.Done():
		tellSystemd(logger, serviceStopping)
		n.drain()
	case err = <-n.failed:
		tellSystemd(logger, serviceStopping)
	}
	err = errors.Join(err, n.stop())
	logger.Info("stopped")
	return err
}

func newLogger(t *config.Settings, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: t.LogLevel}
	if t.LogJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// A node is an engine with its doors. What start did not come to, stop passes over.
type node struct {
	settings *config.Settings
	limits   limits
	log      *slog.Logger
	failed   chan error // a door that no longer answers, or a file that is damaged

	listener, metricsListener net.Listener
	app                       *App
	stopOperators             func() error
	public, operations        *http.Server
}

func (n *node) start(ctx context.Context) (err error) {
	t := n.settings
	// Both addresses are taken before anything is written: a port in use is the
	// commonest mistake.
	if n.listener, err = listen(t.Source("listen"), t.Listen); err != nil {
		return err
	}
	if t.MetricsListen != "" {
		if n.metricsListener, err = listen(t.Source("metrics_listen"), t.MetricsListen); err != nil {
			return err
		}
	}
	var certificate *certificate
	if t.TLSCert != "" {
		if certificate, err = newCertificate(t.TLSCert, t.TLSKey, n.log); err != nil {
			return err
		}
	}
	counting := flow.DefaultLimits()
	counting.Rules.NumberTexts = limit.Volume{{N: t.TextsPerHour, Per: time.Hour}}
	counting.Rules.CountryTexts = limit.Volume{{N: t.TextsPerCountry, Per: 24 * time.Hour}}
	counting.Rules.Texts = limit.Volume{{N: t.TextsPerDay, Per: 24 * time.Hour}}
	err = inTurn(ctx, func() error {
		n.app, err = New(ctx, Config{
			Dir: t.Data, Database: t.Database, DatabaseConnections: t.DatabaseConnections, QuickCheck: t.QuickCheck, Damaged: func(err error) { n.failed <- err },
			MasterKeyFile: t.MasterKeyFile, KeyMustExist: !t.MakeMasterKey,
			PublicURL: t.PublicURL, Policy: policy.PasswordOptional(), Limits: counting, TrustedProxies: t.TrustedProxies,
			Hosts: t.Hosts, Traces: t.Traces,
			Phones: Phones{
				Hook: t.TelephonyHook, HookSecret: t.TelephonyHookSecret, Gateway: t.TelephonyCalls, GatewaySecret: t.TelephonyGatewaySecret,
				Methods: t.PhoneMethods, Countries: t.PhoneCountries,
			},
			WebPush: WebPush{Key: t.WebPushKey, Subject: t.WebPushSubject, Hosts: t.WebPushHosts},
			Servers: []oauth.AuthorizationServer{
				{ID: oauth.DefaultServer, AccessTokenAlg: t.AccessTokenAlg, AccessTokenLife: t.AccessTokenLife}, {ID: oauth.OrgServer},
			},
			SMTP: t.SMTP, Sender: t.MailFrom, ReplyTo: t.MailReplyTo, NoCodeInSubject: !t.CodeInSubject, Bounded: true, Logger: n.log,
		})
		return err
	})
	if err != nil {
		return err
	}
	n.app.Start()
	if n.stopOperators, err = n.app.serveOperators(ctx, t.Data, t.PublicURL); err != nil {
		return err
	}
	n.public = newServer(n.app.Handler(), n.limits, n.log)
	n.public.RegisterOnShutdown(func() { n.log.Info("no more requests are taken") }) // the listener is closed by then
	if certificate != nil {
		n.public.TLSConfig = certificate.config()
	}
	n.serve(n.public, n.door(n.listener))
	if n.metricsListener != nil {
		n.operations = newServer(n.app.OperationsHandler(), n.limits, n.log)
		n.serve(n.operations, netutil.LimitListener(n.metricsListener, 16))
	}
	return nil
}

// limits bound what connections cost, however slow whoever is at their other end.
type limits struct {
	header, read, write, idle time.Duration // of one request, and between two
	connections, perSource    int
}

// serveLimits are those of SEC S-134 and REL R-20. What is left of write after
// edge.Longest is for the answer.
var serveLimits = limits{
	header: 5 * time.Second, read: 10 * time.Second, write: 15 * time.Second, idle: 60 * time.Second,
	connections: 10_000, perSource: 100,
}

// door takes connections from the public.
func (n *node) door(l net.Listener) net.Listener {
	return netutil.LimitListener(&perSource{
		Listener: l, max: n.limits.perSource, trusted: n.settings.TrustedProxies,
		refused: n.app.metrics.ConnectionRefused, log: n.log, open: map[netip.Addr]int{},
	}, n.limits.connections)
}

// newServer has the limits that keep slow clients from holding connections (SEC S-134).
func newServer(h http.Handler, l limits, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: l.header, ReadTimeout: l.read,
		WriteTimeout: l.write, IdleTimeout: l.idle, MaxHeaderBytes: 16 << 10,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 100},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func (n *node) serve(s *http.Server, l net.Listener) {
	go func() {
		var err error
		if s.TLSConfig != nil {
			err = s.ServeTLS(l, "", "")
		} else {
			err = s.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			n.failed <- fmt.Errorf("%s: %w", l.Addr(), err)
		}
	}()
}

// drain answers for a while that the engine is not ready, so that proxies send
// new requests elsewhere, and goes on to answer those that come (REL R-16).
func (n *node) drain() {
	n.app.Leave()
	n.log.Info("stopping", "drain", n.settings.Drain.String(), "grace", n.settings.Grace.String())
	time.Sleep(n.settings.Drain)
}

// lastWrites is how long the outbox and the database may take at the end.
const lastWrites = 5 * time.Second

// stop lets requests under way end, then mails under way, gives back the mail
// that was not begun, and closes the database.
func (n *node) stop() error {
	operators := make(chan error, 1) // theirs at the same time, lest both waits add up
	go func() {
		if n.stopOperators == nil {
			operators <- nil
			return
		}
		operators <- n.stopOperators()
	}()
	var err error
	if n.public != nil {
		err = stopIn(n.settings.Grace, n.public.Shutdown)
		if err != nil {
			err = errors.Join(fmt.Errorf("requests were broken off: %w", err), n.public.Close())
		}
	}
	if n.operations != nil {
		err = errors.Join(err, n.operations.Close())
	}
	for _, l := range []net.Listener{n.listener, n.metricsListener} {
		if l != nil {
			_ = l.Close() // a server has done so, if there was one
		}
	}
	err = errors.Join(err, <-operators)
	if n.app != nil {
		err = errors.Join(err, stopIn(lastWrites, n.app.Close))
	}
	return err
}
