//go:build unix

package faults

import (
	"syscall"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// cluster opens some nodes on one PostgreSQL behind a front.
func cluster(t *testing.T, p plan) (*site, *front) {
	t.Helper()
	f := newFront(t)
	p.database, p.public = pgtest.Database(t), f.listen
	s := open(t, p)
	f.serve(s)
	return s, f
}

// REL R-10: any node continues any flow. Every two seconds one is killed.
func TestREL_R10_KilledNodes(t *testing.T) {
	s, f := cluster(t, plan{nodes: 3})
	l := s.begin(6, sized(10*time.Minute, 20*time.Minute))
	times := sized(5, 300)
	for i := range times {
		pause(l.ctx, 2*time.Second)
		n := s.nodes[i%len(s.nodes)]
		l.cuts = append(l.cuts, time.Now())
		_ = n.end(syscall.SIGKILL)
		n.start()
	}
	for _, n := range s.nodes {
		n.ready()
	}
	s.judge(l)
	t.Logf("%d kills; requests by node: %d, %d, %d", times, f.passed[0].Load(), f.passed[1].Load(), f.passed[2].Load())
	for i := range f.passed {
		if f.passed[i].Load() == 0 {
			t.Errorf("%s served nothing", s.nodes[i].name)
		}
	}
}

// REL R-16: nodes that are restarted one after the other with their leave cost
// nobody a request.
func TestREL_R16_RollingRestart(t *testing.T) {
	s, _ := cluster(t, plan{nodes: 3, drain: "4s"}) // the front looks every 50 ms, if it is let
	l := s.begin(4, sized(10*time.Minute, 20*time.Minute), patient, unattended)
	rounds := sized(1, 10)
	for range rounds {
		for _, n := range s.nodes {
			pause(l.ctx, 500*time.Millisecond)
			if err := n.end(syscall.SIGTERM); err != nil {
				t.Errorf("%s: %v", n.name, err)
			}
			n.start()
			n.ready()
		}
	}
	l.end()
	retried, anew := l.retried.Load(), l.anew.Load()
	v := s.judge(l)
	t.Logf("%d restarts", rounds*len(s.nodes))
	if v.unknown > 0 || v.refused > 0 || retried > 0 || anew > 0 {
		t.Errorf("%d requests without an answer, %d with 5xx, %d calls made again, %d flows begun anew; want none", v.unknown, v.refused, retried, anew)
	}
}

// REL R-03: a tenth of all answers is lost, and a twentieth of all requests comes
// twice; everybody gets one account, and one mail for each wish.
func TestREL_R03_LostAnswers(t *testing.T) {
	s, f := cluster(t, plan{nodes: 2})
	people := sized(int64(100), 2000)
	f.lose, f.double = 0.1, 0.05
	l := s.begin(8, sized(10*time.Minute, 60*time.Minute), only(people))
	l.people.Wait()
	f.lose, f.double = 0, 0
	v := s.judge(l)
	t.Logf("%d people; %d answers lost, %d requests sent twice", people, f.lost.Load(), f.twice.Load())
	if v.users != int(people) {
		t.Errorf("%d users, want %d", v.users, people)
	}
	if f.lost.Load() == 0 || f.twice.Load() == 0 {
		t.Error("nothing was lost or doubled")
	}
}
