// Package admincli is the operators' commands: flags become calls of the
// management API, its answers become text.
package admincli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// A CLI runs commands against one engine.
type CLI struct {
	API     http.RoundTripper
	Running bool // an engine answers, and delivers mail
	In      io.Reader
	Out     io.Writer // what was asked for
	Notes   io.Writer // what there is to say beside it
}

// An Exit ends the command with a status of its own, and says nothing more.
type Exit struct{ Status int }

func (e *Exit) Error() string { return fmt.Sprintf("status %d", e.Status) }

// A refusal is an error object of the API.
type refusal struct {
	Status  int
	Code    string `json:"errorCode"`
	Summary string `json:"errorSummary"`
	ID      string `json:"errorId"`
	Causes  []struct {
		Summary string `json:"errorSummary"`
	} `json:"errorCauses"`
}

func (e *refusal) Error() string {
	if len(e.Causes) == 0 {
		s := strings.TrimSuffix(e.Summary, ".")
		if e.Status >= http.StatusInternalServerError {
			s += " (" + e.ID + " in the engine's log)"
		}
		return s
	}
	lines := make([]string, len(e.Causes))
	for i, c := range e.Causes {
		lines[i] = c.Summary
	}
	return strings.Join(lines, "\n")
}

// base is a host that is not looked up: the transport knows where the engine is.
const base = "http://stile/api/v1"

// call sends body, nil for none, and decodes the answer into, nil for none.
func (c *CLI) call(ctx context.Context, method, path string, query url.Values, body, into any) (http.Header, error) {
	return c.callIf(ctx, "", method, path, query, body, into)
}

func (c *CLI) callIf(ctx context.Context, match, method, path string, query url.Values, body, into any) (http.Header, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	target := base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if match != "" {
		r.Header.Set("If-Match", match)
	}
	answer, err := c.API.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("the engine does not answer: %w", err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("the engine does not answer: %w", err)
	}
	if answer.StatusCode >= 300 {
		e := &refusal{Status: answer.StatusCode}
		if json.Unmarshal(data, e) != nil || e.Summary == "" {
			e.Summary = fmt.Sprintf("the engine answered %d", answer.StatusCode)
		}
		return answer.Header, e
	}
	if into == nil || len(data) == 0 {
		return answer.Header, nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return nil, fmt.Errorf("the engine's answer: %w", err)
	}
	return answer.Header, nil
}

// next is the query of the next page of a list, nil after the last.
func next(h http.Header) url.Values {
	for _, l := range h.Values("Link") {
		target, rel, _ := strings.Cut(l, ";")
		if !strings.Contains(rel, `"next"`) {
			continue
		}
		if u, err := url.Parse(strings.Trim(strings.TrimSpace(target), "<>")); err == nil {
			return u.Query()
		}
	}
	return nil
}

// json prints v as JSON.
func (c *CLI) json(v any) error {
	e := json.NewEncoder(c.Out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (c *CLI) say(format string, args ...any) { fmt.Fprintf(c.Out, format+"\n", args...) }

func (c *CLI) note(format string, args ...any) { fmt.Fprintf(c.Notes, format+"\n", args...) }
