//go:build linux || darwin || freebsd

package app

import (
	"fmt"
	"syscall"
)

// spaceOf is what an ordinary user may still write on a directory's file system, and
// how large that is, in bytes.
func spaceOf(dir string) (free, size uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", dir, err)
	}
	block := uint64(s.Bsize)
	return uint64(max(0, s.Bavail)) * block, s.Blocks * block, nil // FreeBSD: negative if root alone has room
}
