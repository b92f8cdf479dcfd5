package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// An otlp exports spans in OTLP over HTTP, as JSON. The exporter of OpenTelemetry
// brings gRPC and Protocol Buffers with it, a tenth of the whole program.
type otlp struct {
	url     string
	headers http.Header
	client  *http.Client
}

const exportPatience = 5 * time.Second

// newOTLP takes headers of the form that OTEL_EXPORTER_OTLP_HEADERS has: name=value
// pairs between commas, in the encoding of URLs.
func newOTLP(endpoint, headers string) (*otlp, error) {
	o := &otlp{endpoint + "/v1/traces", http.Header{"Content-Type": {"application/json"}}, &http.Client{Timeout: exportPatience}}
	for pair := range strings.SplitSeq(headers, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		decoded, err := url.PathUnescape(value)
		if pair != "" && (!ok || name == "" || err != nil) {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_HEADERS: not of the form name=value,name=value")
		}
		if pair != "" {
			o.headers.Set(name, decoded)
		}
	}
	return o, nil
}

type (
	otlpValue struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"` // 64 bits are text in the JSON of Protocol Buffers
		Bool   *bool   `json:"boolValue,omitempty"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpStatus struct {
		Code int `json:"code,omitempty"`
	}
	otlpSpan struct {
		TraceID    string          `json:"traceId"`
		SpanID     string          `json:"spanId"`
		Parent     string          `json:"parentSpanId,omitempty"`
		Name       string          `json:"name"`
		Kind       int             `json:"kind"`
		Start      string          `json:"startTimeUnixNano"`
		End        string          `json:"endTimeUnixNano"`
		Attributes []otlpAttribute `json:"attributes,omitempty"`
		Status     otlpStatus      `json:"status"`
	}
	otlpScope struct {
		Spans []otlpSpan `json:"spans"`
	}
	otlpResource struct {
		Resource struct {
			Attributes []otlpAttribute `json:"attributes"`
		} `json:"resource"`
		Scopes []otlpScope `json:"scopeSpans"`
	}
	otlpTraces struct {
		Resources []otlpResource `json:"resourceSpans"`
	}
)

// ExportSpans implements [sdk.SpanExporter]. A batch that is not taken is lost:
// spans are not worth a queue.
func (o *otlp) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	var of otlpResource
	of.Resource.Attributes = otlpAttributes(spans[0].Resource().Attributes())
	scope := otlpScope{Spans: make([]otlpSpan, 0, len(spans))}
	for _, s := range spans {
		span := otlpSpan{
			TraceID: s.SpanContext().TraceID().String(), SpanID: s.SpanContext().SpanID().String(), Name: s.Name(), Kind: int(s.SpanKind()),
			Start: strconv.FormatInt(s.StartTime().UnixNano(), 10), End: strconv.FormatInt(s.EndTime().UnixNano(), 10),
			Attributes: otlpAttributes(s.Attributes()),
		}
		if s.Parent().HasSpanID() {
			span.Parent = s.Parent().SpanID().String()
		}
		if s.Status().Code == codes.Error {
			span.Status.Code = 2 // STATUS_CODE_ERROR
		}
		scope.Spans = append(scope.Spans, span)
	}
	of.Scopes = []otlpScope{scope}
	body, err := json.Marshal(otlpTraces{[]otlpResource{of}})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = o.headers
	res, err := o.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is kept
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answers %s", res.Status)
	}
	return nil
}

// Shutdown implements [sdk.SpanExporter].
func (o *otlp) Shutdown(context.Context) error { return nil }

func otlpAttributes(all []attribute.KeyValue) []otlpAttribute {
	out := make([]otlpAttribute, 0, len(all))
	for _, a := range all {
		v := otlpValue{}
		switch a.Value.Type() {
		case attribute.BOOL:
			b := a.Value.AsBool()
			v.Bool = &b
		case attribute.INT64:
			n := strconv.FormatInt(a.Value.AsInt64(), 10)
			v.Int = &n
		default:
			s := a.Value.String()
			v.String = &s
		}
		out = append(out, otlpAttribute{string(a.Key), v})
	}
	return out
}
