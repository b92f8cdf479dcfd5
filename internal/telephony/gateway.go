package telephony

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"unicode"

	"github.com/goccy/go-yaml"
	"golang.org/x/net/http/httpguts"

	"github.com/stile-id/stile/internal/outbox"
)

// A gatewayFile says how a gateway's HTTP interface is called (docs/operations.md).
type gatewayFile struct {
	SMS   *gatewayCall `yaml:"sms"`
	Voice *gatewayCall `yaml:"voice"`
}

// A gatewayCall is one request. The values of Query, Headers, Form and JSON are
// templates; each is filled in first and encoded then, so that no value can become
// more than the one value.
type gatewayCall struct {
	URL     string            `yaml:"url"`
	Method  string            `yaml:"method"` // default POST
	User    string            `yaml:"user"`   // HTTP Basic, with the secret as password
	Bearer  bool              `yaml:"bearer"` // Authorization: Bearer, with the secret
	Headers map[string]string `yaml:"headers"`
	Query   map[string]string `yaml:"query"`
	Form    map[string]string `yaml:"form"`
	JSON    any               `yaml:"json"`
	Status  gatewayAnswer     `yaml:"status"`
}

// A Gateway sends messages by the HTTP interface of a provider.
type Gateway struct {
	name   string
	calls  map[string]*gatewayCall
	secret string
	client *http.Client
}

// What a template may say: {{.To}}.
type gatewayView struct {
	ID, To, Code, Link, Text, App, Locale, Secret string
}

// NewGateway reads a description of calls. secret is what they prove themselves by;
// empty: nothing. The error tells no secret.
func NewGateway(description []byte, secret string) (*Gateway, error) {
	var f gatewayFile
	if err := yaml.UnmarshalWithOptions(description, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("telephony: gateway: %s", yaml.FormatError(err, false, false))
	}
	g := &Gateway{calls: map[string]*gatewayCall{}, secret: secret, client: newClient()}
	for method, c := range map[string]*gatewayCall{SMS: f.SMS, Voice: f.Voice} {
		if c == nil {
			continue
		}
		u, err := c.check(secret)
		if err == nil {
			var r *http.Request // every template is filled in once, for its faults
			if r, err = g.request(context.Background(), c, sample(method, secret)); err == nil {
				_, err = io.Copy(io.Discard, r.Body)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("telephony: gateway: %s: %w", method, err)
		}
		g.name, g.calls[method] = u.Host, c
	}
	if len(g.calls) == 0 {
		return nil, errors.New("telephony: gateway: neither sms nor voice is there")
	}
	return g, nil
}

// sample is a message as long and as many-lined as they come.
func sample(method, secret string) gatewayView {
	m := Message{Method: method, To: "+12025550100", Code: "123456", App: "App", Host: "app.example", Locale: "en"}
	return gatewayView{ID: "id", To: m.To, Code: m.Code, Text: m.Text(), App: m.App, Locale: m.Locale, Secret: secret}
}

func (c *gatewayCall) check(secret string) (*url.URL, error) {
	u, err := checkURL(c.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("url %w", err)
	case c.Form != nil && c.JSON != nil:
		return nil, errors.New("form and json exclude each other")
	case c.User != "" && c.Bearer:
		return nil, errors.New("user and bearer exclude each other")
	case (c.User != "" || c.Bearer) && secret == "":
		return nil, errors.New("there is no secret to prove oneself by")
	case strings.ContainsFunc(secret, unicode.IsControl):
		return nil, errors.New("the secret is not of one line")
	}
	if err := c.checkHeaders(); err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	if err := c.Status.check(); err != nil {
		return nil, err
	}
	switch strings.ToUpper(c.Method) {
	case "":
		c.Method = http.MethodPost
	case http.MethodGet, http.MethodPost, http.MethodPut:
		c.Method = strings.ToUpper(c.Method)
	default:
		return nil, fmt.Errorf("method %q is none of GET, POST and PUT", c.Method)
	}
	if c.Method == http.MethodGet && (c.Form != nil || c.JSON != nil) {
		return nil, errors.New("a GET has no body")
	}
	return u, nil
}

// checkHeaders refuses names that are none, or that would get in the way of what the
// call is made of: where a request ends and whom it is for, is not for headers to say.
func (c *gatewayCall) checkHeaders() error {
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("%q is not the name of one", name)
		case seen[canonical]:
			return fmt.Errorf("%s is there twice", canonical)
		case slices.Contains([]string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Te", "Trailer", "Upgrade", "Expect"}, canonical):
			return fmt.Errorf("%s is not for a description to set", canonical)
		case canonical == "Authorization" && (c.User != "" || c.Bearer):
			return errors.New("Authorization, and user or bearer, exclude each other")
		}
		seen[canonical] = true
	}
	return nil
}

// String names it in the log.
func (g *Gateway) String() string { return "gateway " + g.name }

// Can reports whether there is a call for a method.
func (g *Gateway) Can(method string) bool { return g.calls[method] != nil }

// Send makes the call. Its {{.ID}} is the same on every try of a message.
func (g *Gateway) Send(ctx context.Context, id string, m Message) error {
	c := g.calls[m.Method]
	if c == nil {
		return &outbox.Permanent{Class: "method"}
	}
	r, err := g.request(ctx, c, gatewayView{
		ID: id, To: m.To, Code: cmp.Or(m.Code, m.Link), Link: m.Link, Text: m.Text(), App: name(m.App), Locale: m.Locale, Secret: g.secret,
	})
	if err != nil {
		return &outbox.Permanent{Class: "invalid", Err: err}
	}
	_, err = call(g.client, r, c.Status.outcome)
	return err
}

func (g *Gateway) request(ctx context.Context, c *gatewayCall, v gatewayView) (*http.Request, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("url is none")
	}
	q := u.Query()
	if err := fill(c.Query, v, q.Set); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	u.RawQuery = q.Encode()
	var body []byte
	kind := ""
	switch {
	case c.Form != nil:
		form := url.Values{}
		if err := fill(c.Form, v, form.Set); err != nil {
			return nil, fmt.Errorf("form: %w", err)
		}
		body, kind = []byte(form.Encode()), "application/x-www-form-urlencoded"
	case c.JSON != nil:
		filled, err := fillAny(c.JSON, v)
		if err != nil {
			return nil, fmt.Errorf("json: %w", err)
		}
		if body, err = json.Marshal(filled); err != nil {
			return nil, fmt.Errorf("json: %w", err)
		}
		kind = "application/json"
	}
	r, err := http.NewRequestWithContext(ctx, c.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("url is none")
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if c.User != "" {
		r.SetBasicAuth(c.User, g.secret)
	}
	if c.Bearer {
		r.Header.Set("Authorization", "Bearer "+g.secret)
	}
	unfit := ""
	err = fill(c.Headers, v, func(name, value string) {
		if !httpguts.ValidHeaderFieldValue(value) {
			unfit = name
		}
		r.Header.Set(name, value)
	})
	if err == nil && unfit != "" {
		err = fmt.Errorf("%s: %w", unfit, errHeader)
	}
	if err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	return r, nil
}

// fill sets every value, filled in, in the order of the names.
func fill(values map[string]string, v gatewayView, set func(name, value string)) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		s, err := fillText(values[name], v)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		set(name, s)
	}
	return nil
}

// fillAny fills in every text within a value of YAML.
func fillAny(in any, v gatewayView) (any, error) {
	switch in := in.(type) {
	case string:
		return fillText(in, v)
	case []any:
		out := make([]any, len(in))
		for i, e := range in {
			var err error
			if out[i], err = fillAny(e, v); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := map[string]any{}
		for k, e := range in {
			var err error
			if out[k], err = fillAny(e, v); err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
		}
		return out, nil
	}
	return in, nil
}

// fillText fills one template in. xml makes a value fit to stand in a document, as
// those are by which some gateways are told what to say.
func fillText(text string, v gatewayView) (string, error) {
	t, err := template.New("").Option("missingkey=error").Funcs(template.FuncMap{"xml": escapeXML}).Parse(text)
	if err != nil {
		return "", errors.New("not a template")
	}
	var out strings.Builder
	if err := t.Execute(&out, v); err != nil {
		return "", errors.New("a template can say ID, To, Code, Link, Text, App, Locale and Secret")
	}
	return out.String(), nil
}

func escapeXML(s string) (string, error) {
	var out strings.Builder
	err := xml.EscapeText(&out, []byte(s))
	return out.String(), err
}
