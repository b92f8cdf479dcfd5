package app

import (
	"slices"
	"testing"
)

// What somebody wrote to, what is not the program's and what others see is left alone.
func TestProgramMappings(t *testing.T) {
	const smaps = `00400000-01287000 r-xp 00000000 08:01 77 /usr/bin/stile
Rss:               12636 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
01287000-0240c000 r--p 00e87000 08:01 77 /usr/bin/stile
Anonymous:             4 kB
0240c000-02564000 rw-p 0200c000 08:01 77 /usr/bin/stile
Anonymous:             0 kB
02564000-02565000 r--p 02200000 08:01 77 /usr/bin/stile
Anonymous:             0 kB
02565000-02566000 r--s 02200000 08:01 77 /usr/bin/stile
Anonymous:             0 kB
7f00000000-7f00001000 r-xp 00000000 08:01 78 /usr/lib/libc.so
Anonymous:             0 kB
7f00002000-7f00003000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f00003000-7f00004000 r-xp 00000000 08:01 77 /usr/bin/stile (deleted)
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0xe87000}, {0x2564000, 0x1000}}
	if got := programMappings(smaps, "/usr/bin/stile"); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if err := releaseProgram(); err != nil {
		t.Error(err)
	}
}
