package accent

import (
	"testing"

	"pgregory.net/rapid"
)

func TestUX_G27_Contrast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rgb{}
		for i := range c {
			c[i] = float64(rapid.IntRange(0, 255).Draw(t, "channel"))
		}
		if got := contrast(c, c.ink()); got < 4.5 {
			t.Errorf("ink on %s reaches %.2f", c, got)
		}
		for _, ground := range []rgb{lightCard, darkCard} {
			if got := contrast(c.readableOn(ground), ground); got < 4.5 {
				t.Errorf("%s for %s on %s reaches %.2f", c.readableOn(ground), c, ground, got)
			}
		}
		if back, ok := parseColor(c.String()); !ok || back != c {
			t.Errorf("%s reads as %s", c, back)
		}
	})
	for _, bad := range []string{"", "#", "red", "#1234", "#12345", "#1234567", "#12345g", "1234567", "#+12345"} {
		if _, ok := parseColor(bad); ok {
			t.Errorf("%q was taken for a colour", bad)
		}
	}
}
