//go:build linux && (amd64 || arm64)

package sqlite

import (
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlitelib "modernc.org/sqlite/lib"
)

// A fault is how a call of the file system goes wrong.
type fault int32

const (
	fullDisk  fault = iota // ENOSPC
	badDisk                // EIO
	shortDisk              // ENOSPC after half of it was written
)

// The faulty file system is SQLite's own, of which one call fails. It counts the calls
// of all databases of the process from arm on.
var faulty struct {
	calls atomic.Int64
	at    atomic.Int64 // the call that fails; 0: none
	fault atomic.Int32
	full  atomic.Bool            // no write has room
	temp  atomic.Pointer[func()] // told of each temporary file, once it is open

	once     sync.Once
	vfs      uintptr
	original uintptr

	mu      sync.Mutex
	methods map[uintptr]uintptr // ours, by SQLite's
	theirs  sync.Map            // SQLite's, by ours
}

// arm lets the n-th call from now on fail.
func arm(f fault, n int64) {
	faulty.fault.Store(int32(f))
	faulty.calls.Store(0)
	faulty.at.Store(n)
}

func disarm() {
	faulty.at.Store(0)
	faulty.full.Store(false)
	faulty.temp.Store(nil)
}

// fired reports whether the call that was to fail has been made.
func fired() bool { return faulty.calls.Load() >= faulty.at.Load() }

// strikes counts a call, and reports whether it is the one.
func strikes() bool {
	at := faulty.at.Load()
	return at != 0 && faulty.calls.Add(1) == at
}

// ioErr is the extended code of an I/O error, or of a disk without room.
func ioErr(kind int32) int32 {
	if fault(faulty.fault.Load()) == badDisk {
		return sqlitelib.SQLITE_IOERR | kind<<8
	}
	return sqlitelib.SQLITE_FULL
}

// The offsets of C's structs sqlite3_vfs and sqlite3_io_methods, where pointers have
// eight bytes.
const (
	vfsSize, vfsNext, vfsOpen, vfsDelete       = 168, 16, 40, 48
	ioSize, ioRead, ioWrite, ioTruncate        = 152, 16, 24, 32
	ioSync, ioFileSize, ioLock, ioShm, ioLock2 = 40, 48, 56, 104, 112
)

type (
	openFunc   = func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32
	deleteFunc = func(*libc.TLS, uintptr, uintptr, int32) int32
	moveFunc   = func(*libc.TLS, uintptr, uintptr, int32, int64) int32 // read, write
	cutFunc    = func(*libc.TLS, uintptr, int64) int32
	flagFunc   = func(*libc.TLS, uintptr, int32) int32 // sync, lock
	sizeFunc   = func(*libc.TLS, uintptr, uintptr) int32
	mapFunc    = func(*libc.TLS, uintptr, int32, int32, int32, uintptr) int32
	shmFunc    = func(*libc.TLS, uintptr, int32, int32, int32) int32
)

// pointer is an address in C's memory, which the garbage collector does not move.
func pointer(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

func word(p uintptr) *uintptr { return (*uintptr)(pointer(p)) }

// method is a function of C's that stands at an address.
func method[F any](p uintptr) F {
	f := *word(p)
	return *(*F)(unsafe.Pointer(&f))
}

func setMethod[F any](p uintptr, f F) { *(*F)(pointer(p)) = f }

// of is the method of SQLite's that stands behind ours for an open file.
func of[F any](file, offset uintptr) F {
	theirs, _ := faulty.theirs.Load(*word(file))
	return method[F](theirs.(uintptr) + offset)
}

// install makes the faulty file system the one that databases are opened on until the
// test ends.
func install(t *testing.T) {
	t.Helper()
	tls := libc.NewTLS()
	defer tls.Close()
	faulty.once.Do(func() {
		faulty.methods = map[uintptr]uintptr{}
		faulty.original = sqlitelib.Xsqlite3_vfs_find(tls, 0)
		faulty.vfs = libc.Xmalloc(tls, vfsSize)
		libc.Xmemcpy(tls, faulty.vfs, faulty.original, vfsSize)
		*word(faulty.vfs + vfsNext) = 0
		name, err := libc.CString("faulty")
		if err != nil {
			t.Fatal(err)
		}
		*word(faulty.vfs + vfsNext + 8) = name
		setMethod[openFunc](faulty.vfs+vfsOpen, faultyOpen)
		setMethod[deleteFunc](faulty.vfs+vfsDelete, faultyDelete)
	})
	if rc := sqlitelib.Xsqlite3_vfs_register(tls, faulty.vfs, 1); rc != 0 {
		t.Fatalf("register: %d", rc)
	}
	t.Cleanup(func() {
		disarm()
		tls := libc.NewTLS()
		defer tls.Close()
		sqlitelib.Xsqlite3_vfs_register(tls, faulty.original, 1)
	})
}

func faultyOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	if strikes() {
		*word(file) = 0 // nothing that is to be closed
		return sqlitelib.SQLITE_CANTOPEN
	}
	rc := method[openFunc](faulty.original+vfsOpen)(tls, vfs, name, file, flags, out)
	if rc == 0 && *word(file) != 0 {
		*word(file) = faultyMethods(tls, *word(file))
	}
	if tell := faulty.temp.Load(); rc == 0 && name == 0 && tell != nil {
		(*tell)()
	}
	return rc
}

func faultyMethods(tls *libc.TLS, theirs uintptr) uintptr {
	faulty.mu.Lock()
	defer faulty.mu.Unlock()
	if ours, ok := faulty.methods[theirs]; ok {
		return ours
	}
	ours := libc.Xmalloc(tls, ioSize)
	libc.Xmemcpy(tls, ours, theirs, ioSize)
	setMethod[moveFunc](ours+ioRead, faultyRead)
	setMethod[moveFunc](ours+ioWrite, faultyWrite)
	setMethod[cutFunc](ours+ioTruncate, faultyTruncate)
	setMethod[flagFunc](ours+ioSync, faultySync)
	setMethod[sizeFunc](ours+ioFileSize, faultyFileSize)
	setMethod[flagFunc](ours+ioLock, faultyLock)
	if *word(theirs + ioShm) != 0 {
		setMethod[mapFunc](ours+ioShm, faultyShmMap)
		setMethod[shmFunc](ours+ioLock2, faultyShmLock)
	}
	faulty.methods[theirs] = ours
	faulty.theirs.Store(ours, theirs)
	return ours
}

func faultyDelete(tls *libc.TLS, vfs, name uintptr, dir int32) int32 {
	if strikes() {
		return ioErr(10)
	}
	return method[deleteFunc](faulty.original+vfsDelete)(tls, vfs, name, dir)
}

func faultyRead(tls *libc.TLS, file, buf uintptr, n int32, at int64) int32 {
	if strikes() {
		return sqlitelib.SQLITE_IOERR | 1<<8 // a disk without room can be read
	}
	return of[moveFunc](file, ioRead)(tls, file, buf, n, at)
}

func faultyWrite(tls *libc.TLS, file, buf uintptr, n int32, at int64) int32 {
	if faulty.full.Load() {
		return sqlitelib.SQLITE_FULL
	}
	if !strikes() {
		return of[moveFunc](file, ioWrite)(tls, file, buf, n, at)
	}
	if fault(faulty.fault.Load()) == shortDisk {
		of[moveFunc](file, ioWrite)(tls, file, buf, n/2, at)
	}
	return ioErr(3)
}

func faultyTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	if strikes() {
		return ioErr(6)
	}
	return of[cutFunc](file, ioTruncate)(tls, file, size)
}

func faultySync(tls *libc.TLS, file uintptr, flags int32) int32 {
	if strikes() {
		return ioErr(4)
	}
	return of[flagFunc](file, ioSync)(tls, file, flags)
}

func faultyFileSize(tls *libc.TLS, file, size uintptr) int32 {
	if strikes() {
		return sqlitelib.SQLITE_IOERR | 7<<8
	}
	return of[sizeFunc](file, ioFileSize)(tls, file, size)
}

func faultyLock(tls *libc.TLS, file uintptr, kind int32) int32 {
	if strikes() {
		return sqlitelib.SQLITE_IOERR | 15<<8
	}
	return of[flagFunc](file, ioLock)(tls, file, kind)
}

func faultyShmMap(tls *libc.TLS, file uintptr, page, size, extend int32, out uintptr) int32 {
	if strikes() {
		*word(out) = 0
		return ioErr(21)
	}
	return of[mapFunc](file, ioShm)(tls, file, page, size, extend, out)
}

func faultyShmLock(tls *libc.TLS, file uintptr, offset, n, flags int32) int32 {
	if flags&sqlitelib.SQLITE_SHM_LOCK != 0 && strikes() {
		return sqlitelib.SQLITE_IOERR | 20<<8
	}
	return of[shmFunc](file, ioLock2)(tls, file, offset, n, flags)
}
