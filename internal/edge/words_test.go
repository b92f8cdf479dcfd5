package edge_test

import (
	"testing"

	"github.com/stile-id/stile/internal/edge"
)

func TestWords(t *testing.T) {
	w := edge.NewWords([]byte(`{"hello": "Hello {name}, {name} of {place}", "plain": "{name}"}`))
	for _, tt := range []struct {
		key, want string
		pairs     []string
	}{
		{"hello", "Hello Ada, Ada of {name}", []string{"name", "Ada", "place", "{name}"}},
		{"plain", "{name}", nil},
		{"none", "", []string{"name", "Ada"}},
	} {
		if got := w.Say(tt.key, tt.pairs...); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.key, got, tt.want)
		}
	}
}
