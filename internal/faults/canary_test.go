package faults

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/stiletest"
)

// log keeps everything that the engine writes.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// TestSEC_S147_NoSecretInDatabaseOrLog runs a sign-up with everything that is
// secret in it, then looks for each secret in every file and in the log.
func TestSEC_S147_NoSecretInDatabaseOrLog(t *testing.T) {
	dir := t.TempDir()
	var out log
	const password = "canary password for the dump"
	e := stiletest.Start(t, stiletest.Dir(dir), stiletest.Logger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	c, err := idx.New(idx.Config{
		Issuer: e.Issuer, ClientID: e.ClientID, ClientSecret: e.ClientSecret, RedirectURI: e.RedirectURI,
		Scopes: []string{"openid", "profile", "email", "offline_access"}, KeepCode: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	step := func(tx *idx.Transaction, err error) *idx.Transaction {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	tx := step(c.Register(ctx, idx.Profile{FirstName: "Ada", LastName: "Lovelace", Email: ada}))
	text, err := tx.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	code, link := e.Code(t, ada), e.Link(t, ada)
	tx = step(c.Proceed(ctx, tx, idx.Input{VerificationCode: "000000"}))
	tx = step(c.Proceed(ctx, tx, idx.Input{VerificationCode: code}))
	tx = step(c.Proceed(ctx, tx, idx.Input{Authenticator: "okta_password"}))
	tx = step(c.Proceed(ctx, tx, idx.Input{Password: password}))
	tx = step(c.Proceed(ctx, tx, idx.Input{Skip: true}))
	if tx.InteractionCode == "" {
		t.Fatalf("no code: %+v", tx)
	}
	redeem, err := idx.New(idx.Config{
		Issuer: e.Issuer, ClientID: e.ClientID, ClientSecret: e.ClientSecret, RedirectURI: e.RedirectURI,
		Scopes: []string{"openid", "profile", "email", "offline_access"},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := step(redeem.HandleCallback(ctx, tx, url.Values{"interaction_code": {tx.InteractionCode}, "state": {tx.State()}}))
	e.MailTried(t)

	secrets := map[string]string{
		"link token": path.Base(link), "interaction code": tx.InteractionCode, "password": password,
		"client secret": e.ClientSecret, "access token": done.Tokens.AccessToken.Value,
		"ID token": done.Tokens.IDToken.Value, "refresh token": done.Tokens.RefreshToken.Value,
	}
	for i, part := range strings.FieldsFunc(string(text), func(r rune) bool { return r == '"' || r == ',' || r == ':' }) {
		if len(part) > 40 { // handles and verifier, as the app keeps them
			secrets["part "+string(rune('a'+i%26))+" of the app's transaction"] = part
		}
	}
	search := func(where string, data []byte) {
		for what, s := range secrets {
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("%s holds the %s", where, what)
			}
		}
	}
	files := 0
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		files++
		search(filepath.Base(file), data)
		if bytes.Contains(data, []byte(`"`+code+`"`)) {
			t.Errorf("%s holds the code", filepath.Base(file))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 2 {
		t.Fatalf("only %d files were searched", files)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	search("the log", out.b.Bytes())
	if strings.Contains(out.b.String(), code) {
		t.Error("IDX_C84: the log holds the code")
	}
	if out.b.Len() == 0 {
		t.Fatal("nothing was logged")
	}
}
