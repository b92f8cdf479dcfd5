//go:build unix

package faults

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// kills ends a node by SIGKILL so many times, each after it has served for a
// random time, and starts it again.
func (l *load) kills(n *node, times int) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	l.site.t.Logf("seed %d", seed)
	for range times {
		l.served(random)
		l.cuts = append(l.cuts, time.Now())
		_ = n.end(syscall.SIGKILL)
		n.start()
		n.ready()
	}
}

// served lets the load run for 20 to 400 ms.
func (l *load) served(random *rand.Rand) {
	pause(l.ctx, time.Duration(20+random.IntN(381))*time.Millisecond)
}

// REL R-01: kill -9 in the middle of anything loses nothing that was acknowledged.
func TestREL_R01_KillSQLite(t *testing.T) {
	s := open(t, plan{})
	times := sized(20, 1000)
	l := s.begin(8, sized(10*time.Minute, 90*time.Minute))
	l.kills(s.nodes[0], times)
	s.judge(l)
	t.Logf("%d kills", times)
}

func TestREL_R01_KillPostgres(t *testing.T) {
	whole(t)
	s := open(t, plan{database: pgtest.Database(t)})
	times := sized(20, 1000)
	l := s.begin(8, sized(10*time.Minute, 90*time.Minute))
	l.kills(s.nodes[0], times)
	s.judge(l)
	t.Logf("%d kills", times)
}

// The same where the database's server is what ends.
func TestREL_R01_StopPostgres(t *testing.T) {
	whole(t)
	c := pgtest.NewCluster(t)
	c.Database("stile")
	s := open(t, plan{database: c.URL("stile")})
	times := sized(5, 200)
	l := s.begin(8, sized(10*time.Minute, 90*time.Minute), crashing)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for range times {
		l.served(random)
		l.cuts = append(l.cuts, time.Now())
		c.Stop("immediate")
		c.Start()
		s.nodes[0].ready()
	}
	s.judge(l)
	t.Logf("%d times pg_ctl stop -m immediate", times)
}
