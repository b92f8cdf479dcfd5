package signin

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A color is an opaque sRGB colour.
type color struct{ r, g, b uint8 }

var (
	black = color{0, 0, 0}
	white = color{255, 255, 255}
)

// parseColor reads "#rgb" and "#rrggbb".
func parseColor(s string) (color, error) {
	hex, ok := strings.CutPrefix(s, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	n, err := strconv.ParseUint(hex, 16, 32)
	if !ok || len(hex) != 6 || err != nil {
		return color{}, fmt.Errorf("signin: %q is no colour like #1f6f54", s)
	}
	return color{uint8(n >> 16), uint8(n >> 8), uint8(n)}, nil
}

func (c color) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// luminance is the relative luminance of WCAG 2.2.
func (c color) luminance() float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.r) + 0.7152*linear(c.g) + 0.0722*linear(c.b)
}

// contrast is WCAG's ratio, from 1 to 21.
func contrast(a, b color) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// onTop is black or white, whichever reads better on c. One of them always
// reaches 4.5:1 (UX G27).
func onTop(c color) color {
	if contrast(c, white) >= contrast(c, black) {
		return white
	}
	return black
}

// readable makes c darker or lighter, keeping its hue, until it reaches ratio
// against every ground; of the two ways, the shorter.
func readable(c color, ratio float64, grounds ...color) color {
	hue, saturation, lightness := c.hsl()
	for step := 0.0; step <= 1; step += 0.01 {
		for _, l := range []float64{lightness - step, lightness + step} {
			m := c
			if step > 0 {
				m = fromHSL(hue, saturation, min(1, max(0, l)))
			}
			if !slices.ContainsFunc(grounds, func(g color) bool { return contrast(m, g) < ratio }) {
				return m
			}
		}
	}
	return onTop(grounds[0])
}

// hsl gives hue in sixths of the circle, saturation and lightness from 0 to 1.
func (c color) hsl() (h, s, l float64) {
	r, g, b := float64(c.r)/255, float64(c.g)/255, float64(c.b)/255
	high, low := max(r, g, b), min(r, g, b)
	l = (high + low) / 2
	d := high - low
	if d == 0 {
		return 0, 0, l
	}
	s = d / (1 - math.Abs(2*l-1))
	switch high {
	case r:
		h = math.Mod((g-b)/d+6, 6)
	case g:
		h = (b-r)/d + 2
	default:
		h = (r-g)/d + 4
	}
	return h, s, l
}

func fromHSL(h, s, l float64) color {
	d := (1 - math.Abs(2*l-1)) * s
	x := d * (1 - math.Abs(math.Mod(h, 2)-1))
	parts := [][3]float64{{d, x, 0}, {x, d, 0}, {0, d, x}, {0, x, d}, {x, 0, d}, {d, 0, x}}[int(h)%6]
	at := func(v float64) uint8 { return uint8(math.Round(min(1, max(0, v+l-d/2)) * 255)) }
	return color{at(parts[0]), at(parts[1]), at(parts[2])}
}

// A scheme holds the two grounds of the style sheet that the brand's colour meets.
type scheme struct {
	ground, card color
	ink          float64 // contrast of links; more than the 4.5 that must be, where that looks dull
}

var (
	light = scheme{color{0xf3, 0xf5, 0xf4}, white, 4.5}
	dark  = scheme{color{0x11, 0x14, 0x13}, color{0x1a, 0x1f, 0x1d}, 5.5}
)

// palette gives the custom properties of the brand's colour: the button, the text
// on it, the button's edge, and the shade for links and focus.
func palette(accent color, s scheme) string {
	ink := readable(accent, s.ink, s.card, s.ground)
	fill, edge := accent, accent
	if contrast(accent, s.card) < 3 {
		if s == dark {
			fill, edge = ink, ink
		} else {
			edge = ink
		}
	}
	return fmt.Sprintf("--accent:%s;--on-accent:%s;--accent-edge:%s;--accent-ink:%s;", fill, onTop(fill), edge, ink)
}

func paletteCSS(accent color) string {
	return ":root{" + palette(accent, light) + "}\n" +
		"@media (prefers-color-scheme:dark){:root{" + palette(accent, dark) + "}}\n"
}
