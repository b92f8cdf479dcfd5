package app

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseProgram lets go of the pages of the program's own file, code and constants,
// of which the system maps sixteen around each one that is touched. They are read in
// again where they are needed.
func releaseProgram() error {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return err
	}
	for _, m := range programMappings(string(maps), self) {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.size, unix.MADV_DONTNEED); errno != 0 {
			err = errors.Join(err, errno)
		}
	}
	return err
}

type mapping struct{ from, size uintptr }

// programMappings finds the mappings of a file that nothing was ever written to, in
// proc_pid_smaps(5)'s text. One with a page of its own, as of relocations or a
// debugger's breakpoints, would lose it: in memory it counts as anonymous, moved out
// as swap. Where the system does not tell both, nothing is given up.
func programMappings(smaps, file string) []mapping {
	var out []mapping
	var at mapping
	var clean bool
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			at, clean = mapping{}, false
			if len(fields) == 6 && fields[5] == file && strings.HasPrefix(fields[1], "r-") && strings.HasSuffix(fields[1], "p") {
				at = addresses(fields[0])
			}
		case len(fields) == 3 && fields[0] == "Anonymous:": // comes before Swap
			clean = fields[1] == "0"
		case len(fields) == 3 && fields[0] == "Swap:" && fields[1] == "0" && clean && at.size > 0:
			out = append(out, at)
		}
	}
	return out
}

func addresses(s string) mapping {
	a, b, _ := strings.Cut(s, "-")
	from, err := strconv.ParseUint(a, 16, 64)
	to, err2 := strconv.ParseUint(b, 16, 64)
	if err != nil || err2 != nil || to <= from {
		return mapping{}
	}
	return mapping{uintptr(from), uintptr(to - from)}
}
