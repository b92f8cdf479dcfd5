package password

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stile-id/stile/internal/policy"
)

func TestSEC_S48_CommonList(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(commonList, "\n"), "\n")
	if len(lines) < 10_000 {
		t.Errorf("the list has %d passwords, want 10,000", len(lines))
	}
	if !slices.IsSorted(lines) || len(slices.Compact(slices.Clone(lines))) != len(lines) {
		t.Error("the list is not sorted, or has doubles")
	}
	for _, p := range lines {
		if utf8.RuneCountInString(p) < policy.MinPasswordLength || fold(p) != p {
			t.Errorf("%q is too short to be chosen, or not folded", p)
		}
		if !isCommon(p) || !isCommon(strings.ToUpper(p)) {
			t.Errorf("%q is not found", p)
		}
	}
	for _, p := range []string{"", "\n", "a", "zzzzzzzzzzzzz~~", "\x00", "correct horse battery", lines[0] + "\n" + lines[1], lines[0][1:], "\U0010ffff"} {
		if isCommon(p) {
			t.Errorf("%q is found", p)
		}
	}
}

func BenchmarkIsCommon(b *testing.B) {
	for b.Loop() {
		isCommon("correct horse battery")
	}
}
