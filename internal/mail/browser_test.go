package mail

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// browse opens a tab of a headless browser, 320 px wide.
func browse(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv("CHROMIUM"), "chromium"))
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip("no Chromium") // on a machine without it; CI has it
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancelTab := chromedp.NewContext(ctx)
	t.Cleanup(cancelTab)
	_, err = chromedp.Call(ctx, emulation.SetDeviceMetricsOverride,
		emulation.SetDeviceMetricsOverrideParams{Width: 320, Height: 700, DeviceScaleFactor: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancelTime := context.WithTimeout(ctx, 60*time.Second)
	t.Cleanup(cancelTime)
	return ctx
}

func do(t *testing.T, ctx context.Context, what string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func read[T any](t *testing.T, ctx context.Context, action chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// requestedHosts collects where a tab sends requests; those that the page's own
// policy stops are not sent.
func requestedHosts(t *testing.T, ctx context.Context) func() []string {
	t.Helper()
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[network.RequestID]string{}
	err := chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err == nil && strings.HasPrefix(u.Scheme, "http") {
				seen[e.RequestID] = u.Host
			}
		case *network.EventLoadingFailed:
			if e.BlockedReason == network.BlockedReasonCsp {
				delete(seen, e.RequestID)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Collect(maps.Values(seen))
	}
}

func TestInboxInABrowser(t *testing.T) {
	b := newInbox(t)
	server := httptest.NewServer(b.Handler())
	t.Cleanup(server.Close)
	t.Cleanup(func() { _ = b.Close() })
	ctx := browse(t)
	hosts := requestedHosts(t, ctx)
	b.Add(letter(t, func(m *Message) { m.App.LogoURL = "https://cdn.example.com/logo.png" }))

	do(t, ctx, "the list", chromedp.Navigate(server.URL+"/dev/inbox"),
		chromedp.WaitVisible(chromedp.CSS("#m-msgTESTTESTTEST .copy")), chromedp.Focus(chromedp.CSS("#m-msgTESTTESTTEST h2 a")))
	put(t, b, "second", "bob@example.com")
	do(t, ctx, "UX_P8_1: new mail without a reload", chromedp.WaitVisible(chromedp.CSS("#m-second .copy")))
	if got := read(t, ctx, chromedp.TextContent(chromedp.CSS("#count"))); got != "2 mails" {
		t.Errorf("count is %q", got)
	}
	if got := read(t, ctx, chromedp.Evaluate[string](`document.activeElement.getAttribute("href")`)); got != "/dev/inbox/messages/msgTESTTESTTEST" {
		t.Errorf("the focus moved to %q", got)
	}
	if got := read(t, ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); got > 320 {
		t.Errorf("UX_G8: the list is %d px wide", got)
	}

	for _, path := range []string{"/dev/inbox/messages/msgTESTTESTTEST", "/dev/inbox/messages/msgTESTTESTTEST?view=source", "/dev/inbox/messages/msgTESTTESTTEST/body"} {
		do(t, ctx, path, chromedp.Navigate(server.URL+path))
		if got := read(t, ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); got > 320 {
			t.Errorf("UX_G8, UX_M0_2: %s is %d px wide", path, got)
		}
	}
	if got := read(t, ctx, chromedp.TextContent(chromedp.CSS("h1"))); got != "Sign in to Acme" {
		t.Errorf("the mail's title is %q", got)
	}

	noScript := func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}
	do(t, ctx, "without script", chromedp.Func(noScript), chromedp.Navigate(server.URL+"/dev/inbox"),
		chromedp.WaitVisible(chromedp.CSS(".reload")), chromedp.Click(chromedp.CSS("#m-second form button")),
		chromedp.WaitNotPresent(chromedp.CSS("#m-second")))
	if got := b.Messages(""); len(got) != 1 {
		t.Errorf("UX_P8_5: %d mails after deleting one", len(got))
	}

	for _, host := range hosts() {
		if server.URL != "http://"+host {
			t.Errorf("UX_P8_4: a request went to %s", host)
		}
	}
}

// TestMailsInABrowser looks at each mail on a narrow screen, with long names.
func TestMailsInABrowser(t *testing.T) {
	c := newComposer(t)
	pages := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(pages[r.URL.Path]))
	}))
	t.Cleanup(server.Close)
	long := func(m *Message) {
		m.App.Name, m.FirstName = strings.Repeat("Grunderwerbsteuer", 4), strings.Repeat("Wolfeschlegel", 5)
		m.Origin.IP = "2001:db8:1234:5678:9abc:def0:1234:5678"
		if m.Address != "" {
			m.Address = "a***a@" + strings.Repeat("x", 60) + ".example"
		}
		if m.Link != "" {
			m.Link = "https://id.example.com/link/" + strings.Repeat("x", 170)
		}
	}
	for _, template := range templates {
		pages["/"+string(template)] = compose(t, c, message(template)).HTML
		pages["/"+string(template)+"/long"] = compose(t, c, message(template, long)).HTML
	}
	ctx := browse(t)
	for path := range pages {
		do(t, ctx, path, chromedp.Navigate(server.URL+path))
		if got := read(t, ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); got > 320 {
			t.Errorf("UX_M0_2: %s is %d px wide", path, got)
		}
	}
}
