package app_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// A node opens no more connections than it may, from its start on, and its role needs
// no more than to own the database, as docs/operations.md has them made.
func TestREL_R12_DatabaseConnections(t *testing.T) {
	database := pgtest.Empty(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	role := "two_of_" + name
	pgtest.Exec(t, database, "CREATE ROLE "+role+" LOGIN CONNECTION LIMIT 2")
	pgtest.Exec(t, database, "ALTER DATABASE "+name+" OWNER TO "+role)
	q := u.Query()
	q.Set("user", role)
	u.RawQuery = q.Encode()

	a, err := app.New(t.Context(), app.Config{
		Dir: t.TempDir(), Database: u.String(), DatabaseConnections: 2,
		PublicURL: "http://localhost:9000", Policy: policy.PasswordOptional(), Limits: flow.DefaultLimits(), Bounded: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	release, ended := make(chan struct{}), make(chan error, 3)
	for range cap(ended) {
		go func() {
			ended <- a.Store.InTx(t.Context(), store.Lazy, func(store.Tx) error {
				<-release
				return nil
			})
		}()
	}
	if err := <-ended; !errors.Is(err, store.ErrBusy) { // the server itself would say otherwise
		t.Errorf("the third: %v", err)
	}
	close(release)
	for range cap(ended) - 1 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
