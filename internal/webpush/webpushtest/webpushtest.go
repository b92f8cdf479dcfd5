// Package webpushtest is a push service for tests: it takes messages as one on the
// network does, and reads them as a browser would.
package webpushtest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Push is one message that was taken.
type Push struct {
	Path    string // of the subscription
	Text    string
	Length  int // of the body, encrypted
	TTL     string
	Urgency string
	Key     string // that it was signed with, as browsers subscribe with it
	Subject string
}

// A Service is a push service.
type Service struct {
	*httptest.Server
	// Pushes are the messages that were taken and could be read.
	Pushes chan Push

	mu       sync.Mutex
	browsers map[string]*browser // by path
	statuses []int               // of the next answers; then 201
	asked    int
}

type browser struct {
	key  *ecdh.PrivateKey
	auth []byte
}

// New starts a service until the test ends. A message that is not as it must be fails the test.
func New(tb testing.TB) *Service {
	tb.Helper()
	s := &Service{Pushes: make(chan Push, 100), browsers: map[string]*browser{}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := s.next()
		if status == http.StatusFound {
			w.Header().Set("Location", s.URL+"/elsewhere")
		}
		p, err := s.read(r)
		if err != nil {
			tb.Errorf("webpushtest: %v", err)
			status = http.StatusBadRequest
		}
		w.WriteHeader(status)
		if status == http.StatusCreated {
			s.Pushes <- p
		}
	}))
	tb.Cleanup(s.Close)
	return s
}

// Answer has the next messages answered with statuses in place of 201.
func (s *Service) Answer(statuses ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statuses = statuses
}

// Asked counts the messages that came, taken or not.
func (s *Service) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *Service) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if len(s.statuses) == 0 {
		return http.StatusCreated
	}
	status := s.statuses[0]
	s.statuses = s.statuses[1:]
	return status
}

// Subscribe makes a subscription, as PushSubscription.toJSON() of a browser.
func (s *Service) Subscribe(tb testing.TB) (subscription map[string]any, path string) {
	tb.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatalf("webpushtest: %v", err)
	}
	b, path := &browser{key: key, auth: make([]byte, 16)}, "/push/"+rand.Text()
	_, _ = rand.Read(b.auth) // which never fails
	s.mu.Lock()
	s.browsers[path] = b
	s.mu.Unlock()
	return map[string]any{"endpoint": s.URL + path, "expirationTime": nil, "keys": map[string]any{
		"p256dh": encode(key.PublicKey().Bytes()), "auth": encode(b.auth),
	}}, path
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// read checks who sends (RFC 8292), and decrypts (RFC 8291).
func (s *Service) read(r *http.Request) (Push, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return Push{}, err
	}
	s.mu.Lock()
	b := s.browsers[r.URL.Path]
	s.mu.Unlock()
	if b == nil || r.Method != http.MethodPost || r.Header.Get("Content-Encoding") != "aes128gcm" {
		return Push{}, fmt.Errorf("%s %s, %s", r.Method, r.URL.Path, r.Header.Get("Content-Encoding"))
	}
	p := Push{Path: r.URL.Path, Length: len(body), TTL: r.Header.Get("TTL"), Urgency: r.Header.Get("Urgency")}
	if p.Key, p.Subject, err = s.vapid(r.Header.Get("Authorization")); err != nil {
		return p, err
	}
	p.Text, err = b.decrypt(body)
	return p, err
}

func (s *Service) vapid(header string) (key, subject string, err error) {
	fields, ok := strings.CutPrefix(header, "vapid ")
	token, rest, _ := strings.Cut(fields, ",")
	token, t := strings.CutPrefix(strings.TrimSpace(token), "t=")
	key, k := strings.CutPrefix(strings.TrimSpace(rest), "k=")
	if !ok || !t || !k {
		return "", "", fmt.Errorf("authorization %q", header)
	}
	point, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		return "", "", err
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return "", "", err
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return "", "", err
	}
	payload, err := jws.Verify(public)
	if err != nil {
		return "", "", err
	}
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "", "", err
	}
	if left := time.Until(time.Unix(claims.Exp, 0)); claims.Aud != s.URL || left <= 0 || left > 24*time.Hour {
		return "", "", fmt.Errorf("for %s, ends in %s", claims.Aud, left)
	}
	return key, claims.Sub, nil
}

// decrypt reads one record (RFC 8188 §2, RFC 8291 §3.3).
func (b *browser) decrypt(body []byte) (string, error) {
	if len(body) < 21 || len(body) < 21+int(body[20]) || int(binary.BigEndian.Uint32(body[16:20])) < len(body)-21-int(body[20]) {
		return "", errors.New("no header of aes128gcm")
	}
	salt, point, sealed := body[:16], body[21:21+int(body[20])], body[21+int(body[20]):]
	sender, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return "", err
	}
	shared, err := b.key.ECDH(sender)
	if err != nil {
		return "", err
	}
	ikm, err := hkdf.Key(sha256.New, shared, b.auth, "WebPush: info\x00"+string(b.key.PublicKey().Bytes())+string(point), 32)
	if err != nil {
		return "", err
	}
	key, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return "", err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return "", err
	}
	plain, err := gcm.Open(nil, nonce, sealed, nil)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(plain), "\x00")
	text, last := strings.CutSuffix(text, "\x02")
	if !last {
		return "", errors.New("the record has no end")
	}
	return text, nil
}
