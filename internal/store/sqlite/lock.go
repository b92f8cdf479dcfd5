package sqlite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrInUse is returned by Open for a database that is open already, in this
// process or another.
var ErrInUse = errors.New("the database is in use by another process")

// lock makes this process the only one on the database at path (REL R-13): group
// commit, caches and leases assume it. The lock is a file of its own, because
// SQLite's locks on a file are lost when any other handle to it is closed.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	ok, err := tryLock(f)
	if err == nil && !ok {
		err = fmt.Errorf("%s: %w%s", path, ErrInUse, holder(f))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	// The number is for people; the lock alone counts.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	pid := strings.TrimSpace(string(b))
	if _, numErr := strconv.Atoi(pid); err != nil || numErr != nil {
		return ""
	}
	return " (process " + pid + ")"
}

// secure makes the database's directory and file for the owner alone. The files
// that SQLite puts beside it take the mode of the database. It must run before
// SQLite has the file open, as lock says.
func secure(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(path+suffix, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
