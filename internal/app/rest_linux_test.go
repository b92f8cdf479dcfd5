package app

import (
	"slices"
	"testing"
)

// What somebody wrote to, what is not the program's and what others see is left alone.
func TestProgramMappings(t *testing.T) {
	const clean = "Rss:               12636 kB\nAnonymous:             0 kB\nSwap:                  0 kB\nSwapPss:               0 kB\nVmFlags: rd ex mr mw me\n"
	for name, c := range map[string]struct {
		smaps string
		want  []mapping
	}{
		"code":      {"00400000-01287000 r-xp 00000000 08:01 77 /usr/bin/stile\n" + clean, []mapping{{0x400000, 0xe87000}}},
		"constants": {"02564000-02565000 r--p 02200000 08:01 77 /usr/bin/stile\n" + clean, []mapping{{0x2564000, 0x1000}}},
		"two": {
			"00400000-00401000 r-xp 00000000 08:01 77 /usr/bin/stile\n" + clean + "00401000-00402000 r--p 00001000 08:01 77 /usr/bin/stile\n" + clean,
			[]mapping{{0x400000, 0x1000}, {0x401000, 0x1000}},
		},
		"relocated":             {"01287000-0240c000 r--p 00e87000 08:01 77 /usr/bin/stile\nAnonymous: 4 kB\nSwap: 0 kB\n", nil},
		"relocated and swapped": {"01287000-0240c000 r--p 00e87000 08:01 77 /usr/bin/stile\nAnonymous: 0 kB\nSwap: 4 kB\n", nil},
		"in part":               {"01287000-0240c000 r--p 00e87000 08:01 77 /usr/bin/stile\nAnonymous: 4 kB\nSwap: 4 kB\n", nil},
		"swap is not told":      {"00400000-01287000 r-xp 00000000 08:01 77 /usr/bin/stile\nAnonymous: 0 kB\nSwapPss: 0 kB\n", nil},
		"told of the next one only": {
			"00400000-01287000 r-xp 00000000 08:01 77 /usr/bin/stile\nAnonymous: 0 kB\n01287000-0240c000 r--p 00e87000 08:01 77 /usr/bin/stile\nSwap: 0 kB\n", nil,
		},
		"data":         {"0240c000-02564000 rw-p 0200c000 08:01 77 /usr/bin/stile\n" + clean, nil},
		"shared":       {"02565000-02566000 r--s 02200000 08:01 77 /usr/bin/stile\n" + clean, nil},
		"a library":    {"7f00000000-7f00001000 r-xp 00000000 08:01 78 /usr/lib/libc.so\n" + clean, nil},
		"no file":      {"7f00002000-7f00003000 r--p 00000000 00:00 0\n" + clean, nil},
		"removed file": {"7f00003000-7f00004000 r-xp 00000000 08:01 77 /usr/bin/stile (deleted)\n" + clean, nil},
	} {
		if got := programMappings(c.smaps, "/usr/bin/stile"); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %x, want %x", name, got, c.want)
		}
	}
}

func TestReleaseProgram(t *testing.T) {
	if err := releaseProgram(); err != nil {
		t.Error(err)
	}
}
