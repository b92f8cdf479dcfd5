package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	redirectURI = "http://localhost:8080/cb"
	verifier    = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

var challenge = func() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}()

// A visitor is the load: people who make journeys at one server, or at several in turn.
type visitor struct {
	servers servers
	client  string
	box     *mailbox
	http    *http.Client
	run     int64
	people  atomic.Int64
	turn    atomic.Int64
	refused atomic.Int64 // requests that were told to come again
}

func newVisitor(all servers, box *mailbox) *visitor {
	return &visitor{
		servers: all, client: all[0].client, box: box, run: time.Now().UnixNano(),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}, Timeout: 30 * time.Second},
	}
}

// A person has a mail address and a network address of their own.
type person struct {
	*visitor
	n int64
}

func (v *visitor) someone() *person { return &person{v, v.people.Add(1)} }

func (p *person) address() string { return fmt.Sprintf("p%d.%d@example.com", p.run, p.n) }

// source is out of 10.0.0.0/8, whose addresses last for sixteen million people.
func (p *person) source() string { return fmt.Sprintf("10.%d.%d.%d", p.n>>16&255, p.n>>8&255, p.n&255) }

// drive has so many people do something at a time, n in all, and tells how long each
// took and how many ended a second until the last one began: after that the people are
// fewer and fewer.
func drive(ctx context.Context, n, people int, act func(context.Context) error) (took []time.Duration, perSecond float64, err error) {
	took = make([]time.Duration, n)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	var full time.Duration
	start := time.Now()
	for range people {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				begin := time.Now()
				if i == int64(n)-1 {
					full = begin.Sub(start)
				}
				if err := act(ctx); err != nil {
					cancel(err)
				}
				took[i] = time.Since(begin)
			}
		})
	}
	all.Wait()
	return took, float64(n-people) / full.Seconds(), context.Cause(ctx)
}

func (p *person) code(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	address := p.address()
	select {
	case code := <-p.box.of(address):
		p.box.forget(address)
		return code, nil
	case <-ctx.Done():
		return "", fmt.Errorf("no mail to %s", address)
	}
}

// tries is how often a request is made that is told to come again each time.
const tries = 60

// post sends from the person's own address. A server that has no time says when to
// come again, and a client does.
func (p *person) post(ctx context.Context, path, contentType, body string) ([]byte, error) {
	server := p.servers[int(p.turn.Add(1))%len(p.servers)]
	for try := 1; ; try++ {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.url+path, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("X-Forwarded-For", p.source())
		res, err := p.http.Do(r)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode == http.StatusOK {
			return data, err
		}
		seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if res.StatusCode != http.StatusServiceUnavailable || err != nil || try == tries {
			return nil, fmt.Errorf("%s: %d %s", path, res.StatusCode, data)
		}
		p.refused.Add(1)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(seconds) * time.Second): // as it was told
		}
	}
}

func (p *person) form(ctx context.Context, path string, values url.Values) (map[string]any, error) {
	data, err := p.post(ctx, path, "application/x-www-form-urlencoded", values.Encode())
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(data, &out)
}
