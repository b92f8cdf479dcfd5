//go:build unix

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	offered "github.com/stile-id/stile/internal/load"
)

// REL §4: the generator is a process of its own that has a processor whenever it
// wants one, the engine has what is left, and a run in which the generator was
// late says nothing.
const exact = 5 * time.Millisecond

// measures leaves out what takes minutes, and is no test on a busy machine.
func measures(t *testing.T) {
	t.Helper()
	if !long {
		t.Skip("measures") // make test-long runs it
	}
}

// void ends a run of which nothing follows.
func void(t *testing.T, late time.Duration) {
	t.Helper()
	if late > exact {
		t.Skipf("void: the generator was late by %v at p99", late) // other processes had the machine
	}
}

// Visitors are people that sign up with the bare protocol, which costs the generator
// less than an SDK.
type visitors struct {
	site   *site
	http   *http.Client
	failed atomic.Int64

	mu      sync.Mutex
	took    []time.Duration // of requests that were taken
	refused []time.Duration // of those that were told to come again
	mailed  []time.Duration // from the request for a code to the code
}

// times are those of the requests since the last call, sorted.
func (c *visitors) times() (took, refused, mailed []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	took, refused, mailed = c.took, c.refused, c.mailed
	c.took, c.refused, c.mailed = nil, nil, nil
	for _, all := range [][]time.Duration{took, refused, mailed} {
		slices.Sort(all)
	}
	return took, refused, mailed
}

func (c *visitors) note(list *[]time.Duration, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*list = append(*list, d)
}

func (s *site) visitors() *visitors {
	return &visitors{site: s, http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4096}}}
}

// errRefused says that the engine had no time, and when to come again.
var errRefused = errors.New("refused")

// post sends from an address of the person's own.
func (c *visitors) post(ctx context.Context, n int, path, mime, body string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", c.site.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", mime)
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255))
	began := time.Now()
	res, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	doc, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != "":
		c.note(&c.refused, time.Since(began))
		return nil, errRefused
	case res.StatusCode != http.StatusOK:
		return doc, fmt.Errorf("%s: %d %s", path, res.StatusCode, doc)
	}
	c.note(&c.took, time.Since(began))
	return doc, nil
}

func (c *visitors) form(ctx context.Context, n int, path string, form url.Values, out any) error {
	form.Set("client_id", clientID)
	form.Set("client_secret", c.site.secret)
	doc, err := c.post(ctx, n, path, "application/x-www-form-urlencoded", form.Encode())
	if err != nil {
		return err
	}
	return json.Unmarshal(doc, out)
}

const (
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636, appendix B
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

var (
	stateHandle     = regexp.MustCompile(`"stateHandle":"([^"]+)"`)
	interactionCode = regexp.MustCompile(`"name":"interaction_code"[^}]*"value":"([^"]+)"`)
)

// begin begins a flow and returns its handle.
func (c *visitors) begin(ctx context.Context, n int) (string, error) {
	var started struct {
		Handle string `json:"interaction_handle"`
	}
	err := c.form(ctx, n, "/oauth2/default/v1/interact", url.Values{
		"scope": {"openid profile email offline_access"}, "redirect_uri": {redirectURI}, "state": {"s"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}, &started)
	if err != nil {
		return "", err
	}
	doc, err := c.post(ctx, n, "/idp/idx/introspect", "application/json", fmt.Sprintf(`{"interactionHandle":%q}`, started.Handle))
	return handleIn(doc, err)
}

func handleIn(doc []byte, err error) (string, error) {
	if err != nil {
		return "", err
	}
	m := stateHandle.FindSubmatch(doc)
	if m == nil {
		return "", fmt.Errorf("no handle in %s", doc)
	}
	return string(m[1]), nil
}

// A waiter has got as far as the code.
type waiter struct {
	n            int
	handle, code string
}

// wishes goes as far as the page that asks for the code.
func (c *visitors) wishes(ctx context.Context, n int, address string) (handle string, err error) {
	h, err := c.begin(ctx, n)
	for _, step := range [][2]string{
		{"enroll", `{"stateHandle":%q}`},
		{"enroll/new", `{"stateHandle":%q,"userProfile":{"firstName":"Ada","lastName":"Lovelace","email":"` + address + `"}}`},
	} {
		if err != nil {
			return "", err
		}
		h, err = handleIn(c.post(ctx, n, "/idp/idx/"+step[0], "application/json", fmt.Sprintf(step[1], h)))
	}
	return h, err
}

func (c *visitors) asked(ctx context.Context, n int, address string) (waiter, error) {
	h, err := c.wishes(ctx, n, address)
	if err != nil {
		return waiter{}, err
	}
	began := time.Now()
	code, err := c.site.sink.Code(ctx, address, map[string]bool{})
	c.note(&c.mailed, time.Since(began))
	return waiter{n, h, code}, err
}

// finish answers with the code and goes on to the tokens.
func (c *visitors) finish(ctx context.Context, w waiter) error {
	_, err := c.post(ctx, w.n, "/idp/idx/challenge/answer", "application/json",
		fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, w.handle, w.code))
	if err != nil {
		return err
	}
	doc, err := c.post(ctx, w.n, "/idp/idx/skip", "application/json", fmt.Sprintf(`{"stateHandle":%q}`, w.handle))
	if err != nil {
		return err
	}
	code := interactionCode.FindSubmatch(doc)
	if code == nil {
		return fmt.Errorf("no code in %s", doc)
	}
	var tokens struct {
		Access string `json:"access_token"`
	}
	err = c.form(ctx, w.n, "/oauth2/default/v1/token", url.Values{
		"grant_type": {"interaction_code"}, "interaction_code": {string(code[1])}, "code_verifier": {verifier},
	}, &tokens)
	if err == nil && tokens.Access == "" {
		err = errors.New("no token")
	}
	return err
}

// became is what became of one person, given up at the first refusal.
func (c *visitors) became(err error) offered.Outcome {
	switch {
	case err == nil:
		return offered.Answered
	case errors.Is(err, errRefused):
		return offered.Refused
	case !errors.Is(err, context.Canceled) && c.failed.Add(1) <= 10:
		c.site.t.Error(err)
	}
	return offered.Failed
}

// signUps are whole ones, of people whom no other run has.
func (c *visitors) signUps(run int) func(context.Context, int) offered.Outcome {
	return func(ctx context.Context, n int) offered.Outcome {
		n += run << 20
		w, err := c.asked(ctx, n, fmt.Sprintf("p%d@example.com", n))
		if err == nil {
			err = c.finish(ctx, w)
		}
		return c.became(err)
	}
}

// capacity is how many sign-ups a second sixteen people get done, one after the other.
func (c *visitors) capacity(run int) float64 {
	const span = 10 * time.Second
	var done, next atomic.Int64
	var all sync.WaitGroup
	one, end := c.signUps(run), time.Now().Add(span)
	for range 16 {
		all.Go(func() {
			for time.Now().Before(end) {
				if one(c.site.t.Context(), int(next.Add(1))) == offered.Answered {
					done.Add(1)
				}
			}
		})
	}
	all.Wait()
	return float64(done.Load()) / span.Seconds()
}

// queue are so many people that wait with their code in hand.
func (c *visitors) queue(run, people int) []waiter {
	c.site.t.Helper()
	all := make([]waiter, people)
	for i := range all {
		n := run<<20 + i
		w, err := c.asked(c.site.t.Context(), n, fmt.Sprintf("p%d@example.com", n))
		if err != nil {
			c.site.t.Fatal(err)
		}
		all[i] = w
	}
	return all
}

// finishes brings them to their tokens, evenly over a time.
func (c *visitors) finishes(all []waiter, over time.Duration) *offered.Report {
	return offered.Offer(c.site.t.Context(), float64(len(all))/over.Seconds(), over, func(ctx context.Context, n int) offered.Outcome {
		return c.became(c.finish(ctx, all[n]))
	})
}

// used is the processor time of the node so far.
func (n *node) used() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var ticks int64
	for _, f := range strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))[11:13] { // proc(5)
		t, _ := strconv.ParseInt(f, 10, 64)
		ticks += t
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// REL R-17: whole sign-ups at several times what the machine can do.
func TestREL_R17_Overload(t *testing.T) {
	measures(t)
	s := open(t, plan{nice: true})
	c := s.visitors()
	c.capacity(1) // caches fill
	capacity := c.capacity(2)
	t.Logf("16 people one after the other: %.0f sign-ups/s", capacity)
	reports, late := map[float64]*offered.Report{}, time.Duration(0)
	p99, told := map[float64]time.Duration{}, time.Duration(0)
	span := 60 * time.Second
	for i, times := range []float64{0.5, 1, 2, 5, 0.5} {
		used := s.nodes[0].used()
		c.times()
		r := offered.Offer(t.Context(), times*capacity, span, c.signUps(3+i))
		reports[times] = r
		late = max(late, offered.Percentile(r.Lateness, 99))
		took, refused, mailed := c.times()
		if p99[times] = offered.Percentile(took, 99); times == 5 {
			told = offered.Percentile(refused, 50)
		}
		t.Logf("%v×: %v; %.1f s of processor time; requests p50 %v, p99 %v; refused after %v, p99 %v; mails after %v, p99 %v",
			times, r, (s.nodes[0].used() - used).Seconds(), offered.Percentile(took, 50), p99[times],
			offered.Percentile(refused, 50), offered.Percentile(refused, 99), offered.Percentile(mailed, 50), offered.Percentile(mailed, 99))
	}
	void(t, late)
	once, five := reports[1], reports[5]
	best := max(once.Rate(offered.Answered), reports[2].Rate(offered.Answered))
	if got := five.Rate(offered.Answered); got < 0.8*best {
		t.Errorf("at 5× %.0f/s were done of the %.0f/s that can be", got, best)
	}
	if p99[5] > 2*p99[1] {
		t.Errorf("p99 of requests at 5× is %v, more than twice that at 1×: %v", p99[5], p99[1])
	}
	if told > 50*time.Millisecond {
		t.Errorf("half of the refusals took longer than %v", told)
	}
	if r := reports[0.5]; r.Count(offered.Refused) > r.Count(offered.Answered)/100 {
		t.Errorf("after the flood, at half of the capacity, %d were refused of %d", r.Count(offered.Refused), r.Count(offered.Answered)+r.Count(offered.Refused))
	}
}

// REL R-18: five times as many beginnings as there is room for do not keep anybody
// from the end.
func TestREL_R18_FloodOfBeginnings(t *testing.T) {
	measures(t)
	s := open(t, plan{nice: true})
	c := s.visitors()
	c.capacity(1)
	capacity := c.capacity(2)
	all := c.queue(3, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	starts := make(chan *offered.Report)
	go func() { starts <- offered.Offer(ctx, 5*capacity, time.Hour, c.signUps(4)) }()
	span := 60 * time.Second
	finishes := c.finishes(all, span)
	cancel()
	flood := <-starts
	flood.For = span
	t.Logf("beginnings: %v", flood)
	t.Logf("ends: %v", finishes)
	void(t, max(offered.Percentile(finishes.Lateness, 99), offered.Percentile(flood.Lateness, 99)))
	if flood.Count(offered.Refused) == 0 {
		t.Error("no beginning was refused: this is no flood")
	}
	if got := finishes.Count(offered.Answered); got < len(all)*99/100 {
		t.Errorf("%d of %d people got their tokens", got, len(all))
	}
}

// REL R-19, SEC S-47: five hundred people guess at passwords all the time, and who
// signs in by a code does not wait for them.
func TestREL_R19_Guessers(t *testing.T) {
	measures(t)
	s := open(t, plan{nice: true})
	policies := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(policies, []byte("session: [{name: default, primary: password}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.stile("apply", "-f", policies)
	c := s.visitors()
	all := c.queue(1, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	var judged, refused, other atomic.Int64
	var flood sync.WaitGroup
	for i := range 500 {
		flood.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				who := 2<<20 + i<<8 + n&255
				h, err := c.begin(ctx, who)
				for tries := 0; err == nil && tries < 3; tries++ {
					var doc []byte
					doc, err = c.post(ctx, who, "/idp/idx/identify", "application/json", fmt.Sprintf(
						`{"stateHandle":%q,"identifier":"nobody%d-%d@example.com","credentials":{"passcode":"lettuce trumpet"}}`, h, i, n))
					if strings.Contains(string(doc), "errors.E0000004") {
						judged.Add(1)
						err = nil
					}
				}
				if errors.Is(err, errRefused) {
					refused.Add(1)
					pause(ctx, time.Second) // as a client does
				} else if err != nil && ctx.Err() == nil {
					other.Add(1)
				}
			}
		})
	}
	finishes := c.finishes(all, 60*time.Second)
	cancel()
	flood.Wait()
	t.Logf("guesses: %d judged, %d times refused, %d otherwise", judged.Load(), refused.Load(), other.Load())
	t.Logf("code, end of the flow and tokens: %v", finishes)
	void(t, offered.Percentile(finishes.Lateness, 99))
	if judged.Load() == 0 || refused.Load() == 0 {
		t.Error("this is no flood")
	}
	if finishes.Count(offered.Answered) < len(all) {
		t.Errorf("%d of %d people got their tokens", finishes.Count(offered.Answered), len(all))
	}
	if got := offered.Percentile(finishes.Took[offered.Answered], 99); got > 3*300*time.Millisecond { // three steps
		t.Errorf("p99 of three steps is %v", got)
	}
}
