package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/config"
)

// issue writes a certificate with a serial number, of a time that tells it from the one before.
func issue(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"id.example.com"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1e9+serial, 0)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// A renewed certificate is taken up without a start; one that cannot be read is not.
func TestCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	c, err := newCertificate(firstOf(issue(t, dir, 1)), filepath.Join(dir, "key.pem"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	issue(t, dir, 2)
	if serial() != 1 {
		t.Error("the files are looked at for each connection")
	}
	for _, step := range []struct{ change, want int64 }{{2, 2}, {0, 2}, {3, 3}} {
		if step.change == 0 {
			if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		} else {
			issue(t, dir, step.change)
		}
		c.looked = time.Time{}
		if got := serial(); got != step.want {
			t.Errorf("certificate %d, want %d", got, step.want)
		}
	}
}

func firstOf(a, _ string) string { return a }

// aliveOverTLS serves what is alive with a certificate, as an engine does, and returns
// the address.
func aliveOverTLS(t *testing.T, cert, key string) (address string) {
	t.Helper()
	n := &node{settings: &config.Settings{}, limits: serveLimits, log: slog.New(slog.DiscardHandler), failed: make(chan error, 1)}
	c, err := newCertificate(cert, key, n.log)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(http.HandlerFunc(alive), serveLimits, n.log)
	s.TLSConfig = c.config()
	n.serve(s, l)
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}

func TestSEC_S134_TLS(t *testing.T) {
	cert, key := issue(t, t.TempDir(), 1)
	l := aliveOverTLS(t, cert, key)
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", l, &tls.Config{
			InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version, NextProtos: []string{"h2"},
		})
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			if p := conn.ConnectionState().NegotiatedProtocol; p != "h2" {
				t.Errorf("protocol %q", p)
			}
			_ = conn.Close()
		}
	}
}
