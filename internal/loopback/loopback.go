// Package loopback finds places on the loopback interface for the servers that tests
// start.
package loopback

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Port returns the number of a TCP port where nobody listens. It is none of those
// that systems give to whoever asks for any, so no socket of another test takes it
// before the server that it is for.
func Port() (string, error) {
	for range 1000 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000)) // Linux gives those from 32768, others from 49152
		if l, err := net.Listen("tcp", net.JoinHostPort("localhost", port)); err == nil {
			return port, l.Close()
		}
	}
	return "", errors.New("no port is free")
}

// Address is 127.0.0.1 with a port of Port.
func Address(t testing.TB) string {
	t.Helper()
	port, err := Port()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", port)
}
