package postgres_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
	"github.com/stile-id/stile/internal/store/storetest"
	"github.com/stile-id/stile/internal/store/transfer"
)

// partitioned is a database as packaging/postgresql/partition-people.sql makes it.
func partitioned(t *testing.T) string {
	t.Helper()
	u := pgtest.Database(t)
	split(t, u)
	return u
}

func split(t *testing.T, u string) {
	t.Helper()
	script, err := os.ReadFile("../../../packaging/postgresql/partition-people.sql")
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, u, "BEGIN;"+string(script)+"COMMIT")
}

// An operator may partition what grows with people: the adapter keeps its promises.
func TestREL_R23_PartitionedConformance(t *testing.T) {
	if os.Getenv("STILE_TEST_LONG") == "" {
		t.Skip("splits a hundred databases") // make test-long runs it
	}
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, partitioned(t)) })
}

// The rows that are there stay, in the partitions, and can be moved to a database
// without any: the keys are the same.
func TestREL_R23_PartitionPeople(t *testing.T) {
	u := pgtest.Database(t)
	s := open(t, u)
	now := noon
	err := s.InTx(bg, store.Durable, func(tx store.Tx) error {
		for _, id := range []string{"00u1", "00u2", "00u3", "00u4", "00u5"} {
			user := directory.User{ID: id, Version: 1, Status: directory.Active, Email: id + "@example.com", Canonical: id + "@example.com", Groups: []string{"staff"}, CreatedAt: now, UpdatedAt: now}
			if err := tx.InsertUser(user); err != nil {
				return err
			}
			err := tx.InsertEnrollment(directory.Enrollment{ID: "eae" + id, UserID: id, Version: 1, Authenticator: "okta_email", CreatedAt: now})
			if err != nil {
				return err
			}
			err = tx.InsertSession(session.Session{ID: "ses" + id, UserID: id, Version: 1, CreatedAt: now, SeenAt: now, IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour)})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || s.Close() != nil {
		t.Fatal(err)
	}
	split(t, u)
	if got := lines(t, connect(t, "pgx", u), "SELECT count(*), count(DISTINCT tableoid) > 1 FROM sessions"); got[0] != "5 true" {
		t.Errorf("sessions: %v", got)
	}
	s = open(t, u)
	a, err := s.Account(bg, "00u3")
	if err != nil || len(a.Enrollments) != 1 || len(a.Groups) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := s.Purge(bg, now.Add(2*time.Hour), 1000); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, connect(t, "pgx", u), "SELECT count(*) FROM sessions"); got[0] != "0" {
		t.Errorf("%v sessions outlive their end", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	from, err := postgres.Snapshot(bg, u, true)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := postgres.Fill(bg, pgtest.Empty(t))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	sums, err := transfer.Copy(bg, from, to)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int64{}
	for _, sum := range sums {
		rows[sum.Table] = sum.Rows
	}
	if d := cmp.Diff([]int64{5, 5, 5}, []int64{rows["users"], rows["enrollments"], rows["memberships"]}); d != "" {
		t.Error(d)
	}
}

// A lookup by id or by user goes to one partition: the rest is not even opened.
func TestREL_R23_LookupsAskOnePartition(t *testing.T) {
	db := connect(t, "pgx", partitioned(t))
	for _, q := range []string{
		"SELECT * FROM sessions WHERE id = 'x'", "SELECT * FROM tickets WHERE id = 'x'", "SELECT * FROM refresh_families WHERE id = 'x'",
		"SELECT * FROM devices WHERE user_id = 'x' AND id = 'y'", "SELECT * FROM memberships WHERE user_id = 'x'",
	} {
		plan := strings.Join(lines(t, db, "EXPLAIN "+q), "\n")
		if strings.Contains(plan, "Append") || strings.Count(plan, " on ") != 1 {
			t.Errorf("%s\n%s", q, plan)
		}
	}
}
