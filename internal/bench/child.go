package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/metrics"
	"runtime/pprof"
	"slices"
	"strings"
)

// freeAddress is one that nobody listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// child is this program as another process, without settings of whoever runs it.
func child(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STILE_") })
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// serve is the child that is measured: it answers until its standard input ends.
func serve(args []string) {
	f := flag.NewFlagSet("serve", flag.ExitOnError)
	var c engineConfig
	server := f.String("server", "", "engine, floor or bare")
	f.StringVar(&c.listen, "listen", "", "")
	f.StringVar(&c.metrics, "metrics", "", "")
	f.StringVar(&c.public, "public", "", "")
	f.StringVar(&c.alg, "alg", "", "")
	f.StringVar(&c.database, "database", "", "")
	f.StringVar(&c.smtp, "smtp", "", "")
	f.StringVar(&c.dir, "dir", "", "")
	f.StringVar(&c.first, "first", "", "folder of the first engine, whose key this one shares")
	profile := f.String("profile", "", "")
	heap := f.String("heap", "", "")
	_ = f.Parse(args)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if *profile != "" {
		out, err := os.Create(*profile)
		must(err)
		must(pprof.StartCPUProfile(out))
		defer func() { pprof.StopCPUProfile(); must(out.Close()) }()
	}
	switch *server {
	case "engine":
		must(serveEngine(ctx, c))
	case "floor":
		serveBare(ctx, c.listen, newFloor(c.dir, c.alg, c.smtp))
	case "bare":
		serveBare(ctx, c.listen, newBare())
	default:
		log.Fatalf("bench: -server %q", *server)
	}
	if *heap != "" {
		out, err := os.Create(*heap)
		must(err)
		must(pprof.Lookup("allocs").WriteTo(out, 0))
		must(out.Close())
	}
}

// serveBare serves what has no bounds of its own.
func serveBare(ctx context.Context, listen string, h http.Handler) {
	l, err := net.Listen("tcp", listen)
	must(err)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s %d\n", allocatedTotal, allocated()) })
	mux.Handle("/", h)
	go func() { log.Fatal(http.Serve(l, mux)) }()
	<-ctx.Done()
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
