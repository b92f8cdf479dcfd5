package webpush

import (
	"cmp"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// A Subscription is where a browser can be woken: an address at the push service of
// its maker, and what only that browser can read messages with (Push API §8).
type Subscription struct {
	Endpoint string `json:"endpoint"`
	Keys     struct {
		P256DH string `json:"p256dh"`
		Auth   string `json:"auth"`
	} `json:"keys"`
	// Key is the one that the browser has subscribed for: its service takes messages of
	// no other.
	Key string `json:"applicationServerKey,omitempty"`
}

const (
	maxEndpoint = 2048
	authSecret  = 16 // bytes (RFC 8291 §3.2)
)

// ErrSubscription refuses what is no subscription, or one at a place where nothing is sent.
var ErrSubscription = errors.New("webpush: not a subscription at a push service")

// Read checks what a device says is its subscription, and returns it as it is kept.
// The address is one that the device chose: it must be a name at https (SEC S-125).
// Where that leads is looked at when it is dialled.
func (s *Sender) Read(data []byte) ([]byte, error) {
	var sub Subscription
	if json.Unmarshal(data, &sub) != nil || !s.allowed(sub.Endpoint) {
		return nil, ErrSubscription
	}
	if sub.Key = cmp.Or(sub.Key, s.Key()); sub.Key != s.Key() { // by a page of before
		return nil, ErrSubscription
	}
	key, err := decode(sub.Keys.P256DH)
	if err != nil {
		return nil, ErrSubscription
	}
	if _, err := ecdh.P256().NewPublicKey(key); err != nil {
		return nil, ErrSubscription
	}
	if secret, err := decode(sub.Keys.Auth); err != nil || len(secret) != authSecret {
		return nil, ErrSubscription
	}
	return json.Marshal(sub)
}

// Wakes reports whether a subscription that was kept is of use still: the key or the list
// of hosts may be another by now.
func (s *Sender) Wakes(kept []byte) bool {
	_, ok := s.usable(kept)
	return ok
}

func (s *Sender) usable(kept []byte) (Subscription, bool) {
	var sub Subscription
	ok := json.Unmarshal(kept, &sub) == nil && sub.Key == s.Key() && s.allowed(sub.Endpoint)
	return sub, ok
}

func decode(text string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}

// allowed reports whether messages go to an address: always asked anew, since the list
// of hosts may be another by now.
func (s *Sender) allowed(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || len(endpoint) > maxEndpoint || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	host := strings.ToLower(u.Hostname())
	if s.anywhere {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil || u.Port() != "" && u.Port() != "443" || !strings.Contains(host, ".") {
		return false
	}
	for _, h := range s.hosts {
		if host == h || strings.HasPrefix(h, "*.") && strings.HasSuffix(host, h[1:]) {
			return true
		}
	}
	return len(s.hosts) == 0
}

// hostOf is as much of an address as logs have: with the rest anybody could wake the device.
func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// CheckHost admits a name, or "*." and a name for all below it.
func CheckHost(h string) error {
	name := strings.TrimPrefix(h, "*.")
	u, err := url.Parse("https://" + name)
	if err != nil || u.Host != name || u.Port() != "" || !strings.Contains(name, ".") || strings.Contains(name, "*") || name != strings.ToLower(name) {
		return errors.New("webpush: not a name of a host, such as updates.push.services.mozilla.com or *.push.apple.com")
	}
	return nil
}
