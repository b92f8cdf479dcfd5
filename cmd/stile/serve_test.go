package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/emersion/go-smtp"

	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/loopback"
	"github.com/stile-id/stile/internal/store/postgres/pgtest"
)

// letters is an SMTP server that keeps what it is given.
type letters struct{ got chan string }

func (l *letters) NewSession(*smtp.Conn) (smtp.Session, error) { return l, nil }
func (l *letters) Mail(string, *smtp.MailOptions) error        { return nil }
func (l *letters) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (l *letters) Reset()                                      {}
func (l *letters) Logout() error                               { return nil }
func (l *letters) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	l.got <- string(data)
	return err
}

func relay(t *testing.T) (url string, got chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := &letters{make(chan string, 10)}
	s := smtp.NewServer(box)
	s.Domain, s.ErrorLog = "relay.example", log.New(io.Discard, "", 0)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); _ = l.Close() })
	return "smtp://" + l.Addr().String(), box.got
}

// A production is a running `stile serve`.
type production struct {
	t                  *testing.T
	dir, url, operator string
	cmd                *exec.Cmd
	mail               chan string

	mu  sync.Mutex
	log bytes.Buffer  // whole lines
	new chan struct{} // closed at each new line, and replaced
	all chan struct{} // closed once log is all of it
}

// produce starts it with more settings, and waits until it is ready.
func produce(t *testing.T, more string) *production {
	t.Helper()
	p := &production{t: t, dir: t.TempDir()}
	listen, operator := loopback.Address(t), loopback.Address(t)
	p.url, p.operator = "http://"+listen, "http://"+operator
	smtpURL, got := relay(t)
	p.mail = got
	if err := os.Chmod(p.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.dir, "stile.yaml")
	settings := fmt.Sprintf("public_url: http://localhost:9000\nlisten: %s\nmetrics_listen: %s\ndata: %s\nsmtp: %s\nmail_from: Acme <id@example.com>\nmail_reply_to: help@example.com\ncode_in_subject: false\n%s",
		listen, operator, filepath.Join(p.dir, "data"), smtpURL, more)
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start()
	return p
}

// start starts it, again if it has ended, with a new log.
func (p *production) start() {
	p.t.Helper()
	p.log.Reset()
	p.new, p.all = make(chan struct{}), make(chan struct{})
	p.cmd = command(p.t.Context(), "serve", "--config", filepath.Join(p.dir, "stile.yaml"), "--make-master-key")
	stderr, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(p.all)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			p.log.WriteString(lines.Text() + "\n")
			close(p.new)
			p.new = make(chan struct{})
			p.mu.Unlock()
		}
	}()
	p.says("ready")
}

// says waits for a message in the log.
func (p *production) says(message string) {
	p.t.Helper()
	patience := time.After(time.Minute)
	for {
		p.mu.Lock()
		said, next := strings.Contains(p.log.String(), `"msg":"`+message+`"`), p.new
		p.mu.Unlock()
		if said {
			return
		}
		select {
		case <-next:
		case <-p.all:
			p.t.Fatalf("it ended, and did not say %q:\n%s", message, p.logged())
		case <-patience:
			p.t.Fatalf("it does not say %q:\n%s", message, p.logged())
		}
	}
}

func (p *production) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// status is that of a GET, 0 if nobody answers.
func (p *production) status(url string) int {
	res, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

func (p *production) ask(method, path, contentType, body string, header ...string) string {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		p.t.Fatalf("%s: %d %s, %v", path, res.StatusCode, data, err)
	}
	return string(data)
}

// ended waits for the process, and returns its exit status.
func (p *production) ended() int {
	p.t.Helper()
	<-p.all // Wait would close what it is read from
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

const pkce = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func (p *production) interact(client string, header ...string) string {
	p.t.Helper()
	sum := sha256.Sum256([]byte(pkce))
	var started map[string]string
	answer := p.ask("POST", p.url+"/oauth2/default/v1/interact", "application/x-www-form-urlencoded", url.Values{
		"client_id": {client}, "scope": {"openid profile email"}, "redirect_uri": {"https://app.example/cb"}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode(), header...)
	if err := json.Unmarshal([]byte(answer), &started); err != nil {
		p.t.Fatal(err)
	}
	return started["interaction_handle"]
}

func find(t *testing.T, pattern, in string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(in)
	if m == nil {
		t.Fatalf("no %s in %s", pattern, in)
	}
	return m[1]
}

// signUp makes an account by what the public listener and the mail say.
func (p *production) signUp(client, address string) (accessToken string) {
	p.t.Helper()
	step := func(action, format string, args ...any) string {
		return p.ask("POST", p.url+"/idp/idx/"+action, "application/json", fmt.Sprintf(format, args...))
	}
	h := find(p.t, `"stateHandle":"([^"]+)"`, step("introspect", `{"interactionHandle":%q}`, p.interact(client)))
	step("enroll", `{"stateHandle":%q}`, h)
	step("enroll/new", `{"stateHandle":%q,"userProfile":{"firstName":"Ada","lastName":"Lovelace","email":%q}}`, h, address)
	var letter string
	select {
	case letter = <-p.mail:
	case <-time.After(time.Minute):
		p.t.Fatal("no mail")
	}
	if subject := find(p.t, `(?m)^Subject: (.*)`, letter); regexp.MustCompile(`\d{6}`).MatchString(subject) {
		p.t.Errorf("the code is in the subject: %s", subject)
	}
	if !strings.Contains(letter, "Reply-To: <help@example.com>") || !strings.Contains(letter, "id@example.com") {
		p.t.Errorf("sender and reply-to:\n%s", letter)
	}
	doc := step("challenge/answer", `{"stateHandle":%q,"credentials":{"passcode":%q}}`, h, find(p.t, `\b(\d{6})\b`, letter[strings.Index(letter, "\r\n\r\n"):]))
	if strings.Contains(doc, "/idp/idx/skip") {
		doc = step("skip", `{"stateHandle":%q}`, h)
	}
	answer := p.ask("POST", p.url+"/oauth2/default/v1/token", "application/x-www-form-urlencoded", url.Values{
		"grant_type": {"interaction_code"}, "client_id": {client}, "code_verifier": {pkce},
		"interaction_code": {find(p.t, `"name":"interaction_code","required":true,"value":"([^"]+)"`, doc)},
	}.Encode())
	return find(p.t, `"access_token":"([^"]+)"`, answer)
}

// counted waits until the metrics have some lines: what became of a mail is written
// with the next commit, or soon after. It returns all of them.
func (p *production) counted(lines ...string) string {
	p.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for patience := time.After(30 * time.Second); ; {
		out := p.ask("GET", p.operator+"/metrics", "", "")
		if !slices.ContainsFunc(lines, func(l string) bool { return !strings.Contains(out, l) }) {
			return out
		}
		select {
		case <-again.C:
		case <-patience:
			p.t.Fatalf("metrics do not have all of %q:\n%s", lines, out)
		}
	}
}

func TestServe(t *testing.T) {
	p := produce(t, "trusted_proxies: 127.0.0.0/8\nhosts: [stile.internal]\naccess_token_alg: ES256\nshutdown_drain: 4s\n")
	data := " --data " + filepath.Join(p.dir, "data")
	stile(t, "clients add app --id app --public --redirect-uri https://app.example/cb"+data)
	token := p.signUp("app", "ada@example.com")
	head, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil || !bytes.Contains(head, []byte(`"ES256"`)) {
		t.Errorf("access token's header %s, %v", head, err)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 404, "/dev/inbox": 404, "/api/v1/users": 404} {
		if got := p.status(p.url + path); got != want {
			t.Errorf("public %s: %d", path, got)
		}
	}

	for host, want := range map[string]int{"stile.internal": 200, "evil.example": 421} { // SEC S-136
		r, err := http.NewRequestWithContext(t.Context(), "GET", p.url+"/oauth2/default/v1/keys", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("for %s: %d", host, res.StatusCode)
		}
	}

	// SEC S-111: the proxy's word on the client is what the audit log and the log have.
	p.interact("app", "X-Forwarded-For", "192.0.2.200, 203.0.113.5")
	out := p.counted(`stile_outbox_waiting 0`, `stile_outbox_tries_total{kind="mail",outcome="sent"} 1`)
	for _, want := range []string{
		`stile_http_request_duration_seconds_count{method="POST",route="/oauth2/default/v1/token",status="200"} 1`,
		`stile_ready 1`, `stile_store_commits_total{durable="true"} `,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("metrics have no %s", want)
		}
	}
	if strings.Contains(out, "ada@") || strings.Contains(out, "203.0.113.5") {
		t.Error("metrics have personal data")
	}

	// REL R-16: not ready first, while requests are answered; the one under way ends.
	slow, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	const body = "token=x&client_id=app"
	fmt.Fprintf(slow, "POST /oauth2/default/v1/revoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	answers := bufio.NewReader(slow)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // it waits for the body
		t.Fatalf("%q, %v", line, err)
	}
	if line, err := answers.ReadString('\n'); err != nil || strings.TrimSpace(line) != "" {
		t.Fatalf("%q, %v", line, err)
	}
	fmt.Fprint(slow, body[:5])
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.says("stopping")
	if got := p.status(p.url + "/readyz"); got != 503 {
		t.Errorf("it still says that it is ready: %d", got)
	}
	if got := p.status(p.url + "/healthz"); got != 200 {
		t.Errorf("while it drains: %d", got)
	}
	p.says("no more requests are taken")
	if got := p.status(p.url + "/healthz"); got != 0 {
		t.Errorf("it takes requests still: %d", got)
	}
	fmt.Fprint(slow, body[5:])
	res, err := http.ReadResponse(answers, nil)
	if err != nil || res.StatusCode != 200 || !res.Close {
		t.Errorf("the request under way: %+v, %v", res, err)
	}
	if code := p.ended(); code != 0 {
		t.Errorf("status %d:\n%s", code, p.logged())
	}
	if _, err := os.Stat(filepath.Join(p.dir, "data", "admin.sock")); err == nil {
		t.Error("the socket is left")
	}
	logged := p.logged()
	for _, want := range []string{
		`"msg":"request","method":"POST","route":"/oauth2/default/v1/interact","status":200,"ms":`, `"ip":"203.0.113.5"`, `"msg":"stopping"`, `"msg":"stopped"`,
	} {
		if !strings.Contains(logged, want) {
			t.Errorf("the log has no %s", want)
		}
	}
	for _, secret := range []string{"ada@example.com", token, "192.0.2.200", pkce} {
		if strings.Contains(logged, secret) {
			t.Errorf("the log has %s", secret)
		}
	}
	stile(t, "audit verify"+data, `Nothing was removed, changed, inserted or moved\.`)
}

// A second signal ends the process at once, and the next start finds all in order.
func TestREL_R16_SecondSignal(t *testing.T) {
	p := produce(t, "shutdown_drain: 60s\n")
	for range 2 {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p.says("stopping")
	}
	if code := p.ended(); code != -1 {
		t.Errorf("status %d", code)
	}
	stile(t, "users list --data "+filepath.Join(p.dir, "data"))
}

func TestServeRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	base := "serve --public-url https://id.example.com --smtp smtp://127.0.0.1:1 --mail-from id@example.com --data " + dir
	stile(t, base, `stile: cannot start: master_key_file: there is no \S+/master.key; if this is the first start, add --make-master-key, .*`)
	stile(t, base+" --make-master-key --check", `The settings are in order\.`)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("--check wrote %v, %v", entries, err)
	}
	stile(t, base+" --make-master-key --check --connect", `stile: cannot start: --smtp: .*connection refused`)
	stile(t, base+" --make-master-key --connect", `stile: cannot start: connect: goes together with --check`)
	stile(t, base+" --make-master-key --mail-from x --mail-reply-to y --smtp http://h", `stile: cannot start, for 3 reasons:`)

	key := filepath.Join(dir, "master.key")
	if err := os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	stile(t, base+" --check", `The settings are in order\.`)
	for name, mode := range map[string]os.FileMode{key: 0o640, dir: 0o705} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		stile(t, base+" --check", `stile: cannot start: (master_key_file|data|--data): others can (read|enter) .*; run: chmod .*`)
		if err := os.Chmod(name, map[string]os.FileMode{key: 0o600, dir: 0o700}[name]); err != nil {
			t.Fatal(err)
		}
	}
	stile(t, base+" --check --tls-key "+key+" --tls-cert "+key, `stile: cannot start: --tls-cert: tls: .*`)
}

// What sends texts is looked through before anything starts.
func TestServeRefuses_Phones(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	gateway := filepath.Join(t.TempDir(), "gateway.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(gateway, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base := "serve --make-master-key --check --public-url https://id.example.com --smtp smtp://127.0.0.1:1 --mail-from id@example.com --data " + dir +
		" --telephony-gateway " + gateway
	stile(t, base+" --phone-countries DE", `stile: cannot start: --telephony-gateway: open .*: no such file.*`)
	write("sms: {url: 'https://gateway.example/send', form: {to: '{{.To}}', text: '{{.Text}}'}}")
	stile(t, base, `stile: cannot start: phone_countries: is needed; .*`)
	stile(t, base+" --phone-countries Atlantis", `stile: cannot start: --phone-countries: "Atlantis" is not a country .*`)
	stile(t, base+" --phone-countries DE --web-push-key x --web-push-subject ops", `stile: cannot start, for 2 reasons:(?s:.*)--web-push-key: not a key as stile web-push-key makes it(?s:.*)--web-push-subject: not of the form mailto:.*`)
	key := strings.TrimSpace(stile(t, "web-push-key"))
	stile(t, base+" --phone-countries DE --web-push-subject mailto:ops@example.com --web-push-hosts *.example.com --web-push-key "+key, `The settings are in order\.`)
	stile(t, base+" --phone-countries DE --web-push-subject https://example.com --web-push-hosts localhost --web-push-key "+key, `stile: cannot start: --web-push-hosts: "localhost" is not a name of a host.*`)
	stile(t, base+" --phone-countries DE --phone-methods voice", `stile: cannot start: --phone-methods: telephony_gateway does not say how to do voice`)
	stile(t, base+" --phone-countries DE,AT", `The settings are in order\.`)
	stile(t, base+" --phone-countries DE --telephony-hook http://hook.example --telephony-hook-secret hush",
		`stile: cannot start: --telephony-hook: must begin with https://.*`)
	write("sms: {url: 'https://gateway.example/send', form: {to: '{{.Number}}'}}")
	stile(t, base+" --phone-countries DE", `stile: cannot start: --telephony-gateway: sms: form: to: a template can say .*`)
}

// Two nodes on one PostgreSQL: what one has begun holds at the other once it has stopped.
func TestServeNodes(t *testing.T) {
	database := "database: " + pgtest.Database(t) + "\nshutdown_drain: 0s\n"
	one := produce(t, database)
	key := filepath.Join(one.dir, "data", "master.key")
	two := produce(t, database+"master_key_file: "+key+"\n")
	stile(t, "clients add app --id app --public --redirect-uri https://app.example/cb --data "+filepath.Join(one.dir, "data"))
	token := one.signUp("app", "ada@example.com")
	if err := one.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := one.ended(); code != 0 {
		t.Errorf("status %d:\n%s", code, one.logged())
	}
	if who := two.ask("GET", two.url+"/oauth2/default/v1/userinfo", "", "", "Authorization", "Bearer "+token); !strings.Contains(who, "ada@example.com") {
		t.Errorf("at the other node: %s", who)
	}
	if err := two.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := two.ended(); code != 0 {
		t.Errorf("status %d:\n%s", code, two.logged())
	}

	file := filepath.Join(one.dir, "stile.yaml")
	stile(t, "serve --check --connect --config "+file, `The settings are in order\.`)
	// Another key than the one that the database was begun with opens nothing.
	if err := os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	c := command(t.Context(), "serve", "--config", file)
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "the database was begun under another one than that of "+key) {
		t.Errorf("another key: %v\n%s", err, out)
	}
}

// Variables of other commands do not keep `stile serve` from starting; one that nothing
// reads does.
func TestServeVariables(t *testing.T) {
	k, err := kong.New(&cli)
	if err != nil {
		t.Fatal(err)
	}
	var environ []string
	err = kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			for _, name := range flag.Envs {
				environ = append(environ, name+"=x")
			}
		}
		return next(nil)
	})
	if err != nil || len(environ) < 40 {
		t.Fatalf("%d variables, %v", len(environ), err)
	}
	if unknown := config.UnknownVariables(environ); len(unknown) > 0 {
		t.Errorf("%v are variables of a command", unknown)
	}
	t.Setenv("STILE_TRUSTED_PROXY", "10.0.0.0/8")
	stile(t, "serve --check --make-master-key --public-url https://id.example.com --smtp smtp://127.0.0.1:1 --mail-from id@example.com --data "+t.TempDir(),
		`stile: cannot start(?s:.*)STILE_TRUSTED_PROXY: there is no such setting(?s:.*)`)
}
