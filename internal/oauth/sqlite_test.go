package oauth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlite"
)

var _ oauth.Store = store.Store(nil)

const verifier = "dBjftJeZ4CVP-mBgK6MyTQ0lXPxUjU0nCeEiYKqWdOU"

// finished is a flow whose every transaction has succeeded. Its rows live in the
// same database, so that spending one shares the commit with what is issued.
type finished struct{ store store.Store }

func (finished) Begin(context.Context, oauth.InteractionRequest) (string, error) { return "ih.x", nil }

func (f finished) Finished(ctx context.Context, code string) (oauth.Interaction, error) {
	row, err := f.store.Transaction(ctx, strings.TrimPrefix(code, "ic."))
	if err != nil {
		return oauth.Interaction{}, problem.New(problem.Invalid, "invalid_grant", "The interaction code is invalid or has expired.")
	}
	h := sha256.Sum256([]byte(verifier))
	return oauth.Interaction{
		ID: row.ID, ClientID: row.ClientID, Server: oauth.DefaultServer, UserID: "00uA", Scopes: []string{"openid", "offline_access"},
		CodeChallenge: base64.RawURLEncoding.EncodeToString(h[:]), AuthTime: time.Now(), AMR: []string{"otp"},
		Redeemed: row.Version > 1, Row: row,
	}, nil
}

func (finished) Spend(tx oauth.Tx, i oauth.Interaction, _ string) error {
	row := i.Row.(flow.Row)
	row.Version++
	return tx.(interface{ SaveTransaction(flow.Row) error }).SaveTransaction(row)
}

type noSessions struct{}

func (noSessions) SessionID(string) (string, bool) { return "", false }

type nodes struct {
	t        testing.TB
	store    store.Store
	handlers []http.Handler
	servers  []*oauth.Server
}

// newNodes starts two cores on one database.
func newNodes(t testing.TB) *nodes {
	t.Helper()
	ctx := context.Background()
	db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(t.TempDir(), "stile.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	ring, err := keyring.New(bytes.Repeat([]byte{1}, keyring.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	n := &nodes{t: t, store: db}
	for range 2 {
		s, err := oauth.New(oauth.Config{
			PublicURL: "http://localhost:9000", Store: db, Keyring: ring, Interactions: finished{db}, Sessions: noSessions{},
			InTx: func(ctx context.Context, fn func(oauth.Tx) error) error {
				return db.InTx(ctx, store.Durable, func(tx store.Tx) error { return fn(tx) })
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		n.servers = append(n.servers, s)
		n.handlers = append(n.handlers, s.Handler())
	}
	c, _, err := oauth.NewClient(oauth.Client{ID: "spa", RedirectURIs: []string{"http://localhost:8081/cb"}}, false, time.Now())
	if err == nil {
		err = n.servers[0].AddClient(ctx, c)
	}
	if err == nil {
		err = db.InTx(ctx, store.Durable, func(tx store.Tx) error {
			return tx.InsertUser(directory.User{ID: "00uA", Version: 1, Status: directory.Active, Email: "a@example.org", Canonical: "a@example.org"})
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *nodes) code() string {
	n.t.Helper()
	id := directory.NewID("tx")
	err := n.store.InTx(context.Background(), store.Durable, func(tx store.Tx) error {
		return tx.InsertTransaction(flow.Row{ID: id, ClientID: "spa", Version: 1, ExpiresAt: time.Now().Add(time.Hour), Data: []byte("x")})
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return "ic." + id
}

func (n *nodes) token(node int, pairs ...string) (int, map[string]string) {
	f := url.Values{"client_id": {"spa"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "/oauth2/default/v1/token", strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	n.handlers[node%2].ServeHTTP(w, r)
	var all map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil {
		n.t.Error(err)
	}
	out := map[string]string{}
	for k, v := range all {
		out[k], _ = v.(string)
	}
	return w.Code, out
}

func (n *nodes) redeem(node int, code string) (int, map[string]string) {
	return n.token(node, "grant_type", "interaction_code", "interaction_code", code, "code_verifier", verifier)
}

func (n *nodes) refresh(node int, token string) (int, map[string]string) {
	return n.token(node, "grant_type", "refresh_token", "refresh_token", token)
}

func (n *nodes) userinfo(node int, token string) int {
	r := httptest.NewRequest(http.MethodGet, "/oauth2/default/v1/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	n.handlers[node%2].ServeHTTP(w, r)
	return w.Code
}

func TestRacesOnSQLite(t *testing.T) {
	n := newNodes(t)
	t.Run("SEC_S79 50 redeems", func(t *testing.T) {
		code := n.code()
		var mu sync.Mutex
		var wg sync.WaitGroup
		var won []map[string]string
		for i := range 50 {
			wg.Go(func() {
				status, body := n.redeem(i, code)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case status == http.StatusOK:
					won = append(won, body)
				case status != http.StatusBadRequest || body["error"] != "invalid_grant":
					t.Errorf("%d %v", status, body)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d of 50 succeeded", len(won))
		}
		// the others were reuse: what the one was given is void
		if status, _ := n.refresh(0, won[0]["refresh_token"]); status != http.StatusBadRequest {
			t.Errorf("refresh: %d", status)
		}
	})
	t.Run("SEC_S81 100 refreshes", func(t *testing.T) {
		_, first := n.redeem(0, n.code())
		var mu sync.Mutex
		var wg sync.WaitGroup
		successors := map[string]int{}
		var access string
		for i := range 100 {
			wg.Go(func() {
				status, body := n.refresh(i, first["refresh_token"])
				if status != http.StatusOK {
					t.Errorf("%d %v", status, body)
				}
				mu.Lock()
				defer mu.Unlock()
				successors[body["refresh_token"]]++
				access = body["access_token"]
			})
		}
		wg.Wait()
		if len(successors) != 1 {
			t.Errorf("successors: %v", successors)
		}
		if n.userinfo(0, access) != http.StatusOK {
			t.Error("the family was revoked")
		}
	})
	t.Run("SEC_S82 reuse", func(t *testing.T) {
		_, first := n.redeem(0, n.code())
		_, second := n.refresh(1, first["refresh_token"])
		_, third := n.refresh(0, second["refresh_token"])
		if status, _ := n.refresh(1, first["refresh_token"]); status != http.StatusBadRequest {
			t.Errorf("a token two generations old: %d", status)
		}
		if status, _ := n.refresh(0, third["refresh_token"]); status != http.StatusBadRequest {
			t.Errorf("the newest token: %d", status)
		}
		if status := n.userinfo(1, third["access_token"]); status != http.StatusUnauthorized {
			t.Errorf("its access token: %d", status)
		}
	})
	t.Run("SEC_S27 code reuse", func(t *testing.T) {
		code := n.code()
		_, first := n.redeem(0, code)
		if n.userinfo(0, first["access_token"]) != http.StatusOK {
			t.Error("the token does not work")
		}
		if status, _ := n.redeem(0, code); status != http.StatusBadRequest {
			t.Errorf("second use: %d", status)
		}
		if n.userinfo(0, first["access_token"]) != http.StatusUnauthorized {
			t.Error("the token of the first use works")
		}
	})
}

// What a restart finds in the database is enough to go on.
func TestRestartOnSQLite(t *testing.T) {
	n := newNodes(t)
	_, first := n.redeem(0, n.code())
	if n.userinfo(1, first["access_token"]) != http.StatusOK {
		t.Error("the other node refuses the token")
	}
	keys := func(node int) string {
		w := httptest.NewRecorder()
		n.handlers[node].ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/oauth2/default/v1/keys", nil))
		return w.Body.String()
	}
	if keys(0) != keys(1) {
		t.Errorf("%s\n%s", keys(0), keys(1))
	}
	if _, err := n.servers[1].Client(context.Background(), "spa"); err != nil {
		t.Error(err)
	}
	c, _, err := oauth.NewClient(oauth.Client{ID: "spa", RedirectURIs: []string{"http://localhost:8081/cb"}}, false, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.servers[1].AddClient(context.Background(), c); problem.KindOf(err) != problem.Conflict {
		t.Errorf("a client id twice: %v", err)
	}
	if _, err := n.servers[0].Client(context.Background(), "nobody"); problem.KindOf(err) != problem.Unauthenticated {
		t.Errorf("an unknown client: %v", err)
	}
}
