// Command bench measures whole journeys through the engine beside a floor: a
// server that does only the work which an emailed code, three commits and two
// signatures cannot do without, and keeps no promise that an engine keeps.
// Both run as processes of their own, in turn, under the same load and with the
// same mail server, so that what they use can be told apart and compared. The
// engine is what `stile serve` runs.
//
//	go run ./internal/bench
//	go run ./internal/bench -what signup -clients 1,8,32 -alg RS256,ES256
//	go run ./internal/bench -postgres postgres://…
//
// docs/performance.md has the method and what was measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"
)

type flags struct {
	what     []string
	clients  []int // none: those that are of what is measured
	algs     []string
	postgres string
	journeys int
	rounds   int
	users    []int
	nodes    []int
	span     time.Duration
	rest     time.Duration
	profile  string
	heap     string
	floor    string
}

// children are what this program is where its first argument says so.
var children = map[string]func([]string){"serve": serve, "prepare": prepare}

func main() {
	log.SetFlags(0)
	if len(os.Args) > 1 {
		if be, ok := children[os.Args[1]]; ok {
			be(os.Args[2:])
			return
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	f, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, f)
	}
	if err != nil {
		log.Fatal("bench: ", err)
	}
}

const everything = "limits,signup,signin,refresh,check"

func parse(args []string) (flags, error) {
	var f flags
	s := flag.NewFlagSet("bench", flag.ExitOnError)
	what := s.String("what", everything, "what is measured, some of "+everything)
	clients := s.String("clients", "", "how many people at a time (1,8,32,128 for sign-ups, else 32)")
	algs := s.String("alg", "RS256,ES256", "signatures of both tokens")
	users := s.String("users", "0", "people who are there before")
	nodes := s.String("nodes", "1", "engines on one database, asked in turn; more than one on PostgreSQL alone")
	s.StringVar(&f.postgres, "postgres", "", "URL of a PostgreSQL database, where one may be made for each measurement")
	s.IntVar(&f.journeys, "journeys", 1000, "journeys a measurement, ten by each client at the least; checks are twenty times as many")
	s.IntVar(&f.rounds, "rounds", 1, "measurements of each setting, of which the middle one counts")
	s.DurationVar(&f.span, "span", 2*time.Second, "how long each limit is measured")
	s.DurationVar(&f.rest, "rest", time.Second, "how long after its start an engine's memory at rest is read")
	s.StringVar(&f.profile, "profile", "", "file that the engine's CPU profile is written to")
	s.StringVar(&f.heap, "heap", "", "file that the engine's profile of allocations is written to")
	s.StringVar(&f.floor, "floor", "", "program that is the floor instead, with flags -addr, -smtp, -db and -alg")
	if err := s.Parse(args); err != nil {
		return f, err
	}
	f.what, f.algs = strings.Split(*what, ","), strings.Split(*algs, ",")
	for _, w := range f.what {
		if !strings.Contains(","+everything+",", ","+w+",") {
			return f, fmt.Errorf("-what %q is none of %s", w, everything)
		}
	}
	for _, a := range f.algs {
		if a != "RS256" && a != "ES256" {
			return f, fmt.Errorf("-alg %q is neither RS256 nor ES256", a)
		}
	}
	if f.journeys < 1 || f.rounds < 1 || f.span <= 0 {
		return f, errors.New("-journeys, -rounds and -span must be more than nothing")
	}
	for _, l := range []struct {
		name, text string
		least      int
		to         *[]int
	}{{"clients", *clients, 1, &f.clients}, {"users", *users, 0, &f.users}, {"nodes", *nodes, 1, &f.nodes}} {
		if l.text == "" {
			continue
		}
		for n := range strings.SplitSeq(l.text, ",") {
			i, err := strconv.Atoi(n)
			if err != nil || i < l.least {
				return f, fmt.Errorf("-%s %q: a list of numbers from %d", l.name, l.text, l.least)
			}
			*l.to = append(*l.to, i)
		}
	}
	if slices.Max(f.nodes) > 1 && f.postgres == "" {
		return f, errors.New("-nodes: several share a PostgreSQL database, and there is no -postgres")
	}
	return f, nil
}

func run(ctx context.Context, f flags) error {
	box, err := newMailbox()
	if err != nil {
		return err
	}
	defer box.Close()
	fmt.Println(time.Now().UTC().Format(time.DateOnly))
	for _, what := range f.what {
		if what == "limits" {
			err = f.limits(ctx, box)
		} else {
			err = f.table(ctx, box, what)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// table measures one kind of journey in every setting.
func (f flags) table(ctx context.Context, box *mailbox, what string) error {
	clients := f.clients
	if len(clients) == 0 {
		clients = []int{32}
		if what == "signup" {
			clients = []int{1, 8, 32, 128}
		}
	}
	fmt.Printf("\n%s\n\n%s", what, tableHead)
	for _, alg := range f.algs {
		for _, n := range clients {
			var floor *result
			if what == "signup" || what == "signin" { // of the rest it has nothing to compare
				var err error
				if floor, err = f.middle(ctx, box, setting{what: what, server: "floor", database: "sqlite", alg: alg, clients: n, nodes: 1}); err != nil {
					return err
				}
				floor.print(nil)
			}
			for _, s := range f.engines(setting{what: what, server: "engine", alg: alg, clients: n}) {
				got, err := f.middle(ctx, box, s)
				if err != nil {
					return err
				}
				got.print(floor)
			}
		}
	}
	return nil
}

// engines are the settings of -users, -nodes and the databases.
func (f flags) engines(s setting) (all []setting) {
	for _, s.users = range f.users {
		for _, s.nodes = range f.nodes {
			if s.nodes == 1 {
				s.database = "sqlite"
				all = append(all, s)
			}
			if f.postgres != "" {
				s.database = "postgres"
				all = append(all, s)
			}
		}
	}
	return all
}
