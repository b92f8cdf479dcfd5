package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// startTwo starts two nodes on one PostgreSQL with one master key. The third
// engine takes each request to the other of the two.
func startTwo(t *testing.T, limits flow.Limits) (one, two, both *engine) {
	t.Helper()
	database := pgtest.Database(t)
	one = startOn(t, database, limits)
	two = startNode(t, app.Config{Dir: one.dir, Database: database, PublicURL: one.url, Limits: limits})
	two.client = one.client
	both = &engine{App: one.App, url: one.url, client: one.client, http: one.http, nodes: []*engine{one, two}}
	return one, two, both
}

// awaited fails the test if what must be so within a second is not so for long.
func awaited(t *testing.T, what string, so func() bool) {
	t.Helper()
	began := time.Now()
	for !so() {
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: not after %v", what, time.Since(began))
		}
	}
	t.Logf("%s: after %v", what, time.Since(began).Round(time.Millisecond))
}

// Nothing that a flow needs lies in a node.
func TestREL_R10_AnyNodeServesAnyStep(t *testing.T) {
	one, two, both := startTwo(t, limits())
	for i := range 5 {
		address := fmt.Sprintf("ada%d@example.com", i)
		if _, err := both.signUp(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		for _, node := range []*engine{one, two} {
			a, err := node.Store.AccountByAddress(t.Context(), address)
			if err != nil || len(a.Enrollments) != 1 {
				t.Errorf("%s: %+v, %v", address, a, err)
			}
		}
	}
	if both.turn.Load() < 30 {
		t.Errorf("only %d requests", both.turn.Load())
	}
}

// Of many who prove one address at both nodes at once, one makes the account.
func TestREL_R02_ParallelSignUpsAtTwoNodes(t *testing.T) {
	addresses, flows := 1, 20
	if os.Getenv("STILE_TEST_LONG") != "" {
		addresses, flows = 50, 100
	}
	_, _, both := startTwo(t, flow.DevelopmentLimits())
	begun := time.Now()
	for i := range addresses {
		users, err := both.proveAtOnce(t.Context(), fmt.Sprintf("ada%d@example.com", i), flows)
		if err != nil {
			t.Fatal(err)
		}
		if users != 1 {
			t.Errorf("address %d: %d users", i, users)
		}
	}
	t.Logf("%d addresses, %d flows each, in %v", addresses, flows, time.Since(begun).Round(time.Second))
}

// proveAtOnce begins many flows for an address, then proves it in all of them at the
// same time, and returns how many users they are told of.
func (e *engine) proveAtOnce(ctx context.Context, address string, flows int) (users int, err error) {
	handles, codes, seen := make([]string, flows), make([]string, flows), map[string]bool{}
	for i := range flows {
		h, err := e.enrolled(address)
		if err != nil {
			return 0, err
		}
		for _, node := range e.nodes {
			if err := node.MailSettled(ctx); err != nil {
				return 0, err
			}
			for _, m := range node.Inbox.Messages(address) {
				if !seen[m.ID] {
					handles[i], codes[i], seen[m.ID] = h, m.Code, true
				}
			}
		}
		if codes[i] == "" {
			return 0, fmt.Errorf("no mail in flow %d", i)
		}
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	told := map[string]bool{}
	for i := range flows {
		group.Go(func() {
			doc, ferr := e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, handles[i], codes[i]))
			mu.Lock()
			defer mu.Unlock()
			if ferr != nil {
				err = errors.Join(err, fmt.Errorf("flow %d: %w", i, ferr))
			} else if id := userID.FindSubmatch(doc); id != nil {
				told[string(id[1])] = true
			} else {
				err = errors.Join(err, fmt.Errorf("flow %d: no user: %s", i, doc))
			}
		})
	}
	group.Wait()
	return len(told), err
}

// accepted reports whether a node takes an access token.
func (e *engine) accepted(t *testing.T, token string) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", e.url+"/oauth2/default/v1/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := e.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusUnauthorized {
		t.Fatalf("userinfo: %d", res.StatusCode)
	}
	return res.StatusCode == http.StatusOK
}

// What is revoked at one node is void at the other soon after (decision D36).
func TestSEC_S90_RevokedAtTheOtherNode(t *testing.T) {
	one, two, both := startTwo(t, limits())
	tokens, err := both.signUp(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	token := tokens["access_token"].(string)
	for _, node := range []*engine{one, two} {
		if !node.accepted(t, token) {
			t.Fatal("a new token is not accepted")
		}
	}
	_, err = one.do("POST", "/oauth2/default/v1/revoke", "application/x-www-form-urlencoded", url.Values{
		"token": {token}, "token_type_hint": {"access_token"}, "client_id": {one.client},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if one.accepted(t, token) {
		t.Error("accepted where it was revoked")
	}
	awaited(t, "refused at the other node", func() bool { return !two.accepted(t, token) })
}

// Policies that are stored are in force on every node soon after.
func TestPoliciesReachTheOtherNode(t *testing.T) {
	one, two, _ := startTwo(t, limits())
	for _, node := range []*engine{one, two} {
		if !node.offersSignUp(t) {
			t.Fatal("no sign-up to begin with")
		}
	}
	org := policy.PasswordOptional()
	org.CloseSignUp()
	data, err := json.Marshal(org)
	if err != nil {
		t.Fatal(err)
	}
	err = one.Store.InTx(context.Background(), store.Durable, func(tx store.Tx) error { return tx.SetSetting("org", data) })
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range []*engine{one, two} {
		awaited(t, "sign-up is closed", func() bool { return !node.offersSignUp(t) })
	}
}

// offersSignUp begins a flow, and looks at what it offers.
func (e *engine) offersSignUp(t *testing.T) bool {
	t.Helper()
	started, err := e.form("/oauth2/default/v1/interact", url.Values{
		"client_id": {e.client}, "scope": {"openid"}, "redirect_uri": {"http://localhost:8080/cb"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "state": {"s"}, "nonce": {"n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := e.idx("introspect", fmt.Sprintf(`{"interactionHandle":%q}`, started["interaction_handle"]))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(doc), "select-enroll-profile")
}

// A node that has another master key than the others does not start.
func TestOneMasterKeyForAllNodes(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		config := app.Config{
			Dir: t.TempDir(), Database: database, PublicURL: "http://localhost:9000", Policy: policy.PasswordOptional(), Inbox: true,
		}
		for _, want := range []string{"", "", "begun under another"} {
			if want != "" {
				if err := os.Remove(filepath.Join(config.Dir, "master.key")); err != nil {
					t.Fatal(err)
				}
			}
			a, err := app.New(t.Context(), config)
			if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("New: %v, want %q", err, want)
			}
			if err == nil {
				if err := a.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
