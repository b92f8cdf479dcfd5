package main

import (
	"os"
	"testing"

	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" { // as the children are started
		main()
		return
	}
	os.Exit(m.Run())
}

// What is measured works; how fast is no matter of tests.
func TestJourneys(t *testing.T) {
	for _, what := range []string{"signup", "signin", "refresh", "check"} {
		t.Run(what, func(t *testing.T) {
			f := flags{clients: []int{2}, algs: []string{"ES256"}, journeys: 10, rounds: 1, what: what, users: 20, nodes: 1}
			if what == "signup" {
				f.postgres, f.nodes = pgtest.Database(t), 2
			}
			if err := run(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		})
	}
}
