package authenticator

import "testing"

// Mail programs and word processors turn hyphens and spaces into others.
func TestAUTH_A43_BareCode(t *testing.T) {
	for typed, want := range map[string]string{
		"k3m4-8123-45wq-abcd":                            "k3m4812345wqabcd",
		" K3M4 8123\t45WQ\r\nABCD ":                      "k3m4812345wqabcd",
		"k3m4\u20118123\u201345wq\u00a0abcd\u200b\ufeff": "k3m4812345wqabcd",
		"OIL-oil": "011011",
		"":        "",
	} {
		if got := BareCode(typed); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}
