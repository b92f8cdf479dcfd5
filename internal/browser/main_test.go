package browser_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// What all tests share, made when the first of them wants it: one Chromium, in
// which everybody has a profile of their own, one built stile, one axe.
var (
	chromium = sync.OnceValues(startChromium)
	binary   = sync.OnceValues(buildStile)
	axe      = sync.OnceValues(readAxe)
)

var ending struct {
	sync.Mutex
	all []func()
}

// atEnd runs f after the last test; what was begun last ends first.
func atEnd(f func()) {
	ending.Lock()
	defer ending.Unlock()
	ending.all = append(ending.all, f)
}

// together is how many tests share the browser at a time: more only wait for each other.
const together = 2

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f != nil {
		if n, err := strconv.Atoi(f.Value.String()); err == nil && n > together {
			_ = f.Value.Set(strconv.Itoa(together))
		}
	}
	code := m.Run()
	for i := len(ending.all) - 1; i >= 0; i-- {
		ending.all[i]()
	}
	os.Exit(code)
}

// required holds where nothing may be left out.
func required() bool {
	return os.Getenv("CI") == "true" || os.Getenv("STILE_TEST_BROWSER") == "required"
}

// without leaves a test out for lack of something, or fails it where it is required.
func without(t testing.TB, what string) {
	t.Helper()
	if required() {
		t.Fatal(what)
	}
	t.Skip(what) // on a machine without it; never where required() holds, so never in CI
}

// needsBrowser comes before anything is started for a test.
func needsBrowser(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("a real browser is left out with -short") // that is the race detector's run; the run without it has them all
	}
	if _, err := findChromium(); err != nil {
		without(t, err.Error())
	}
}

func findChromium() (string, error) {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium: install it, or name one in CHROMIUM")
}

func startChromium() (context.Context, error) {
	path, err := findChromium()
	if err != nil {
		return nil, err
	}
	profile, err := os.MkdirTemp("", "stile-chromium-")
	if err != nil {
		return nil, err
	}
	atEnd(func() { os.RemoveAll(profile) })
	var said bytes.Buffer
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.CombinedOutput(&said),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
	}
	for _, name := range []string{
		"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync",
		"disable-dev-shm-usage",
		// Every window counts as looked at, however many there are.
		"disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
	} {
		options = append(options, chromedp.Flag(name, true))
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	atEnd(stop)
	ctx, stop = chromedp.NewContext(ctx)
	atEnd(stop)
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("%s does not start: %w\n%s", path, err, said.Bytes())
	}
	return ctx, nil
}

func buildStile() (string, error) {
	dir, err := os.MkdirTemp("", "stile-binary-")
	if err != nil {
		return "", err
	}
	atEnd(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "stile")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/stile-id/stile/cmd/stile").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/stile: %w\n%s", err, out)
	}
	return path, nil
}

// readAxe gives the accessibility rules' script, from npm where it is not here yet.
func readAxe() (string, error) {
	path := filepath.Join("node_modules", "axe-core", "axe.min.js")
	script, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if out, err := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error").CombinedOutput(); err != nil {
			return "", fmt.Errorf("no axe-core: npm ci: %w\n%s", err, out)
		}
		script, err = os.ReadFile(path)
	}
	return string(script), err
}
