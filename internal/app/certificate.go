package app

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// A certificate is that of two files, which are read again once they have
// changed: certificates are renewed while the engine runs.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	looked  time.Time
	changed [2]time.Time // of the files that current was read from
	current *tls.Certificate
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = 10 * time.Second

func newCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log}
	return c, c.read()
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}

// get goes on with the old certificate where the new one cannot be read.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= lookEvery {
		if err := c.read(); err != nil {
			c.log.Error("the new certificate is not used", "err", err)
		}
	}
	return c.current, nil
}

func (c *certificate) read() error {
	c.looked = time.Now()
	var changed [2]time.Time
	for i, name := range []string{c.cert, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		changed[i] = info.ModTime()
	}
	if changed == c.changed {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	c.changed, c.current = changed, &pair
	return nil
}
