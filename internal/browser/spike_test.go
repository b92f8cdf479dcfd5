package browser_test

import (
	"context"
	"testing"
	"time"
	"os"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func TestSpike(t *testing.T) {
	start := time.Now()
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath("chromium"), chromedp.Flag("headless", true), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true),
		chromedp.NoFirstRun, chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.CombinedOutput(os.Stderr),
	}
	actx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	defer cancel()
	bctx, cancel2 := chromedp.NewContext(actx)
	defer cancel2()
	if err := chromedp.Do(bctx); err != nil { t.Fatal(err) }
	t.Log("browser", time.Since(start)); start = time.Now()
	p, c3 := chromedp.NewContext(bctx, chromedp.WithNewBrowserContext())
	defer c3()
	if err := chromedp.Do(p); err != nil { t.Fatal(err) }
	t.Log("context", time.Since(start)); start = time.Now()
	if _, err := chromedp.Call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil { t.Fatal(err) }
	if err := chromedp.Do(p, chromedp.Navigate("data:text/html,<title>x</title><script>document.title='js'</script><h1>hi</h1>")); err != nil { t.Fatal(err) }
	s, err := chromedp.Run(p, chromedp.Evaluate[string]("document.title + innerWidth"))
	t.Log(s, err, time.Since(start)); start = time.Now()
	err = chromedp.Do(p, chromedp.WaitVisible(chromedp.CSS("h1")))
	t.Log(err, time.Since(start)); start = time.Now()
	_ = cdp.Empty{}
}
