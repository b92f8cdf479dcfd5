package admincli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/stile-id/stile/internal/adminapi"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/orgfile"
)

// Apply makes the organisation what a file says: it shows the difference, and
// writes it if nobody has changed anything since.
func (c *CLI) Apply(ctx context.Context, o config.Apply) error {
	if o.ExitCode && !o.DryRun {
		return errors.New("--exit-code goes with --dry-run")
	}
	data, err := c.readFile(o.File)
	if err != nil {
		return err
	}
	file, err := orgfile.Parse(data)
	if err != nil {
		return fmt.Errorf("%s: %w", o.File, err)
	}
	query := url.Values{"dryRun": {"true"}}
	if o.Prune {
		query.Set("prune", "true")
	}
	var seen adminapi.Applied
	header, err := c.call(ctx, http.MethodPut, "/stile/org", query, file, &seen)
	if err != nil {
		return located(o.File, data, err)
	}
	for _, change := range seen.Changes {
		c.say("%s", change)
	}
	switch {
	case len(seen.Changes) == 0:
		c.say("Nothing to do.")
		return nil
	case o.DryRun && o.ExitCode:
		return &Exit{2}
	case o.DryRun:
		return nil
	}
	query.Del("dryRun")
	var done adminapi.Applied
	_, err = c.callIf(ctx, header.Get("ETag"), http.MethodPut, "/stile/org", query, file, &done)
	var refused *refusal
	if errors.As(err, &refused) && refused.Status == http.StatusPreconditionFailed {
		return errors.New("nothing was written: somebody else has changed the organisation since the difference was shown; run it again")
	}
	if err != nil {
		return located(o.File, data, err)
	}
	for _, id := range slices.Sorted(maps.Keys(done.Secrets)) {
		c.say("The secret of %s, shown this once: %s", id, done.Secrets[id])
	}
	c.say("Done: %s.", count(len(done.Changes), "change"))
	return nil
}

func (c *CLI) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(c.In, orgfile.MaxSize+1))
	}
	return os.ReadFile(name)
}

// located gives each cause of a refusal the line of the file that it means.
func located(name string, data []byte, err error) error {
	var e *refusal
	if !errors.As(err, &e) || len(e.Causes) == 0 {
		return err
	}
	lines := make([]string, len(e.Causes))
	for i, cause := range e.Causes {
		path, _, _ := strings.Cut(cause.Summary, ": ")
		lines[i] = name + ": " + cause.Summary
		for p := path; p != ""; p = parent(p) { // what is missing has no line, but what it is missing in has
			if n := orgfile.Line(data, p); n > 0 {
				lines[i] = fmt.Sprintf("%s:%d: %s", name, n, cause.Summary)
				break
			}
		}
	}
	return fmt.Errorf("nothing was written:\n%s", strings.Join(lines, "\n"))
}

func parent(path string) string {
	i := strings.LastIndexAny(path, ".[")
	return path[:max(i, 0)]
}

// Export writes the organisation as a file.
func (c *CLI) Export(ctx context.Context, o config.Export) error {
	var f orgfile.File
	if _, err := c.call(ctx, http.MethodGet, "/stile/org", nil, nil, &f); err != nil {
		return err
	}
	data, err := f.Write()
	if err != nil {
		return err
	}
	if o.Output == "" {
		_, err = c.Out.Write(data)
		return err
	}
	return os.WriteFile(o.Output, data, 0o644)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
