package transfer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// A file begins with this line. Then come frames, each after its length in 32
// bits: the Header; for each table its rows and an empty frame; the Sums. It
// ends with the SHA-256 of all that.
const magic = "stile backup 1\n"

// frameSize bounds a frame, so that a broken length costs no memory.
const frameSize = 64 << 20

// A Header says what a file holds.
type Header struct {
	Schema   int64     `json:"schema"`   // version
	Program  string    `json:"program"`  // version
	Database string    `json:"database"` // kind
	At       time.Time `json:"at"`
	Key      []byte    `json:"key"` // what the master key is known by
	Tables   []Table   `json:"tables"`
}

// ErrBroken is returned for a file that is not as it was written, or not whole.
var ErrBroken = errors.New("the file was changed or cut off")

// Write writes a snapshot as a file, and returns what it holds. Schema, Database
// and Tables of the header are the snapshot's.
func Write(ctx context.Context, to io.Writer, from *Snapshot, h Header) ([]Sum, error) {
	h.Schema, h.Database, h.Tables = from.Schema, from.Kind, from.Tables
	w := &writer{to: bufio.NewWriterSize(to, 1<<20), hash: sha256.New()}
	w.bytes([]byte(magic))
	w.json(h)
	var sums []Sum
	for i := range from.Tables {
		sum, err := from.Tables[i].rows(ctx, from.conn, func(_ []any, row []byte) error {
			w.frame(row)
			return w.err
		})
		if err != nil {
			return nil, err
		}
		w.frame(nil)
		sums = append(sums, sum)
	}
	w.json(sums)
	w.bytes(w.hash.Sum(nil))
	if w.err == nil {
		w.err = w.to.Flush()
	}
	return sums, w.err
}

// A writer goes on after an error as if nothing were.
type writer struct {
	to   *bufio.Writer
	hash hash.Hash
	err  error
}

func (w *writer) bytes(b []byte) {
	if w.err == nil {
		w.hash.Write(b)
		_, w.err = w.to.Write(b)
	}
}

func (w *writer) frame(b []byte) {
	if w.err == nil && len(b) > frameSize {
		w.err = fmt.Errorf("a row has %d bytes", len(b))
	}
	w.bytes(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
	w.bytes(b)
}

func (w *writer) json(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of texts and numbers
	}
	w.frame(b)
}

// A File is one that is being read.
type File struct {
	Header
	from *bufio.Reader
	hash hash.Hash
	buf  []byte
}

// Open reads the beginning of a file.
func Open(from io.Reader) (*File, error) {
	f := &File{from: bufio.NewReaderSize(from, 1<<20), hash: sha256.New()}
	line := make([]byte, len(magic))
	if _, err := io.ReadFull(f.from, line); err != nil || string(line) != magic {
		if err != nil && !cut(err) {
			return nil, err
		}
		return nil, errors.New("that is not a backup of this format")
	}
	f.hash.Write(line)
	return f, f.json(&f.Header)
}

func cut(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// frame returns the next one, which is whole until the next call.
func (f *File) frame() ([]byte, error) {
	length, err := f.bytes(4)
	if err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length)
	if size > frameSize {
		return nil, ErrBroken
	}
	return f.bytes(int(size))
}

func (f *File) bytes(n int) ([]byte, error) {
	if n > cap(f.buf) {
		f.buf = make([]byte, n)
	}
	b := f.buf[:n]
	if _, err := io.ReadFull(f.from, b); cut(err) {
		return nil, ErrBroken
	} else if err != nil {
		return nil, err
	}
	f.hash.Write(b)
	return b, nil
}

func (f *File) json(v any) error {
	frame, err := f.frame()
	if err == nil && json.Unmarshal(frame, v) != nil {
		err = ErrBroken
	}
	return err
}

// rows hands the rows of all tables to visit in turn, and returns what the file
// holds if it is whole: what visit saw before counts for nothing else.
func (f *File) rows(begin func(*Table) error, visit func(*Table, []byte) error, end func(*Table) error) ([]Sum, error) {
	var sums, noted []Sum
	for i := range f.Tables {
		t := &f.Tables[i]
		if err := begin(t); err != nil {
			return nil, err
		}
		sum := newSum(t.Name)
		for {
			row, err := f.frame()
			if err != nil {
				return nil, err
			}
			if len(row) == 0 {
				break
			}
			sum.add(row)
			if err := visit(t, row); err != nil {
				return nil, err
			}
		}
		if err := end(t); err != nil {
			return nil, err
		}
		sums = append(sums, sum.sum())
	}
	if err := f.json(&noted); err != nil {
		return nil, err
	}
	last := make([]byte, sha256.Size)
	if _, err := io.ReadFull(f.from, last); cut(err) { // what is missing would be read as zeros, which a hash may end in
		return nil, ErrBroken
	} else if err != nil {
		return nil, err
	}
	_, more := f.from.ReadByte()
	if !bytes.Equal(last, f.hash.Sum(nil)) || !errors.Is(more, io.EOF) || fmt.Sprint(sums) != fmt.Sprint(noted) {
		return nil, ErrBroken
	}
	return sums, nil
}

// Check reads the rest of the file, and returns what it holds, or ErrBroken.
func (f *File) Check() ([]Sum, error) {
	nothing := func(*Table) error { return nil }
	return f.rows(nothing, func(t *Table, row []byte) error {
		if _, err := t.decode(row); err != nil {
			return ErrBroken
		}
		return nil
	}, nothing)
}

// Restore writes the rest of the file into a target, reads that back, and returns
// what both hold.
func (f *File) Restore(ctx context.Context, to *Target) ([]Sum, error) {
	if err := to.fits(f.Tables); err != nil {
		return nil, err
	}
	var l *loader
	sums, err := f.rows(
		func(t *Table) error { l = to.load(ctx, t); return nil },
		func(t *Table, frame []byte) error {
			row, err := t.decode(frame)
			if err != nil {
				return ErrBroken
			}
			return l.add(row)
		},
		func(*Table) error {
			ended := l
			l = nil
			return ended.end()
		})
	if l != nil { // in the middle of a table
		_ = l.end() // the error is there already
	}
	if err != nil {
		return nil, err
	}
	for i := range f.Tables {
		if err := to.agrees(ctx, &f.Tables[i], sums[i]); err != nil {
			return nil, err
		}
	}
	return sums, to.loaded(ctx)
}
