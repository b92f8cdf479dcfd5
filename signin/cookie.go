package signin

import (
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// cookies seals and names what the pages keep in the browser. A value is AES-256-GCM
// with the cookie's name as associated data, so none can be moved under another name.
type cookies struct {
	aead   cipher.AEAD
	prefix string // ends before the cookie's own part: "__Host-stile-1a2b3c4d-"
	secure bool
}

const (
	maxChunk  = 3600    // browsers take 4096 bytes of name, value and attributes
	maxChunks = 4       // of one value; proxies commonly take 8 KiB of headers in all
	maxPlain  = 1 << 16 // of one value, inflated
)

var errSealed = errors.New("signin: the cookie does not open")

// newCookies derives the sealing key from secret; an empty one gives a random
// key, which signs everyone out when the app restarts.
func newCookies(secret []byte, clientID string, secure bool) (*cookies, error) {
	if len(secret) == 0 {
		secret = make([]byte, 32)
		rand.Read(secret)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "stile signin cookies 1 "+clientID, 32)
	if err != nil {
		return nil, fmt.Errorf("signin: deriving the cookie key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("signin: cookie key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("signin: cookie key: %w", err)
	}
	// Ports do not separate cookies, so two apps on one host are told apart by name.
	id := sha256.Sum256([]byte(clientID))
	prefix := "stile-" + hex.EncodeToString(id[:4]) + "-"
	if secure {
		prefix = "__Host-" + prefix
	}
	return &cookies{aead: aead, prefix: prefix, secure: secure}, nil
}

func (c *cookies) seal(name string, v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("signin: sealing %s: %w", name, err)
	}
	var small bytes.Buffer
	w, err := flate.NewWriter(&small, flate.DefaultCompression)
	if err != nil {
		return "", fmt.Errorf("signin: sealing %s: %w", name, err)
	}
	w.Write(plain) // a bytes.Buffer takes everything
	w.Close()
	return base64.RawURLEncoding.EncodeToString(c.aead.Seal(nil, nil, small.Bytes(), []byte(name))), nil
}

func (c *cookies) open(name, text string, v any) error {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return errSealed
	}
	small, err := c.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return errSealed
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(small)), maxPlain))
	if err != nil {
		return errSealed
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return errSealed
	}
	return nil
}

func (c *cookies) cookie(name, value string, life time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: c.prefix + name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// put sets a sealed value that lasts for life, or with the browser's session if life is 0.
func (v *visit) put(name string, value any, life time.Duration) error {
	sealed, err := v.cookies.seal(name, value)
	if err != nil {
		return err
	}
	n := (len(sealed) + maxChunk - 1) / maxChunk
	if n > maxChunks {
		return fmt.Errorf("signin: %s is too large for cookies: %d bytes", name, len(sealed))
	}
	for i := range maxChunks {
		switch part := chunkName(name, i); {
		case i < n:
			chunk := sealed[i*maxChunk : min((i+1)*maxChunk, len(sealed))]
			if i == 0 {
				chunk = strconv.Itoa(n) + "." + chunk
			}
			v.set(v.cookies.cookie(part, chunk, life))
		default:
			v.drop(part)
		}
	}
	return nil
}

// get opens a value that the browser sent, or that this visit has put.
func (v *visit) get(name string, value any) error {
	first, ok := v.sent(chunkName(name, 0))
	if !ok {
		return http.ErrNoCookie
	}
	count, sealed, _ := strings.Cut(first, ".")
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > maxChunks {
		return errSealed
	}
	for i := 1; i < n; i++ {
		chunk, ok := v.sent(chunkName(name, i))
		if !ok {
			return errSealed
		}
		sealed += chunk
	}
	return v.cookies.open(name, sealed, value)
}

func (v *visit) remove(name string) {
	for i := range maxChunks {
		v.drop(chunkName(name, i))
	}
}

func chunkName(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "." + strconv.Itoa(i)
}

// drop takes a cookie back, if the browser has it.
func (v *visit) drop(part string) {
	if _, ok := v.sent(part); ok {
		v.set(v.cookies.cookie(part, "", -time.Second))
	}
}

func (v *visit) set(c *http.Cookie) {
	for i, have := range v.setting {
		if have.Name == c.Name {
			v.setting[i] = c
			return
		}
	}
	v.setting = append(v.setting, c)
}

func (v *visit) sent(part string) (string, bool) {
	name := v.cookies.prefix + part
	for _, c := range v.setting {
		if c.Name == name {
			return c.Value, c.MaxAge >= 0
		}
	}
	c, err := v.r.Cookie(name)
	if err != nil {
		return "", false
	}
	return c.Value, true
}
