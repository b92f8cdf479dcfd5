package postgres_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
	versions "github.com/stile-id/stile/internal/store/schema"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// fill puts transactions into a partition, enough for it to be emptied as a whole.
func fill(t *testing.T, u, partition string, end time.Time) {
	t.Helper()
	pgtest.Exec(t, u, fmt.Sprintf(`
		INSERT INTO transactions (id, client_id, version, expires_at, data)
		SELECT 't%s' || lpad(n::text, 22, '0'), 'client', 1, %d, decode(repeat('ab', 700), 'hex') FROM generate_series(1, 2000) n`,
		strings.ToUpper(partition), end.UnixMicro()))
}

func rest(t *testing.T, u string) []string {
	t.Helper()
	return lines(t, connect(t, "pgx", u), `
		SELECT tableoid::regclass::text, count(*), max(pg_relation_size(tableoid)) = 0 FROM transactions GROUP BY 1 ORDER BY 1`)
}

func insert(t *testing.T, s store.Store, id string, end time.Time) {
	t.Helper()
	row := flow.Row{ID: id, ClientID: "client", Version: 1, ExpiresAt: end, Data: []byte("x")}
	if err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error { return tx.InsertTransaction(row) }); err != nil {
		t.Fatal(err)
	}
}

// What lies in a partition that has ended as a whole goes by TRUNCATE, which leaves
// no dead rows; what shares one with rows that live goes row by row.
func TestREL_R23_PartitionsAreEmptied(t *testing.T) {
	u := pgtest.Database(t)
	s := open(t, u)
	for _, partition := range []string{"a", "b", "c", "d"} {
		fill(t, u, partition, noon.Add(-time.Second))
	}
	insert(t, s, "tBlive", noon.Add(16*time.Minute))
	insert(t, s, "tCsoon", noon.Add(10*time.Minute))
	insert(t, s, "tDnever", time.Time{})
	insert(t, s, "tEdead", noon.Add(-time.Second)) // a small one
	files := func() string {
		return strings.Join(lines(t, connect(t, "pgx", u), `
			SELECT relname FROM pg_class WHERE relname ~ '^transactions_.$' AND pg_relation_filenode(oid) <> oid ORDER BY 1`), " ")
	}
	if got := files(); got != "" {
		t.Fatalf("emptied before: %s", got)
	}
	n, err := s.Purge(bg, noon, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if n < 4001+1 { // the estimate of a partition may be short
		t.Errorf("%d rows went", n)
	}
	if d := cmp.Diff([]string{"transactions_b 1 false", "transactions_c 2001 false", "transactions_d 1 false"}, rest(t, u)); d != "" {
		t.Error(d)
	}
	if got := files(); got != "transactions_a" {
		t.Errorf("emptied: %q", got)
	}
	if _, err := s.Purge(bg, noon.Add(11*time.Minute), 10_000); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"transactions_b 1 false", "transactions_d 1 false"}, rest(t, u)); d != "" {
		t.Error(d)
	}
	if got := files(); got != "transactions_a transactions_c" {
		t.Errorf("emptied: %q", got)
	}
}

// A partition that somebody holds is left for the next time, and a row that
// somebody else commits meanwhile stays.
func TestREL_R23_HeldPartition(t *testing.T) {
	u := pgtest.Database(t)
	s := open(t, u)
	fill(t, u, "a", noon.Add(-time.Second))
	other := connect(t, "pgx", u)
	tx, err := other.Begin()
	if err == nil {
		_, err = tx.Exec("INSERT INTO transactions (id, client_id, version, expires_at, data) VALUES ('tAlate', 'client', 1, $1, '')",
			noon.Add(time.Hour).UnixMicro())
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Purge(bg, noon, 1000); n != 0 || err != nil {
		t.Errorf("beside it: %d, %v", n, err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Purge(bg, noon, 1000); err != nil {
			t.Fatal(err)
		}
	}
	if got := rest(t, u); len(got) != 1 || got[0] != "transactions_a 1 false" {
		t.Errorf("left: %q", got)
	}
	if _, err := s.Transaction(bg, "tAlate"); err != nil {
		t.Error(err)
	}
}

// Nodes that purge at once get in nobody's way.
func TestREL_R23_NodesPurgeAtOnce(t *testing.T) {
	u := pgtest.Database(t)
	var nodes []store.Store
	for range 3 {
		nodes = append(nodes, open(t, u))
	}
	for _, partition := range []string{"a", "b"} {
		fill(t, u, partition, noon.Add(-time.Second))
	}
	insert(t, nodes[0], "tBlive", noon.Add(time.Hour))
	done := make(chan error)
	for _, s := range nodes {
		go func() {
			_, err := s.Purge(bg, noon, 10_000)
			done <- err
		}()
	}
	for range nodes {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for range 2 { // who lost a race leaves rows to the next time
		if _, err := nodes[1].Purge(bg, noon, 10_000); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]string{"transactions_b 1 false"}, rest(t, u)); d != "" {
		t.Error(d)
	}
}

// A statement goes to the one partition with the id, also of ids that tell no time.
func TestTransactionsLieByTheirIDs(t *testing.T) {
	u := pgtest.Database(t)
	s := open(t, u)
	var want []string
	for _, c := range "ABCDEFGHIJKL" {
		id := "t" + string(c) + strings.Repeat("0", 22)
		insert(t, s, id, noon)
		want = append(want, "transactions_"+strings.ToLower(string(c))+" 1 false")
		row, err := s.Transaction(bg, id)
		if err != nil {
			t.Fatal(err)
		}
		row.Version++
		if err := s.InTx(bg, store.Relaxed, func(tx store.Tx) error { return tx.SaveTransaction(row) }); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	insert(t, s, "tx"+strings.Repeat("0", 22), noon)
	insert(t, s, "t", noon)
	want = append(want, "transactions_x 2 false")
	if d := cmp.Diff(want, rest(t, u)); d != "" {
		t.Error(d)
	}
}

// Open flows outlive the step to partitions, the step back, and the step again.
func TestREL_R24_FlowsOutliveThePartitions(t *testing.T) {
	u := pgtest.Database(t)
	s := open(t, u)
	ids := []string{"tx" + strings.Repeat("1", 22), "tA" + strings.Repeat("1", 22), "tL" + strings.Repeat("z", 22)}
	for _, id := range ids {
		insert(t, s, id, noon)
	}
	schema, err := postgres.OpenSchema(bg, u, false)
	if err != nil {
		t.Fatal(err)
	}
	defer schema.Close()
	schema.Connected = nil // s only looks on
	there := func() string {
		return strings.Join(lines(t, connect(t, "pgx", u), "SELECT id FROM transactions ORDER BY id DESC"), " ")
	}
	for _, to := range []int64{4, 5, 4, 5} {
		if err := schema.Apply(bg, to, func(versions.Step) {}); err != nil {
			t.Fatalf("to %d: %v", to, err)
		}
		if got := there(); got != ids[0]+" "+ids[2]+" "+ids[1] {
			t.Errorf("version %d: %s", to, got)
		}
	}
	for _, id := range ids {
		if _, err := s.Transaction(bg, id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// A batch looks at its own rows, and not at all that have ended, whatever the
// planner knows of the table.
func TestREL_R23_BatchesCostTheirRows(t *testing.T) {
	u := pgtest.Database(t)
	pgtest.Exec(t, u, `
		INSERT INTO transactions (id, client_id, version, expires_at, data)
		SELECT 'tx' || lpad(n::text, 22, '0'), 'client', 1, n, '' FROM generate_series(1, 20000) n`)
	db := connect(t, "pgx", u)
	var purge string
	for _, q := range sqlstore.Queries(postgres.Dialect) {
		if strings.Contains(q, "DELETE FROM transactions WHERE") {
			purge = strings.ReplaceAll(q, "transactions", "transactions_x")
		}
	}
	if _, err := db.Exec("PREPARE purge AS " + purge); err != nil {
		t.Fatal(purge, err)
	}
	if _, err := db.Exec(strings.ReplaceAll(postgres.Dialect.InOrder, " LOCAL", "")); err != nil {
		t.Fatal(err)
	}
	for _, prepare := range []string{"SET plan_cache_mode = force_custom_plan", "SET plan_cache_mode = force_generic_plan", "ANALYZE"} {
		if _, err := db.Exec(prepare); err != nil {
			t.Fatal(err)
		}
		var roots []struct{ Plan node }
		plan := lines(t, db, "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE purge(30000, 100)")
		if err := json.Unmarshal([]byte(strings.Join(plan, "\n")), &roots); err != nil {
			t.Fatal(err)
		}
		most := 0.0
		for _, root := range roots {
			root.Plan.walk(func(n node) { most = max(most, n.Rows) })
		}
		if most != 100 {
			t.Errorf("%s: %.0f rows looked at for 100\n%s", prepare, most, strings.Join(plan, "\n"))
		}
	}
}
