// Package accent puts the colour of a brand where it can be read: on buttons, on links,
// on light and dark grounds (WCAG 2.2, AA).
package accent

import (
	"encoding/hex"
	"fmt"
	"image/color"
	"math"
	"strings"
	"sync"
)

// Default colours the button and links of an app without a colour of its own, as it
// does on the sign-in pages.
const Default = "#1d6b52"

// The grounds of the card of mails and pages, those of the sign-in pages.
var (
	lightCard = rgb{0xff, 0xff, 0xff}
	darkCard  = rgb{0x1a, 0x1f, 0x1d}
)

type rgb [3]float64

// parseColor reads "#rgb" and "#rrggbb".
func parseColor(s string) (c rgb, ok bool) {
	digits, ok := strings.CutPrefix(s, "#")
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != 3 {
		return c, false
	}
	return rgb{float64(b[0]), float64(b[1]), float64(b[2])}, true
}

func (c rgb) String() string {
	return fmt.Sprintf("#%02x%02x%02x", uint8(c[0]+0.5), uint8(c[1]+0.5), uint8(c[2]+0.5))
}

// luminance is the relative luminance of WCAG 2.2.
func (c rgb) luminance() float64 {
	var v rgb
	for i, x := range c {
		x /= 255
		if x <= 0.04045 {
			v[i] = x / 12.92
		} else {
			v[i] = math.Pow((x+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*v[0] + 0.7152*v[1] + 0.0722*v[2]
}

func contrast(a, b rgb) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// ink is black or white, whichever reads better on c.
func (c rgb) ink() rgb {
	black, white := rgb{}, rgb{255, 255, 255}
	if contrast(c, white) >= contrast(c, black) {
		return white
	}
	return black
}

// readableOn moves c towards black or white until text in it reaches 4.5:1 on ground.
func (c rgb) readableOn(ground rgb) rgb {
	towards := ground.ink()
	for step := 0.0; step <= 1; step += 0.05 {
		var m rgb
		for i := range m {
			m[i] = math.Round(c[i] + (towards[i]-c[i])*step)
		}
		if contrast(m, ground) >= 4.5 {
			return m
		}
	}
	return towards
}

// Colors are what templates need of a brand's colour: the button with the text on it,
// and links, in light and dark.
type Colors struct {
	Accent, Ink, LinkColor              string
	AccentOnDark, InkOnDark, LinkOnDark string
}

// Button is the button and the text on it, for a picture, on light grounds.
func (c Colors) Button() (ground, ink color.NRGBA) {
	return nrgba(c.Accent), nrgba(c.Ink)
}

func nrgba(s string) color.NRGBA {
	c, _ := parseColor(s)
	return color.NRGBA{uint8(c[0]), uint8(c[1]), uint8(c[2]), 0xff}
}

// known are those that were asked for: there are as many as brands.
var known sync.Map // of colour to Colors

// Of makes them of "#rrggbb" or "#rgb"; of anything else, those of the default.
func Of(brand string) Colors {
	if c, ok := known.Load(brand); ok {
		return c.(Colors)
	}
	c := compute(brand)
	known.Store(brand, c)
	return c
}

func compute(brand string) Colors {
	c, ok := parseColor(brand)
	if !ok {
		c, _ = parseColor(Default)
	}
	dark := c
	if contrast(c, darkCard) < 3 { // the button itself would not stand out
		dark = c.readableOn(darkCard)
	}
	return Colors{
		Accent: c.String(), Ink: c.ink().String(), LinkColor: c.readableOn(lightCard).String(),
		AccentOnDark: dark.String(), InkOnDark: dark.ink().String(), LinkOnDark: c.readableOn(darkCard).String(),
	}
}
