package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/session"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
	"github.com/stile-id/stile/internal/store/transfer"
)

// backup writes an engine's database into a file, beside the engine.
func backup(t *testing.T, e *engine, database string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "backup")
	err := app.Backup(t.Context(), config.Backup{Data: config.Data{Data: e.dir, Database: database}, To: file}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// empty is a place of the kind of an engine's database where nothing is, with the
// engine's master key.
func empty(t *testing.T, e *engine, database string) (dir, elsewhere string, place config.Place) {
	t.Helper()
	dir = t.TempDir()
	key, err := os.ReadFile(filepath.Join(e.dir, "master.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "master.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if database == "" {
		return dir, "", config.Place("sqlite:" + dir)
	}
	elsewhere = pgtest.Empty(t)
	return dir, elsewhere, config.Place(elsewhere)
}

// restore makes another engine of a backup.
func restore(t *testing.T, e *engine, database string, c config.Restore) *engine {
	t.Helper()
	dir, elsewhere, place := empty(t, e, database)
	c.To, c.MasterKeyFile = place, filepath.Join(dir, "master.key")
	var out bytes.Buffer
	if err := app.Restore(t.Context(), c, &out); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
	verified(t, config.Data{Data: dir, Database: elsewhere})
	r := startNode(t, app.Config{Dir: dir, Database: elsewhere, PublicURL: e.url, Limits: limits()})
	r.client = e.client
	return r
}

// verified fails the test if something is in a database that must not be.
func verified(t *testing.T, d config.Data) {
	t.Helper()
	var out bytes.Buffer
	if err := app.Verify(t.Context(), config.Verify{Data: d}, &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Whoever was told that they have an account before a backup began has it in
// the copy, while others go on to sign up.
func TestREL_R25_BackupUnderLoad(t *testing.T) { onBoth(t, backupUnderLoad) }

func backupUnderLoad(t *testing.T, database string) {
	e := startOn(t, database, limits())
	told := make(chan string)
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for w := range 3 {
		workers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				address := fmt.Sprintf("ada%d.%d@example.com", w, i)
				if _, err := e.signUp(ctx, address); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
				select {
				case told <- address:
				case <-ctx.Done():
				}
			}
		})
	}
	var before []string
	for range 10 {
		before = append(before, <-told)
	}
	go func() {
		for range told { // they go on
		}
	}()
	file := backup(t, e, database)
	stop()
	workers.Wait()
	close(told)
	verified(t, config.Data{Data: e.dir, Database: database})
	r := restore(t, e, database, config.Restore{From: file})
	for _, address := range before {
		a, err := r.Store.AccountByAddress(t.Context(), address)
		if err != nil || len(a.Enrollments) != 1 {
			t.Errorf("%s: %+v, %v", address, a, err)
		}
	}
	if _, err := r.signUp(t.Context(), "new@example.com"); err != nil {
		t.Error(err)
	}
}

// What was under way when a backup was made does not go on in the copy, what was
// ended since is not in force again, and who was deleted since is not back.
func TestSEC_S152_REL_R25_R26_Restored(t *testing.T) { onBoth(t, restored) }

func restored(t *testing.T, database string) {
	ctx := t.Context()
	e := startOn(t, database, limits())
	e.app(t)
	tokens, err := e.signUp(ctx, "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	access := tokens["access_token"].(string)
	if _, err := e.signUp(ctx, "eve@example.com"); err != nil {
		t.Fatal(err)
	}
	handle, err := e.enrolled("bob@example.com")
	if err != nil {
		t.Fatal(err)
	}
	code, err := e.code(ctx, "bob@example.com")
	if err != nil {
		t.Fatal(err)
	}
	carol := e.must(t, "POST", "/users?activate=true&returnToken=true&client=pages", `{"profile":{"login":"carol@example.com","email":"carol@example.com"}}`)
	invitation := carol["_embedded"].(map[string]any)["activation"].(map[string]any)["activationToken"].(string)
	invited := func(e *engine) error {
		_, err := e.form("/oauth2/default/v1/interact", url.Values{
			"client_id": {"pages"}, "scope": {"openid"}, "redirect_uri": {"http://localhost:8080/cb"}, "state": {"s"},
			"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "activation_token": {invitation},
		})
		return err
	}
	if err := e.MailWritten(ctx); err != nil {
		t.Fatal(err)
	}
	waiting := outbox.Message{
		ID: "waits", Kind: "mail", Payload: []byte("sealed"), Status: outbox.Queued,
		CreatedAt: time.Now(), NotBefore: time.Now().Add(time.Hour), ExpiresAt: time.Now().Add(24 * time.Hour),
	}
	signedIn, err := e.Store.AccountByAddress(ctx, "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Hour)
	leaving := signedIn.User
	leaving.Version++
	leaving.DeleteAt = end
	giveBack := func(kind directory.TicketKind) directory.Ticket {
		return directory.Ticket{ID: "tk" + string(kind), Kind: kind, UserID: leaving.ID, Version: 1, CreatedAt: time.Now(), ExpiresAt: end}
	}
	err = e.Store.InTx(ctx, store.Durable, func(tx store.Tx) error {
		return errors.Join(tx.Enqueue(waiting), tx.UpdateUser(leaving),
			tx.InsertTicket(giveBack(directory.EmailUndo)), tx.InsertTicket(giveBack(directory.DeletionUndo)),
			tx.InsertSession(session.Session{ID: "ses", UserID: signedIn.ID, Version: 1, CreatedAt: time.Now(), IdleUntil: end, ExpiresAt: end}),
			tx.InsertRefreshFamily(oauth.RefreshFamily{ID: "family", Grant: "grant", UserID: signedIn.ID, IdleUntil: end, ExpiresAt: end}))
	})
	if err != nil {
		t.Fatal(err)
	}
	file := backup(t, e, database)

	// Since then eve was deleted, as the audit log tells.
	eve, err := e.Store.AccountByAddress(ctx, "eve@example.com")
	if err != nil {
		t.Fatal(err)
	}
	e.must(t, "POST", "/users/"+eve.ID+"/lifecycle/deactivate", "")
	e.must(t, "DELETE", "/users/"+eve.ID, "")
	var log bytes.Buffer
	err = app.AuditTail(ctx, config.AuditTail{Data: config.Data{Data: e.dir, Database: database}, Since: "1h", JSON: true}, &log)
	erased := filepath.Join(t.TempDir(), "erased")
	if err == nil {
		err = os.WriteFile(erased, []byte("# gone\n00unobodyatall00000000000\n"+log.String()), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}

	r := restore(t, e, database, config.Restore{From: file, Erased: erased})
	introspected := func(e *engine) bool { // which reads no user
		i, err := e.form("/oauth2/default/v1/introspect", url.Values{"client_id": {e.client}, "token": {access}})
		if err != nil {
			t.Fatal(err)
		}
		return i["active"] == true
	}
	if r.accepted(t, access) || introspected(r) {
		t.Error("an access token from before is accepted")
	}
	if _, err := r.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, handle, code)); err == nil {
		t.Error("a code from before is taken")
	}
	if err := invited(r); err == nil {
		t.Error("an invitation from before is taken")
	}
	tickets, err := r.Store.Tickets(ctx, carol["id"].(string), directory.Activation)
	if err != nil || len(tickets) != 1 || tickets[0].SpentAt.IsZero() {
		t.Errorf("tickets %+v, %v", tickets, err)
	}
	if m, err := r.Store.OutboxMessage(ctx, "waits"); err != nil || m.Status != outbox.Expired || m.Payload != nil {
		t.Errorf("mail that waited: %+v, %v", m, err)
	}
	ada, err := r.Store.AccountByAddress(ctx, "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []directory.TicketKind{directory.EmailUndo, directory.DeletionUndo} {
		k, err := r.Store.Ticket(ctx, "tk"+string(kind))
		if err != nil || !k.SpentAt.IsZero() {
			t.Errorf("what gives something back: %+v, %v", k, err)
		}
		if kind == directory.DeletionUndo && k.ExpiresAt.Before(ada.DeleteAt) {
			t.Errorf("an account that goes at %v can be kept until %v", ada.DeleteAt, k.ExpiresAt)
		}
	}
	if ada.DeleteAt.Before(time.Now().Add(6 * 24 * time.Hour)) {
		t.Errorf("an account whose owner may have kept it goes at %v", ada.DeleteAt)
	}
	signIns := func(e *engine) int {
		families, err := e.Store.RefreshFamilies(ctx, ada.ID)
		sessions, serr := e.Store.Sessions(ctx, ada.ID)
		if err != nil || serr != nil {
			t.Fatal(err, serr)
		}
		return len(families) + len(sessions)
	}
	if n := signIns(r); n != 0 || ada.SignedOutAt.IsZero() {
		t.Errorf("%d sessions and families go on, signed out at %v", n, ada.SignedOutAt)
	}
	if a, err := r.Store.AccountByAddress(ctx, "eve@example.com"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("eve is back: %+v, %v", a, err)
	}
	for _, id := range []string{eve.ID, "00unobodyatall00000000000"} {
		err := r.Store.InTx(ctx, store.Relaxed, func(tx store.Tx) error {
			return tx.InsertUser(directory.User{ID: id, Version: 1, Canonical: "x@example.com"})
		})
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("the id %s is used again: %v", id, err)
		}
	}
	if got := lastEvents(t, r); got != "system.backup.restore user.lifecycle.delete.completed="+eve.ID {
		t.Errorf("events %s", got)
	}

	verified(t, config.Data{Data: e.dir, Database: database})

	// All of that was good, and still is at the engine that the backup is of.
	if !e.accepted(t, access) {
		t.Error("the access token is no good")
	}
	if err := invited(e); err != nil {
		t.Error(err)
	}
	if _, err := e.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, handle, code)); err != nil {
		t.Error(err)
	}

	// Where nothing was revoked since, nobody needs to be signed out.
	k := restore(t, e, database, config.Restore{From: file, KeepSignIns: true})
	if !k.accepted(t, access) || !introspected(k) || signIns(k) != 2 {
		t.Error("with --keep-sign-ins an access token from before is not accepted")
	}
	if _, err := k.idx("challenge/answer", fmt.Sprintf(`{"stateHandle":%q,"credentials":{"passcode":%q}}`, handle, code)); err == nil {
		t.Error("with --keep-sign-ins a code from before is taken")
	}
}

// lastEvents are the types of the newest row of the audit log that the engine's
// own start did not write, with targets.
func lastEvents(t *testing.T, e *engine) string {
	t.Helper()
	rows, err := e.Store.UnsealedAudit(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if !bytes.Contains(row.Events, []byte("system.backup.restore")) {
			continue
		}
		var events []struct{ Type, Target string }
		if err := json.Unmarshal(row.Events, &events); err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, e := range events {
			all = append(all, strings.TrimSuffix(e.Type+"="+e.Target, "="))
		}
		return strings.Join(all, " ")
	}
	return "none"
}

// A backup that was changed or cut off, or that another master key is for, is
// refused before anything is to be seen.
func TestREL_R25_RestoreRefuses(t *testing.T) {
	e := startOn(t, "", limits()) // a backup is the same of either database
	if _, err := e.signUp(t.Context(), "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	file := backup(t, e, "")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, data []byte, key []byte, want string) {
		t.Helper()
		dir := t.TempDir()
		broken := filepath.Join(dir, "broken")
		err := os.WriteFile(broken, data, 0o600)
		if err == nil && key != nil {
			err = os.WriteFile(filepath.Join(dir, "master.key"), key, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		err = app.Restore(t.Context(), config.Restore{From: broken, To: config.Place("sqlite:" + dir)}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "stile*")); len(left) > 0 {
			t.Errorf("%s: %v", name, left)
		}
	}
	for i := range 100 {
		at := i * (len(good) - 1) / 99
		changed := bytes.Clone(good)
		changed[at] ^= 1 << (i % 8)
		refused(fmt.Sprintf("byte %d changed", at), changed, nil, "--from")
		refused(fmt.Sprintf("cut off at %d", at), good[:at], nil, "--from")
	}
	for _, suffix := range []string{"-wal", "-journal"} { // of a database that was moved away alone
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "stile.db"+suffix), []byte("frames"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := app.Restore(t.Context(), config.Restore{From: file, To: config.Place("sqlite:" + dir)}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "of another database") {
			t.Errorf("beside stile.db%s: %v", suffix, err)
		}
	}
	names := filepath.Join(t.TempDir(), "erased")
	if err := os.WriteFile(names, []byte("00uVXsz19zEvGWblzX85iKi47\nada@example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = app.Restore(t.Context(), config.Restore{From: file, To: config.Place("sqlite:" + t.TempDir()), Erased: names}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "line 2 is not the id of a user") || strings.Contains(err.Error(), "ada@") {
		t.Errorf("an address to leave out: %v", err)
	}
	refused("more behind it", append(bytes.Clone(good), 0), nil, "changed or cut off")
	refused("nothing", nil, nil, "not a backup")
	refused("another master key", good, []byte(base64.StdEncoding.EncodeToString(keyring.Generate())), "made under another one")
	refused("no master key", good, []byte("nothing"), "does not hold")
}

// A file is cut off too where what is missing of its hash is zeros.
func TestREL_R25_CutOffWithinZeros(t *testing.T) {
	e := startOn(t, "", limits()) // a backup is the same of either database
	good, err := os.ReadFile(backup(t, e, ""))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.IndexByte(good, '\n') + 1
	header := at + 4 + int(binary.BigEndian.Uint32(good[at:]))
	var file []byte
	for spaces := 1; file == nil || file[len(file)-1] != 0; spaces++ { // in the JSON of the header
		file = binary.BigEndian.AppendUint32(bytes.Clone(good[:at]), uint32(header-at-4+spaces))
		file = append(append(file, good[at+4:header]...), strings.Repeat(" ", spaces)...)
		file = append(file, good[header:len(good)-sha256.Size]...)
		sum := sha256.Sum256(file)
		file = append(file, sum[:]...)
	}
	for cut, want := range []error{nil, transfer.ErrBroken} {
		f, err := transfer.Open(bytes.NewReader(file[:len(file)-cut]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Check(); !errors.Is(err, want) {
			t.Errorf("%d bytes are missing: %v", cut, err)
		}
	}
}
