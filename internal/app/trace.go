package app

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/store"
)

// tracing sends spans of requests, transactions of the database and deliveries to
// an OpenTelemetry collector. A nil one does nothing. Like the log, spans have no
// addresses, queries or bodies (SEC S-143).
type tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	// proxied says that a traceparent may come in, from trusted proxies alone.
	proxied bool
}

// newTracing sends to an endpoint of OTLP over HTTP. Which spans are kept and with
// which headers they go, the variables of OpenTelemetry say: OTEL_TRACES_SAMPLER,
// OTEL_EXPORTER_OTLP_HEADERS.
func newTracing(endpoint string, proxied bool, log *slog.Logger) (*tracing, error) {
	if endpoint == "" {
		return nil, nil
	}
	exporter, err := newOTLP(endpoint, os.Getenv("OTEL_EXPORTER_OTLP_HEADERS"))
	if err != nil {
		return nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces", "err", err) }))
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(resource.NewSchemaless(
		attribute.String("service.name", "stile"), attribute.String("service.version", Version()))))
	return &tracing{p, p.Tracer("github.com/stile-id/stile"), proxied}, nil
}

// tracesPatience is how long a stopping engine waits for a collector.
const tracesPatience = 2 * time.Second

// stop sends what is still here.
func (t *tracing) stop(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tracesPatience)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// request begins the span of a request; the function ends it.
func (t *tracing) request(r *http.Request) (*http.Request, func(route string, status int)) {
	if t == nil {
		return r, func(string, int) {}
	}
	ctx := r.Context()
	if t.proxied {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	ctx, span := t.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
	return r.WithContext(ctx), func(route string, status int) {
		method := printable(r.Method, 16)
		span.SetName(route)
		span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route),
			attribute.Int("http.response.status_code", status), attribute.String("stile.request", edge.RequestID(ctx)))
		if flow := edge.Flow(ctx); flow != "" {
			span.SetAttributes(attribute.String("stile.flow", flow))
		}
		if status >= 500 {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// traceID is that of a request's span, "" without one.
func traceID(ctx context.Context) string {
	if c := trace.SpanContextFromContext(ctx); c.HasTraceID() {
		return c.TraceID().String()
	}
	return ""
}

func (t *tracing) span(ctx context.Context, name string, kind trace.SpanKind, attributes ...attribute.KeyValue) (context.Context, func(error)) {
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "") // its text may name somebody
		}
		span.End()
	}
}

// tracedStore has a span for each transaction: how long it waited for its turn and
// was written is what a slow step most often is about.
type tracedStore struct {
	store.Store
	tracing *tracing
}

func (s tracedStore) InTx(ctx context.Context, d store.Durability, fn func(store.Tx) error) error {
	ctx, end := s.tracing.span(ctx, "store.write", trace.SpanKindClient, attribute.Bool("stile.durable", d == store.Durable))
	err := s.Store.InTx(ctx, d, fn)
	end(err)
	return err
}

// tracedDeliverer has a span for each try to hand a message over.
type tracedDeliverer struct {
	outbox.Deliverer
	kind    string
	tracing *tracing
}

func (d tracedDeliverer) Deliver(ctx context.Context, x outbox.Delivery) error {
	ctx, end := d.tracing.span(ctx, "deliver", trace.SpanKindProducer,
		attribute.String("stile.message", x.ID), attribute.String("stile.kind", d.kind), attribute.Int("stile.attempt", x.Attempt))
	err := d.Deliverer.Deliver(ctx, x)
	end(err)
	return err
}
