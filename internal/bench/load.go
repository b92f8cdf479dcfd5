package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	redirectURI = "http://localhost:8080/cb"
	verifier    = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	warm        = 50 // journeys before those that count
)

var challenge = func() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}()

// A result is one measurement.
type result struct {
	setting
	perSecond float64
	p50, p99  time.Duration
	cpu       time.Duration // of the server, a journey
	memory    int           // MiB, afterwards
	allocated uint64        // bytes a journey
}

func (r *result) print(floor *result) {
	ratio := ""
	if floor != nil {
		ratio = fmt.Sprintf("%.2f", float64(r.cpu)/float64(floor.cpu))
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
	fmt.Printf("| %s | %s | %s | %d | %.0f | %s | %s | %.2f | %s | %d | %d |\n", r.server, r.database, r.alg, r.clients, r.perSecond,
		ms(r.p50), ms(r.p99), float64(r.cpu)/float64(time.Millisecond), ratio, r.memory, r.allocated/1024)
}

// middle is the measurement of rounds whose processor time is in the middle.
func (f flags) middle(ctx context.Context, box *mailbox, s setting) (*result, error) {
	var all []*result
	for range f.rounds {
		r, err := f.measure(ctx, box, s)
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", s.server, s.database, err)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *result) int { return int(a.cpu - b.cpu) })
	return all[len(all)/2], nil
}

func (f flags) measure(ctx context.Context, box *mailbox, s setting) (_ *result, err error) {
	if s.database == "postgres" { // f is a copy
		if f.postgres, err = newDatabase(ctx, f.postgres); err != nil {
			return nil, err
		}
	}
	var all servers
	defer func() {
		for _, p := range all {
			err = errors.Join(err, p.stop())
		}
	}()
	for n := 1; n == 1 || n <= f.nodes && s.database == "postgres"; n++ {
		var first *process
		if n > 1 {
			first = all[0]
		}
		p, err := f.start(ctx, s, box.url, first)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	v := &visitor{
		servers: all, client: all[0].client, box: box, run: time.Now().UnixNano(),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}, Timeout: 30 * time.Second},
	}
	act, err := v.journey(ctx, f.what, s)
	if err != nil {
		return nil, err
	}
	if _, err := v.drive(ctx, warm, min(s.clients, 8), act); err != nil {
		return nil, err
	}
	cpu, err := all.cpu()
	if err != nil {
		return nil, err
	}
	bytes, err := all.allocated(v.http)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	took, err := v.drive(ctx, f.journeys, s.clients, act)
	if err != nil {
		return nil, err
	}
	r := &result{setting: s, perSecond: float64(f.journeys) / time.Since(begin).Seconds()}
	slices.Sort(took)
	r.p50, r.p99 = took[len(took)/2], took[len(took)*99/100]
	after, err := all.cpu()
	if err != nil {
		return nil, err
	}
	r.cpu = (after - cpu) / time.Duration(f.journeys)
	total, err := all.allocated(v.http)
	if err != nil {
		return nil, err
	}
	r.allocated = (total - bytes) / uint64(f.journeys)
	r.memory, err = all.memory()
	return r, err
}

// A visitor makes journeys.
type visitor struct {
	servers
	client string
	box    *mailbox
	http   *http.Client
	run    int64
	people atomic.Int64
	turn   atomic.Int64
}

// servers are one, or several that are asked in turn.
type servers []*process

func (s servers) cpu() (sum time.Duration, err error) {
	for _, p := range s {
		d, err := p.cpu()
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

func (s servers) memory() (sum int, err error) {
	for _, p := range s {
		m, err := p.memory()
		if err != nil {
			return 0, err
		}
		sum += m
	}
	return sum, nil
}

func (s servers) allocated(c *http.Client) (sum uint64, err error) {
	for _, p := range s {
		n, err := p.allocated(c)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// journey is what one person does, from what -what names.
func (v *visitor) journey(ctx context.Context, what string, s setting) (func(context.Context) error, error) {
	if s.server == "floor" { // where a sign-in is a sign-up
		return v.floorSignUp, nil
	}
	switch what {
	case "signup":
		return func(ctx context.Context) error { _, err := v.signUp(ctx, v.address()); return err }, nil
	case "signin":
		var known sync.Map
		var n atomic.Int64
		people := int64(4 * s.clients) // one is asked for again only when it is over
		for i := range people {
			address := v.address()
			if _, err := v.signUp(ctx, address); err != nil {
				return nil, err
			}
			known.Store(i, address)
		}
		return func(ctx context.Context) error {
			address, _ := known.Load(n.Add(1) % people)
			_, err := v.signIn(ctx, address.(string))
			return err
		}, nil
	case "check":
		tokens, err := v.signUp(ctx, v.address())
		if err != nil {
			return nil, err
		}
		return func(context.Context) error {
			answer, err := v.form("/oauth2/default/v1/introspect", url.Values{"client_id": {v.client}, "token": {fmt.Sprint(tokens["access_token"])}})
			if err == nil && answer["active"] != true {
				err = errors.New("a token is not active")
			}
			return err
		}, nil
	case "refresh":
		var chains = make(chan string, 2*s.clients)
		for range cap(chains) {
			tokens, err := v.signUp(ctx, v.address())
			if err != nil {
				return nil, err
			}
			chains <- fmt.Sprint(tokens["refresh_token"])
		}
		return func(context.Context) error {
			token := <-chains
			answer, err := v.form("/oauth2/default/v1/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {v.client}, "refresh_token": {token}})
			if err != nil {
				return err
			}
			chains <- fmt.Sprint(answer["refresh_token"])
			return nil
		}, nil
	}
	return nil, fmt.Errorf("-what %q", what)
}

func (v *visitor) address() string { return fmt.Sprintf("p%d.%d@example.com", v.run, v.people.Add(1)) }

// drive has so many people do something at a time, n in all, and tells how long each took.
func (v *visitor) drive(ctx context.Context, n, people int, act func(context.Context) error) ([]time.Duration, error) {
	took := make([]time.Duration, n)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range people {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				begin := time.Now()
				if err := act(ctx); err != nil {
					cancel(err)
				}
				took[i] = time.Since(begin)
			}
		})
	}
	all.Wait()
	return took, context.Cause(ctx)
}

func (v *visitor) code(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	select {
	case code := <-v.box.of(address):
		v.box.forget(address)
		return code, nil
	case <-ctx.Done():
		return "", fmt.Errorf("no mail to %s", address)
	}
}

func (v *visitor) post(path, contentType, body string) ([]byte, error) {
	server := v.servers[int(v.turn.Add(1))%len(v.servers)]
	res, err := v.http.Post(server.url+path, contentType, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", path, res.StatusCode, data)
	}
	return data, err
}

func (v *visitor) form(path string, values url.Values) (map[string]any, error) {
	data, err := v.post(path, "application/x-www-form-urlencoded", values.Encode())
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(data, &out)
}
