package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/smtp"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite"
)

// A floor does in six requests what no sign-up by an emailed code can do without.
// It believes everything that it is told.
type floor struct {
	key     func(hash []byte) []byte
	header  string
	secret  []byte
	letters chan [2]string
	writes  chan write

	mu    sync.Mutex
	flows map[string]*floorFlow
	users map[string]string
}

type floorFlow struct {
	email string
	code  []byte
	user  string
}

// A write is a row, and one of the audit log beside it.
type write struct {
	sql  string
	args []any
	what string
	done chan error
}

func newFloor(dir, alg, mailTo string) http.Handler {
	f := &floor{
		key: signer(alg), header: encode([]byte(`{"alg":"` + alg + `","kid":"1"}`)), secret: []byte(rand.Text()),
		letters: make(chan [2]string, 4096), writes: make(chan write, 1024), flows: map[string]*floorFlow{}, users: map[string]string{},
	}
	to, err := url.Parse(mailTo)
	must(err)
	for range 4 {
		go f.post(to.Host)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "floor.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	must(err)
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	must(err)
	for _, table := range []string{
		"flow (id TEXT PRIMARY KEY, email TEXT, code BLOB) WITHOUT ROWID",
		"user (id TEXT PRIMARY KEY, email TEXT UNIQUE) WITHOUT ROWID",
		"token (id TEXT PRIMARY KEY, user TEXT) WITHOUT ROWID",
		"audit (id INTEGER PRIMARY KEY, what TEXT, who TEXT, at INTEGER)",
	} {
		_, err := conn.ExecContext(ctx, "CREATE TABLE "+table)
		must(err)
	}
	go f.write(ctx, conn)
	mux := http.NewServeMux()
	for name, step := range map[string]func(*floorFlow, string, *floorAsk, map[string]any) error{
		"introspect": func(*floorFlow, string, *floorAsk, map[string]any) error { return nil },
		"identify":   f.identify, "challenge": func(*floorFlow, string, *floorAsk, map[string]any) error { return nil },
		"answer": f.answer, "token": f.token,
	} {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) { f.step(w, r, step) })
	}
	mux.HandleFunc("POST /interact", func(w http.ResponseWriter, _ *http.Request) {
		id := rand.Text()
		f.mu.Lock()
		f.flows[id] = &floorFlow{}
		f.mu.Unlock()
		reply(w, map[string]any{"handle": id})
	})
	return mux
}

// signer makes a key, and signs hashes with it.
func signer(alg string) func(hash []byte) []byte {
	if alg == "ES256" {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		return func(h []byte) []byte {
			r, s, err := ecdsa.Sign(rand.Reader, k, h)
			must(err)
			out := make([]byte, 64)
			r.FillBytes(out[:32])
			s.FillBytes(out[32:])
			return out
		}
	}
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	return func(h []byte) []byte {
		out, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, h)
		must(err)
		return out
	}
}

type floorAsk struct{ Handle, Email, Code string }

func (f *floor) step(w http.ResponseWriter, r *http.Request, step func(*floorFlow, string, *floorAsk, map[string]any) error) {
	var in floorAsk
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	f.mu.Lock()
	flow := f.flows[in.Handle]
	f.mu.Unlock()
	if flow == nil {
		http.Error(w, "no such flow", 404)
		return
	}
	out := map[string]any{"handle": in.Handle, "remediation": []map[string]string{{"name": "next", "href": "/next"}}}
	if err := step(flow, in.Handle, &in, out); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	reply(w, out)
}

func (f *floor) identify(flow *floorFlow, id string, in *floorAsk, _ map[string]any) error {
	var b [4]byte
	_, _ = rand.Read(b[:])
	code := fmt.Sprintf("%06d", (uint32(b[0])<<16|uint32(b[1])<<8|uint32(b[2]))%1_000_000)
	flow.email, flow.code = in.Email, f.mac(id, code)
	if err := f.put("code.sent", "INSERT INTO flow VALUES (?, ?, ?)", id, in.Email, flow.code); err != nil {
		return err
	}
	f.letters <- [2]string{in.Email, code}
	return nil
}

func (f *floor) answer(flow *floorFlow, id string, in *floorAsk, _ map[string]any) error {
	if !hmac.Equal(flow.code, f.mac(id, in.Code)) {
		return fmt.Errorf("wrong code")
	}
	f.mu.Lock()
	user, known := f.users[flow.email]
	if !known {
		user = rand.Text()
		f.users[flow.email] = user
	}
	f.mu.Unlock()
	flow.user = user
	return f.put("user.verified", "INSERT OR IGNORE INTO user VALUES (?, ?)", user, flow.email)
}

func (f *floor) token(flow *floorFlow, id string, _ *floorAsk, out map[string]any) error {
	if flow.user == "" {
		return fmt.Errorf("no proof")
	}
	if err := f.put("token.issued", "INSERT INTO token VALUES (?, ?)", rand.Text(), flow.user); err != nil {
		return err
	}
	f.mu.Lock()
	delete(f.flows, id)
	f.mu.Unlock()
	out["access_token"], out["id_token"] = f.sign(flow.user, "api"), f.sign(flow.user, "app")
	return nil
}

func (f *floor) sign(subject, audience string) string {
	now := time.Now().Unix()
	b, err := json.Marshal(map[string]any{"iss": "floor", "sub": subject, "aud": audience, "iat": now, "exp": now + 3600, "amr": []string{"otp"}})
	must(err)
	text := f.header + "." + encode(b)
	h := sha256.Sum256([]byte(text))
	return text + "." + encode(f.key(h[:]))
}

func (f *floor) mac(id, code string) []byte {
	m := hmac.New(sha256.New, f.secret)
	m.Write([]byte(id + code))
	return m.Sum(nil)
}

func (f *floor) put(what, sql string, args ...any) error {
	w := write{sql, args, what, make(chan error, 1)}
	f.writes <- w
	return <-w.done
}

// write commits what is waiting together.
func (f *floor) write(ctx context.Context, conn *sql.Conn) {
	stmts := map[string]*sql.Stmt{}
	exec := func(text string, args ...any) (err error) {
		s := stmts[text]
		if s == nil {
			if s, err = conn.PrepareContext(ctx, text); err != nil {
				return err
			}
			stmts[text] = s
		}
		_, err = s.Exec(args...)
		return err
	}
	for first := range f.writes {
		group := []write{first}
		for len(f.writes) > 0 && len(group) < 256 {
			group = append(group, <-f.writes)
		}
		err := exec("BEGIN IMMEDIATE")
		for _, w := range group {
			if err == nil {
				err = exec(w.sql, w.args...)
			}
			if err == nil {
				err = exec("INSERT INTO audit (what, who, at) VALUES (?, ?, ?)", w.what, w.args[0], time.Now().Unix())
			}
		}
		if err == nil {
			err = exec("COMMIT")
		} else {
			_ = exec("ROLLBACK")
		}
		for _, w := range group {
			w.done <- err
		}
	}
}

// post keeps one connection to the mail server.
func (f *floor) post(address string) {
	c, err := smtp.Dial(address)
	must(err)
	for l := range f.letters {
		must(c.Mail("floor@example.com"))
		must(c.Rcpt(l[0]))
		w, err := c.Data()
		must(err)
		fmt.Fprintf(w, "From: floor@example.com\r\nTo: %s\r\nSubject: Your code\r\nMessage-ID: <%s@example.com>\r\n\r\nYour code is %s .\r\n", l[0], rand.Text(), l[1])
		must(w.Close())
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func encode(b []byte) string { return strings.TrimRight(base64.URLEncoding.EncodeToString(b), "=") }
