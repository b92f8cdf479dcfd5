package browser_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// A profile is a browser's cookies, storage, cache and first tab. A window of its own
// takes a second to open, so profiles are emptied and used again.
type profile struct {
	ctx    context.Context
	close  context.CancelFunc
	record atomic.Pointer[record] // of who has it now
}

var idle struct {
	sync.Mutex
	profiles []*profile
}

// takeProfile gives an empty profile, looking at an empty page.
func takeProfile() (*profile, error) {
	browser, err := chromium()
	if err != nil {
		return nil, err
	}
	idle.Lock()
	if n := len(idle.profiles); n > 0 {
		f := idle.profiles[n-1]
		idle.profiles = idle.profiles[:n-1]
		idle.Unlock()
		return f, nil
	}
	idle.Unlock()
	f := &profile{}
	f.ctx, f.close = chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(func(ev any) {
		if r := f.record.Load(); r != nil {
			r.notice(ev)
		}
	}))
	return f, chromedp.Do(f.ctx)
}

// giveBack empties the profile, which was at these origins, for the next, or closes it
// if that does not work.
func (f *profile) giveBack(origins ...string) {
	ctx, cancel := context.WithTimeout(f.ctx, 10*time.Second)
	defer cancel()
	f.record.Store(nil)
	err := chromedp.Do(ctx,
		chromedp.Navigate("about:blank"),
		command(page.ResetNavigationHistory, cdp.Empty{}),
		command(network.ClearBrowserCache, cdp.Empty{}),
	)
	for _, o := range origins { // keys of phones, workers
		if err == nil {
			err = chromedp.Do(ctx, command(storage.ClearDataForOrigin, storage.ClearDataForOriginParams{Origin: o, StorageTypes: "all"}))
		}
	}
	if err == nil {
		_, err = chromedp.CallBrowser(ctx, storage.ClearCookies, storage.ClearCookiesParams{BrowserContextID: chromedp.FromContext(f.ctx).BrowserContextID})
	}
	if err != nil {
		f.close()
		return
	}
	idle.Lock()
	defer idle.Unlock()
	idle.profiles = append(idle.profiles, f)
}
