package browser_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A record is what a browser did that nobody sees.
type record struct {
	own []string // origins that may be asked

	mu      sync.Mutex
	faults  []string
	sent    []string // method and address of all that was asked for
	urls    map[network.RequestID]string
	offline bool // the site is being restarted
	gone    bool // a page asks for what is gone, and is to be told so
}

func (r *record) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.faults)
}

// requests lists what was asked for so far whose method and address start so.
func (r *record) requests(prefix string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, s := range r.sent {
		if strings.HasPrefix(s, prefix) {
			all = append(all, s)
		}
	}
	return all
}

// mayFail lets requests fail, for as long as the site is being restarted.
func (r *record) mayFail(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offline = yes
}

// notice takes the events of a tab (UX G2, G4).
func (r *record) notice(ev any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fault := func(format string, args ...any) { r.faults = append(r.faults, fmt.Sprintf(format, args...)) }
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		r.sent = append(r.sent, e.Request.Method+" "+e.Request.URL)
		if r.urls == nil {
			r.urls = map[network.RequestID]string{}
		}
		r.urls[e.RequestID] = e.Request.URL
		local := strings.HasPrefix(e.Request.URL, "data:") || strings.HasPrefix(e.Request.URL, "about:")
		if !local && !slices.ContainsFunc(r.own, func(o string) bool { return strings.HasPrefix(e.Request.URL, o+"/") }) {
			fault("UX G2: asked a stranger for %s", e.Request.URL)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 && (!r.gone || e.Response.Status != 410 && e.Response.Status != 404) && e.Type != network.ResourceTypeDocument {
			fault("%d for %s", e.Response.Status, e.Response.URL)
		}
	case *network.EventLoadingFailed:
		// The inspector looks for the sources of pages that it comes late to; nobody saw it ask.
		if url, asked := r.urls[e.RequestID]; asked && !e.Canceled && !r.offline && e.Type != network.ResourceTypeDocument {
			fault("%s did not load: %s", url, e.ErrorText)
		}
	case *log.EventEntryAdded:
		// What the network says is taken from its own events above.
		if e.Entry.Source != log.EntrySourceNetwork && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
			fault("console: %s: %s", e.Entry.Source, e.Entry.Text)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			fault("console: %s %s", e.Type, e.Args[0].Value)
		}
	case *runtime.EventExceptionThrown:
		fault("script: %s", e.ExceptionDetails.Text)
	case *page.EventJavascriptDialogOpening:
		fault("UX G6: a dialog: %s", e.Message)
	}
}

// where tells of the page at hand, for those who read a failure.
func (p *person) where() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](
		`location.href + "\n" + document.title + "\n" + (document.body ? document.body.innerText : "")`))
	if err != nil {
		return err.Error()
	}
	if len(s) > 1500 {
		s = s[:1500]
	}
	return s
}

// keep saves a picture of what a failed test had come to.
func (p *person) keep() {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return
	}
	dir, err := os.MkdirTemp("", "stile-failed-")
	if err != nil {
		return
	}
	file := filepath.Join(dir, "page.png")
	if os.WriteFile(file, picture, 0o600) == nil {
		p.t.Logf("picture: %s", file)
	}
}
