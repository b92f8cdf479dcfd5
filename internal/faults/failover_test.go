//go:build unix

package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

const inSync = `SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'`

// REL R-11: with a synchronous standby, a primary that is killed takes nothing
// acknowledged with it.
func TestREL_R11_SynchronousStandby(t *testing.T) {
	whole(t)
	one := pgtest.NewCluster(t)
	one.Database("stile")
	two := one.Standby("standby")
	s := open(t, plan{database: one.URL("stile", two)})
	times := sized(1, 30)
	l := s.begin(6, sized(10*time.Minute, 90*time.Minute), crashing)
	var longest time.Duration
	for i := range times {
		if i > 0 { // the one that was killed follows the other now
			one, two = two, one
			two.Follow(one, "standby")
		}
		one.Set("synchronous_standby_names = '*'")
		one.Await(inSync)
		pause(l.ctx, 2*time.Second)
		one.Kill()
		two.Promote()
		began := time.Now()
		s.nodes[0].ready()
		longest = max(longest, time.Since(began))
	}
	s.judge(l)
	t.Logf("%d failovers, ready again at most %v after the promotion", times, longest.Round(time.Millisecond))
	if long && longest > 10*time.Second { // a busy machine takes what it takes
		t.Errorf("ready %v after the promotion, want 10 s at most", longest)
	}
}

// With a standby that lags behind, acknowledged results are lost: the checker
// has to say so, else it would say nothing of the synchronous one.
func TestREL_R11_LaggingStandbyIsCaught(t *testing.T) {
	whole(t)
	one := pgtest.NewCluster(t)
	one.Database("stile")
	two := one.Standby("standby")
	s := open(t, plan{database: one.URL("stile", two)})
	one.Await(`SELECT count(*) = 1 FROM pg_stat_replication WHERE replay_lsn IS NOT NULL`)
	l := s.begin(4, 10*time.Minute, crashing, losing)
	pause(l.ctx, time.Second)
	two.Set("primary_conninfo = ''")
	one.Await(`SELECT count(*) = 0 FROM pg_stat_replication`)
	was := l.done.Load()
	for l.done.Load() < was+8 && // more than there are clients: some have begun since
		l.ctx.Err() == nil {
		pause(l.ctx, 20*time.Millisecond)
	}
	one.Kill()
	two.Promote()
	s.nodes[0].ready()
	l.quit() // some of them are nobody now
	v := s.inspect(l)
	lost := 0
	for _, f := range v.findings {
		if f.Invariant == "I1" && strings.Contains(f.What, "who is not there") {
			lost++
		}
	}
	t.Logf("%d acknowledged sign-ups are lost, and the checker says so", lost)
	if lost == 0 {
		t.Errorf("the checker finds no lost sign-up: %v", v.findings)
	}
}
