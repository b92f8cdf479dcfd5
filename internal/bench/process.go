package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/metrics"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"
)

// serve is the child: it prints the line {"url":…,"client":…} and answers until its
// standard input ends.
func serve(args []string) {
	f := flag.NewFlagSet("serve", flag.ExitOnError)
	server := f.String("server", "engine", "")
	alg := f.String("alg", "RS256", "")
	database := f.String("database", "", "")
	smtp := f.String("smtp", "", "")
	dir := f.String("dir", "", "")
	first := f.String("first", "", "folder of the first engine, whose key and app this one shares")
	users := f.Int("users", 0, "")
	profile := f.String("profile", "", "")
	heap := f.String("heap", "", "")
	_ = f.Parse(args)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	var h http.Handler
	client, stop := "", func() {}
	if *server == "floor" {
		h = newFloor(*dir, *alg, *smtp)
	} else {
		h, client, stop = newEngine(engineConfig{
			dir: *dir, first: *first, database: *database, alg: *alg, smtp: *smtp, url: "http://" + l.Addr().String(), users: *users,
		})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /bench/allocated", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, allocated()) })
	mux.Handle("/", h)
	if *profile != "" {
		out, err := os.Create(*profile)
		must(err)
		must(pprof.StartCPUProfile(out))
		defer func() { pprof.StopCPUProfile(); must(out.Close()) }()
	}
	go func() { log.Fatal(http.Serve(l, mux)) }()
	must(json.NewEncoder(os.Stdout).Encode(map[string]string{"url": "http://" + l.Addr().String(), "client": client}))
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop()
	if *heap != "" {
		out, err := os.Create(*heap)
		must(err)
		must(pprof.Lookup("allocs").WriteTo(out, 0))
		must(out.Close())
	}
}

func must(err error) {
	if err != nil {
		log.Fatal("bench: ", err)
	}
}

func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// A process is a running child.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	dir    string
	url    string
	client string
}

// start runs a child; first is the engine whose database it shares, if it is not the first.
func (f flags) start(ctx context.Context, s setting, smtp string, first *process) (*process, error) {
	dir, err := os.MkdirTemp("", "stile-bench")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if s.server == "floor" && f.floor != "" {
		return f.startFloor(ctx, s, smtp, dir)
	}
	args := []string{"serve", "-server", s.server, "-alg", s.alg, "-smtp", smtp, "-dir", dir}
	if s.database == "postgres" {
		args = append(args, "-database", f.postgres)
	}
	switch {
	case first != nil:
		args = append(args, "-first", first.dir)
	case s.server == "engine":
		args = append(args, "-users", strconv.Itoa(f.users))
		if f.profile != "" {
			args = append(args, "-profile", f.profile)
		}
		if f.heap != "" {
			args = append(args, "-heap", f.heap)
		}
	}
	p := &process{cmd: exec.CommandContext(ctx, self, args...), dir: dir}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("the %s did not start: %w", s.server, err)
	}
	var said struct{ URL, Client string }
	if err := json.Unmarshal(line, &said); err != nil {
		return nil, err
	}
	p.url, p.client = said.URL, said.Client
	return p, nil
}

// startFloor runs a floor of another making, which listens where it is told to and
// ends when it is told to.
func (f flags) startFloor(ctx context.Context, s setting, smtp, dir string) (*process, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	to, err := url.Parse(smtp)
	if err != nil {
		return nil, err
	}
	p := &process{dir: dir, url: "http://" + addr}
	p.cmd = exec.CommandContext(ctx, f.floor, "-addr", addr, "-smtp", to.Host, "-db", filepath.Join(dir, "floor.db"), "-alg", s.alg)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return p, c.Close()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond): // it says nowhere else that it is ready
		}
	}
}

func (p *process) stop() error {
	if p.in == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		return os.RemoveAll(p.dir)
	}
	_ = p.in.Close()
	err := p.cmd.Wait()
	return errors.Join(err, os.RemoveAll(p.dir))
}

// cpu is what the process has used of processors, from /proc: a hundredth of a
// second is the finest that it tells.
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
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

func (p *process) allocated(c *http.Client) (uint64, error) {
	res, err := c.Get(p.url + "/bench/allocated")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || p.in == nil { // which does not count it
		return 0, err
	}
	return strconv.ParseUint(string(b), 10, 64)
}
