// Command bench measures whole journeys through the engine beside a floor: a
// server that does only the work which an emailed code, three commits and two
// signatures cannot do without, and keeps no promise that an engine keeps.
// Both run as processes of their own, in turn, under the same load and with the
// same mail server, so that what they use can be told apart and compared.
//
//	go run ./internal/bench -clients 1,8,32 -alg RS256,ES256
//	go run ./internal/bench -postgres postgres://…
//
// docs/performance.md has the method and what was measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

// A setting is one server under one load.
type setting struct {
	server   string // floor or engine
	database string // sqlite or postgres
	alg      string
	clients  int
}

type flags struct {
	clients  []int
	algs     []string
	postgres string
	journeys int
	rounds   int
	what     string
	users    int
	nodes    int
	profile  string
	heap     string
	floor    string
}

func main() {
	log.SetFlags(0)
	if len(os.Args) > 1 && os.Args[1] == "serve" { // the process that is measured
		serve(os.Args[2:])
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, parse()); err != nil {
		log.Fatal("bench: ", err)
	}
}

func parse() flags {
	var f flags
	clients := flag.String("clients", "1,8,32", "how many people at a time")
	algs := flag.String("alg", "RS256,ES256", "signatures of both tokens")
	flag.StringVar(&f.postgres, "postgres", "", "URL of a PostgreSQL database, where one may be made for each measurement")
	flag.IntVar(&f.journeys, "journeys", 1000, "sign-ups a measurement")
	flag.IntVar(&f.rounds, "rounds", 1, "measurements of each setting, of which the middle one counts")
	flag.StringVar(&f.what, "what", "signup", "signup, signin, refresh or check")
	flag.IntVar(&f.users, "users", 0, "people who are there before")
	flag.IntVar(&f.nodes, "nodes", 1, "engines on the PostgreSQL database, asked in turn")
	flag.StringVar(&f.profile, "profile", "", "file that the engine's CPU profile is written to")
	flag.StringVar(&f.heap, "heap", "", "file that the engine's profile of allocations is written to")
	flag.StringVar(&f.floor, "floor", "", "program that is the floor instead, with flags -addr, -smtp, -db and -alg")
	flag.Parse()
	f.algs = strings.Split(*algs, ",")
	for n := range strings.SplitSeq(*clients, ",") {
		i, err := strconv.Atoi(n)
		if err != nil || i < 1 {
			log.Fatalf("bench: -clients %q", n)
		}
		f.clients = append(f.clients, i)
	}
	return f
}

func run(ctx context.Context, f flags) error {
	box, err := newMailbox()
	if err != nil {
		return err
	}
	defer box.Close()
	databases := []string{"sqlite"}
	if f.postgres != "" {
		databases = append(databases, "postgres")
	}
	fmt.Printf("%s, %d a measurement, %d users, %s\n\n", f.what, f.journeys, f.users, time.Now().UTC().Format(time.DateOnly))
	fmt.Println("| server | database | alg | clients | per s | p50 ms | p99 ms | CPU ms | of floor | MiB | KiB allocated |")
	fmt.Println("|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, alg := range f.algs {
		for _, clients := range f.clients {
			var floor *result
			if f.what == "signup" || f.what == "signin" { // of the rest it has nothing to compare
				if floor, err = f.middle(ctx, box, setting{"floor", "sqlite", alg, clients}); err != nil {
					return err
				}
				floor.print(nil)
			}
			for _, d := range databases {
				got, err := f.middle(ctx, box, setting{"engine", d, alg, clients})
				if err != nil {
					return err
				}
				got.print(floor)
			}
		}
	}
	return nil
}
