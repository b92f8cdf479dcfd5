package app

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/keyring"
)

// logged writes one line per request. Queries and bodies hold secrets and are
// never part of it (SEC S-143).
func (a *App) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := a.now()
		end := a.metrics.Begin()
		rec := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		r, traced := a.tracing.request(r)
		done := false
		defer func() {
			if !done { // the connection is broken off
				traced(route(r), http.StatusInternalServerError)
				end(r.Method, route(r), http.StatusInternalServerError, a.now().Sub(start))
			}
		}()
		next.ServeHTTP(rec, r)
		done = true
		traced(route(r), rec.status)
		took := a.now().Sub(start)
		end(r.Method, route(r), rec.status, took)
		level := slog.LevelInfo
		switch {
		case r.Pattern == "GET /healthz" || r.Pattern == "GET /readyz": // each second, from each proxy
			level = slog.LevelDebug
		case rec.status == http.StatusServiceUnavailable: // more than can be done, or something else than this program
			level = slog.LevelWarn
		case rec.status >= 500:
			level = slog.LevelError
		}
		attrs := []slog.Attr{
			slog.String("method", printable(r.Method, 16)), slog.String("route", route(r)), slog.Int("status", rec.status),
			slog.Float64("ms", float64(took.Microseconds())/1000),
			slog.String("request", edge.RequestID(r.Context())), slog.String("ip", edge.RemoteIP(r)),
		}
		if flow := edge.Flow(r.Context()); flow != "" {
			attrs = append(attrs, slog.String("flow", flow))
		}
		if id := traceID(r.Context()); id != "" {
			attrs = append(attrs, slog.String("trace", id))
		}
		a.log.LogAttrs(r.Context(), level, "request", attrs...)
	})
}

// followed names the flow of a request in the log by a hash that only holders of the
// master key can make, the same on every node: neither a handle nor a way to one (SEC S-143).
func followed(keys *keyring.Keyring) func(context.Context, string) {
	return func(ctx context.Context, transaction string) {
		mac := keys.MAC("log/flow", transaction)
		edge.SetFlow(ctx, hex.EncodeToString(mac[:8]))
	}
}

// route is the pattern that the request matched: a path may name a person or hold
// a secret, and may be spelled in many ways.
func route(r *http.Request) string {
	if r.Pattern == "" {
		return "none"
	}
	return r.Pattern
}

// contained turns a panic into a plain 500; the stack goes to the log without
// any value of the request (SEC S-139).
func (a *App) contained(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			a.log.ErrorContext(r.Context(), "panic", "request", edge.RequestID(r.Context()), "stack", string(debug.Stack()))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"version":"1.0.0","messages":{"type":"array","value":[{"message":"Internal Server Error","i18n":{"key":"E0000009"},"class":"ERROR"}]}}`))
		}()
		next.ServeHTTP(w, r)
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (s *statusRecorder) WriteHeader(status int) {
	if !s.wrote {
		s.status, s.wrote = status, true
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(b []byte) (int, error) {
	s.wrote = true
	return s.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
