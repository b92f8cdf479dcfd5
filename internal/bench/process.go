package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A process is a running child.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser // nil: it ends when it is killed
	exited  chan error
	dir     string
	url     string
	metrics string // URL; empty: it counts nothing
	client  string
	first   time.Duration // from its start to its first answer
}

// open runs what a setting measures. What it returns is to be stopped, also with an error.
func (f flags) open(ctx context.Context, s setting, smtp string) (all servers, err error) {
	if s.database == "postgres" { // f is a copy
		if f.postgres, err = newDatabase(ctx, f.postgres); err != nil {
			return nil, err
		}
	} else {
		f.postgres = ""
	}
	for range max(1, s.nodes) {
		dir, err := os.MkdirTemp("", "stile-bench")
		if err != nil {
			return all, err
		}
		p := &process{dir: dir}
		all = append(all, p)
		listen, err := freeAddress()
		if err != nil {
			return all, err
		}
		p.url = "http://" + listen
		switch {
		case s.server == "floor" && f.floor != "":
			err = f.startFloor(ctx, p, s, smtp, listen)
		case s.server == "engine":
			err = f.startEngine(ctx, p, all[0], s, smtp, listen)
		default:
			p.metrics = p.url + "/metrics"
			err = p.start(ctx, "serve", "-server", s.server, "-alg", s.alg, "-smtp", smtp, "-dir", dir, "-listen", listen)
			if err == nil {
				err = p.dialled(ctx, listen)
			}
		}
		if err != nil {
			return all, fmt.Errorf("the %s did not start: %w", s.server, err)
		}
	}
	return all, nil
}

// startEngine starts p as an engine, on what the first of them has.
func (f flags) startEngine(ctx context.Context, p, first *process, s setting, smtp, listen string) error {
	if p == first {
		out, err := child(ctx, "prepare", "-dir", p.dir, "-database", f.postgres, "-public", p.url, "-alg", s.alg, "-users", strconv.Itoa(s.users))
		if err != nil {
			return err
		}
		var made struct{ Client string }
		text, err := out.Output()
		if err == nil {
			err = json.Unmarshal(text, &made)
		}
		if err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		p.client = made.Client
	}
	metrics, err := freeAddress()
	if err != nil {
		return err
	}
	p.metrics = "http://" + metrics + "/metrics"
	args := []string{
		"serve", "-server", s.server, "-alg", s.alg, "-smtp", smtp, "-dir", p.dir, "-first", first.dir, "-database", f.postgres,
		"-listen", listen, "-metrics", metrics, "-public", first.url,
	}
	if p == first && f.profile != "" {
		args = append(args, "-profile", f.profile)
	}
	if p == first && f.heap != "" {
		args = append(args, "-heap", f.heap)
	}
	begin := time.Now()
	if err := p.start(ctx, args...); err != nil {
		return err
	}
	if err := p.dialled(ctx, listen); err != nil {
		return err
	}
	// A page of the engine's own: that of a link, of which it says that it is not good.
	if err := p.answers(ctx, "/account/undo/none", "text/html"); err != nil {
		return err
	}
	p.first = time.Since(begin)
	return p.answers(ctx, "/readyz", "")
}

// startFloor runs a floor of another making, which listens where it is told to and
// ends when it is told to.
func (f flags) startFloor(ctx context.Context, p *process, s setting, smtp, listen string) error {
	to, err := url.Parse(smtp)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, f.floor, "-addr", listen, "-smtp", to.Host, "-db", filepath.Join(p.dir, "floor.db"), "-alg", s.alg)
	cmd.Stderr = os.Stderr
	if err := p.run(cmd); err != nil {
		return err
	}
	return p.dialled(ctx, listen)
}

func (p *process) start(ctx context.Context, args ...string) error {
	cmd, err := child(ctx, args...)
	if err != nil {
		return err
	}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	return p.run(cmd)
}

func (p *process) run(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.exited = cmd, make(chan error, 1)
	go func() { p.exited <- cmd.Wait() }()
	return nil
}

// await asks every millisecond, as nothing tells when a process answers.
func (p *process) await(ctx context.Context, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // a large database is looked through at the start
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case err := <-p.exited:
			p.exited <- err // stop wants it too
			return fmt.Errorf("it ended: %w", errors.Join(err, errors.New("see what it printed")))
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

func (p *process) dialled(ctx context.Context, addr string) error {
	return p.await(ctx, "no connection", func() bool {
		c, err := net.Dial("tcp", addr)
		return err == nil && c.Close() == nil
	})
}

var prober = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// answers waits for a page that is no fault.
func (p *process) answers(ctx context.Context, path, mime string) error {
	return p.await(ctx, path, func() bool {
		res, err := prober.Get(p.url + path)
		if err != nil {
			return false
		}
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return err == nil && res.StatusCode < 500 && strings.HasPrefix(res.Header.Get("Content-Type"), mime)
	})
}

func (p *process) stop() (err error) {
	switch {
	case p.cmd == nil:
	case p.in == nil:
		_ = p.cmd.Process.Kill()
		<-p.exited //nolint:errcheck // it was killed
	default:
		_ = p.in.Close()
		err = <-p.exited
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// tail shows the end of the process's log.
func (p *process) tail() {
	text, err := os.ReadFile(filepath.Join(p.dir, logFile))
	if err == nil {
		fmt.Fprintf(os.Stderr, "%s\n", text[max(0, len(text)-3000):])
	}
}

func (p *process) cpu() (time.Duration, error) { return cpuOf(p.cmd.Process.Pid) }

// cpuOf is what a process has used of processors, from /proc: a hundredth of a
// second is the finest that it tells.
func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime, proc(5)
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// memory is the resident set, in MiB.
func (p *process) memory() (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	lines := strings.Split(string(b), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "VmRSS:") })
	if i < 0 {
		return 0, fmt.Errorf("no VmRSS")
	}
	kib, err := strconv.Atoi(strings.Fields(lines[i])[1])
	return kib / 1024, err
}

// counts are what processes count of themselves.
type counts struct{ commits, durable, rows, allocated float64 } // commits: those that are not durable

const allocatedTotal = "go_memstats_alloc_bytes_total"

func (c *counts) of(name string) *float64 {
	return map[string]*float64{
		`stile_store_commits_total{durable="false"}`: &c.commits, `stile_store_commits_total{durable="true"}`: &c.durable,
		"stile_store_row_writes_total": &c.rows, allocatedTotal: &c.allocated,
	}[name]
}

func (c counts) minus(d counts) counts {
	return counts{c.commits - d.commits, c.durable - d.durable, c.rows - d.rows, c.allocated - d.allocated}
}

func (c counts) over(n int) counts {
	d := float64(n)
	return counts{c.commits / d, c.durable / d, c.rows / d, c.allocated / d}
}

// counts are summed over all servers, from their metrics.
func (s servers) counts(ctx context.Context, client *http.Client) (sum counts, err error) {
	for _, p := range s {
		if p.metrics == "" {
			continue
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.metrics, nil)
		if err != nil {
			return sum, err
		}
		res, err := client.Do(r)
		if err != nil {
			return sum, err
		}
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), " ")
			if to := sum.of(name); to != nil {
				n, err := strconv.ParseFloat(value, 64)
				if err != nil {
					return sum, errors.Join(err, res.Body.Close())
				}
				*to += n
			}
		}
		if err := errors.Join(lines.Err(), res.Body.Close()); err != nil {
			return sum, err
		}
	}
	return sum, nil
}
