package stiletest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

// A Phone is a device that approves sign-ins, as the web app on a person's phone
// does (docs/device-api.md). It holds one account.
type Phone struct {
	Device  string // id that the engine gave it
	Account string // address
	App     string // on the way to which it was added

	e      *Engine
	key    *ecdsa.PrivateKey
	secret []byte
}

// A PhoneRequest is a sign-in that a phone is asked to approve.
type PhoneRequest struct {
	ID      string   `json:"request"`
	App     string   `json:"app"`
	Purpose string   `json:"purpose"` // "sign-in", "recovery", "unlock"
	Browser string   `json:"browser"`
	IP      string   `json:"ip"`
	Numbers []string `json:"numbers"`
}

// NewPhone makes one that no account knows yet.
func (e *Engine) NewPhone(tb testing.TB) *Phone {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("stiletest: key of a phone: %v", err)
	}
	return &Phone{e: e, key: key}
}

// Phone adds a new phone to the account that a link belongs to: that of the QR code,
// which the page has too, or of the mail.
func (e *Engine) Phone(tb testing.TB, link string) *Phone {
	tb.Helper()
	p := e.NewPhone(tb)
	if status, body := p.Enroll(tb, link, "Phone"); status != http.StatusOK {
		tb.Fatalf("stiletest: the phone was not added: %d %s", status, body)
	}
	return p
}

// At is the same phone with an engine that goes on where its own was stopped (Dir).
func (p *Phone) At(e *Engine) *Phone {
	there := *p
	there.e = e
	return &there
}

// Enroll opens a link, and returns the engine's answer.
func (p *Phone) Enroll(tb testing.TB, link, name string) (status int, body []byte) {
	tb.Helper()
	u, err := url.Parse(link)
	if err != nil {
		tb.Fatalf("stiletest: link: %v", err)
	}
	x, y := make([]byte, 32), make([]byte, 32)
	public, err := p.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		tb.Fatalf("stiletest: key of a phone: %v", err)
	}
	copy(x, public[1:33])
	copy(y, public[33:])
	jwk := map[string]any{"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)}
	status, body = p.Send(tb, "/device/v1/enroll", map[string]any{"jwk": jwk}, map[string]any{"token": u.Query().Get("t"), "name": name})
	var made struct{ Device, Account, App, Secret string }
	if status == http.StatusOK {
		err = json.Unmarshal(body, &made)
		p.Device, p.Account, p.App = made.Device, made.Account, made.App
	}
	if err == nil {
		p.secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(made.Secret)
	}
	if err != nil {
		tb.Fatalf("stiletest: answer to a new phone: %v", err)
	}
	return status, body
}

// Code is the one-time code that the phone shows after a while, or showed before.
func (p *Phone) Code(after time.Duration) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(p.e.Clock.Now().Add(after).Unix()/30))
	mac := hmac.New(sha1.New, p.secret)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000)
}

// Name is what the account calls the phone now.
func (p *Phone) Name(tb testing.TB) string {
	tb.Helper()
	status, body := p.Send(tb, "/device/v1/requests", nil, nil)
	var list struct{ Name string }
	if status != http.StatusOK || json.Unmarshal(body, &list) != nil {
		tb.Fatalf("stiletest: name of a phone: %d %s", status, body)
	}
	return list.Name
}

// Requests are those that the phone is asked to approve now, newest first.
func (p *Phone) Requests(tb testing.TB) []PhoneRequest {
	tb.Helper()
	status, body := p.Send(tb, "/device/v1/requests", nil, nil)
	var list struct{ Requests []PhoneRequest }
	if status != http.StatusOK || json.Unmarshal(body, &list) != nil {
		tb.Fatalf("stiletest: requests of a phone: %d %s", status, body)
	}
	return list.Requests
}

// Approve answers a request with the number that its owner sees in the browser, and
// returns what became of it: "approved", "wrong", or the error.
func (p *Phone) Approve(tb testing.TB, r PhoneRequest, number string) string {
	tb.Helper()
	return p.answer(tb, map[string]any{"request": r.ID, "approve": true, "number": number})
}

// Deny refuses a request. It returns "denied", or the error.
func (p *Phone) Deny(tb testing.TB, r PhoneRequest) string {
	tb.Helper()
	return p.answer(tb, map[string]any{"request": r.ID, "approve": false})
}

func (p *Phone) answer(tb testing.TB, claims map[string]any) string {
	tb.Helper()
	_, body := p.Send(tb, "/device/v1/answer", nil, claims)
	var out struct{ Result, Error string }
	if err := json.Unmarshal(body, &out); err != nil {
		tb.Fatalf("stiletest: answer to a phone: %v", err)
	}
	return out.Result + out.Error
}

// Send signs claims and posts them. header and claims are laid over what a genuine
// phone says.
func (p *Phone) Send(tb testing.TB, path string, header, claims map[string]any) (status int, body []byte) {
	tb.Helper()
	return p.Post(tb, path, p.Sign(tb, path, header, claims))
}

// Sign makes a statement for a path, and sends nothing.
func (p *Phone) Sign(tb testing.TB, path string, header, claims map[string]any) string {
	tb.Helper()
	h := map[string]any{"alg": "ES256", "typ": "stile-device+jwt"}
	if p.Device != "" {
		h["kid"] = p.Device
	}
	c := map[string]any{"htm": "POST", "htu": p.e.URL + path, "iat": p.e.Clock.Now().Unix(), "jti": rand.Text()}
	maps.Copy(h, header)
	maps.Copy(c, claims)
	var parts []string
	for _, v := range []map[string]any{h, c} {
		data, err := json.Marshal(v)
		if err != nil {
			tb.Fatalf("stiletest: statement: %v", err)
		}
		parts = append(parts, encode(data))
	}
	text := parts[0] + "." + parts[1]
	hash := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, hash[:])
	if err != nil {
		tb.Fatalf("stiletest: sign: %v", err)
	}
	return text + "." + encode(slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))))
}

// Post sends a statement as it is.
func (p *Phone) Post(tb testing.TB, path, statement string) (status int, body []byte) {
	tb.Helper()
	res, err := http.Post(p.e.URL+path, "application/jose", bytes.NewReader([]byte(statement)))
	if err != nil {
		tb.Fatalf("stiletest: phone: %v", err)
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil {
		tb.Fatalf("stiletest: phone: %v", err)
	}
	return res.StatusCode, body
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
