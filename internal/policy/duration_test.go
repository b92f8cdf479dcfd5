package policy

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDurationText(t *testing.T) {
	for text, want := range map[string]Duration{
		"0s": 0, "90s": Duration(90 * time.Second), "1m": Minutes(1), "90m": Minutes(90), "2h": Hours(2), "36h": Hours(36), "1d": Days(1),
		"30d": Days(30), "36500d": Days(36500), "500ms": Duration(500 * time.Millisecond), "1m0.5s": Duration(60500 * time.Millisecond),
	} {
		var got Duration
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got.Std(), err)
		}
		if back, err := want.MarshalText(); err != nil || string(back) != text {
			t.Errorf("%v is written %s, %v; want %s", want.Std(), back, err, text)
		}
	}
	for text, want := range map[string]Duration{"24h": Days(1), "60s": Minutes(1), "1h30m": Minutes(90), "0d": 0, "0": 0} {
		var got Duration
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got.Std(), err)
		}
	}
	for _, text := range []string{"", "d", "5", "-1d", "-5m", "1.5d", "36501d", "876001h", "99999999999999999999d", "9999999h", "1d12h", "1w", "ten minutes", " 1m"} {
		var got Duration
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, got.Std())
		}
	}
}

func TestDurationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]Duration{1, Duration(time.Second), Minutes(1), Hours(1), Days(1)}).Draw(t, "unit")
		want := Duration(rapid.Int64Range(0, int64(Days(maxDays)/unit)).Draw(t, "n")) * unit
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Duration
		if err := json.Unmarshal(b, &got); err != nil || got != want {
			t.Fatalf("%v is written %s and read as %v, %v", want.Std(), b, got.Std(), err)
		}
	})
}
