package keyring

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func ring(t testing.TB, b byte) *Keyring {
	t.Helper()
	k, err := New(bytes.Repeat([]byte{b}, MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestMasterSize(t *testing.T) {
	for _, n := range []int{0, 1, MasterSize - 1, MasterSize + 1, 2 * MasterSize} {
		if _, err := New(make([]byte, n)); err == nil {
			t.Errorf("a master key of %d bytes was accepted", n)
		}
	}
	a, b := Generate(), Generate()
	if len(a) != MasterSize || bytes.Equal(a, b) {
		t.Errorf("generated %x and %x", a, b)
	}
}

// The caller may wipe what it gave.
func TestMasterIsCopied(t *testing.T) {
	master := bytes.Repeat([]byte{1}, MasterSize)
	k, err := New(master)
	if err != nil {
		t.Fatal(err)
	}
	clear(master)
	if k.MAC("p", "x") != ring(t, 1).MAC("p", "x") {
		t.Error("the keyring changed with the caller's slice")
	}
}

func TestSEC_S102_RoundTrip(t *testing.T) {
	k := ring(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		purpose, id := rapid.String().Draw(t, "purpose"), rapid.String().Draw(t, "id")
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed := k.Seal(purpose, id, plain)
		got, err := k.Open(purpose, id, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("got %x, %v", got, err)
		}
		if len(plain) > 8 && bytes.Contains(sealed, plain) {
			t.Fatal("the plaintext shows")
		}
		if bytes.Equal(sealed, k.Seal(purpose, id, plain)) {
			t.Fatal("two seals are alike")
		}
	})
}

// A sealed value opens only where it was sealed: same column, same row, same
// master key, no byte changed.
func TestSEC_S102_MovedAndChanged(t *testing.T) {
	k := ring(t, 1)
	sealed := k.Seal("keys/private", "row-1", []byte("secret"))
	refused := func(name string, k *Keyring, purpose, id string, sealed []byte) {
		t.Helper()
		if got, err := k.Open(purpose, id, sealed); !errors.Is(err, ErrSealed) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	refused("another row", k, "keys/private", "row-2", sealed)
	refused("no row", k, "keys/private", "", sealed)
	refused("another column", k, "transactions/data", "row-1", sealed)
	refused("purpose and id swapped", k, "row-1", "keys/private", sealed)
	refused("another master key", ring(t, 2), "keys/private", "row-1", sealed)
	refused("nothing", k, "keys/private", "row-1", nil)
	for i := range sealed {
		changed := slices.Clone(sealed)
		changed[i] ^= 1
		refused("changed byte", k, "keys/private", "row-1", changed)
		refused("cut", k, "keys/private", "row-1", sealed[:i])
	}
	refused("lengthened", k, "keys/private", "row-1", append(slices.Clone(sealed), 0))
	if got, err := k.Open("keys/private", "row-1", sealed); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
}

// No two uses share a key: the same input gives unrelated output.
func TestSEC_S102_PurposesDiffer(t *testing.T) {
	k := ring(t, 1)
	seen := map[[32]byte]string{}
	for _, purpose := range []string{"", "a", "b", "mac/a", "seal/a", "a/", "flow/ic.", "oauth/refresh"} {
		mac := k.MAC(purpose, "x")
		if other, ok := seen[mac]; ok {
			t.Errorf("purposes %q and %q share a key", purpose, other)
		}
		seen[mac] = purpose
		if mac != ring(t, 1).MAC(purpose, "x") {
			t.Errorf("%q: another node of the same master key disagrees", purpose)
		}
		if mac == ring(t, 2).MAC(purpose, "x") {
			t.Errorf("%q: the master key does not matter", purpose)
		}
	}
	if bytes.Equal(k.derive("mac/p"), k.derive("seal/p")) {
		t.Error("a MAC key is a sealing key")
	}
}

// No two lists of parts give one MAC (SEC S-09).
func TestSEC_S09_MACIsInjective(t *testing.T) {
	k := ring(t, 1)
	// few letters and short parts, so that lists which join to one text are common
	parts := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', 0}), 0, 3, -1), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		if equal := k.MAC("p", a...) == k.MAC("p", b...); equal != slices.Equal(a, b) {
			t.Fatalf("%q and %q: equal MACs %v", a, b, equal)
		}
	})
	for _, pair := range [][2][]string{
		{{"ab", "c"}, {"a", "bc"}}, {{"abc"}, {"ab", "c"}}, {{}, {""}}, {{""}, {"", ""}}, {{"a"}, {"a", ""}},
		{{"a", "b"}, {"b", "a"}}, {{"\x00\x00\x00\x00\x00\x00\x00\x01a"}, {"", "a"}},
	} {
		if k.MAC("p", pair[0]...) == k.MAC("p", pair[1]...) {
			t.Errorf("%q and %q have one MAC", pair[0], pair[1])
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	k := ring(t, 1)
	want := ring(t, 1).MAC("p", "x")
	done := make(chan bool)
	for range 8 {
		go func() {
			sealed := k.Seal("s", "1", []byte("x"))
			_, err := k.Open("s", "1", sealed)
			done <- err == nil && k.MAC("p", "x") == want
		}()
	}
	for range 8 {
		if !<-done {
			t.Error("wrong under concurrency")
		}
	}
}
