package transfer

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// encode appends a row: for each column in turn an integer as 64 bits, and texts
// and bytes after their length.
func (t *Table) encode(to []byte, row []any) []byte {
	for _, v := range row {
		switch v := v.(type) {
		case int64:
			to = binary.BigEndian.AppendUint64(to, uint64(v))
		case string:
			to = append(binary.AppendUvarint(to, uint64(len(v))), v...)
		case []byte:
			to = append(binary.AppendUvarint(to, uint64(len(v))), v...)
		}
	}
	return to
}

var errRow = errors.New("a row is not whole")

// decode reads what encode wrote.
func (t *Table) decode(from []byte) ([]any, error) {
	row := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		if c.Type == Integer {
			if len(from) < 8 {
				return nil, fmt.Errorf("%s: %w", t.Name, errRow)
			}
			row[i] = int64(binary.BigEndian.Uint64(from))
			from = from[8:]
			continue
		}
		size, n := binary.Uvarint(from)
		if n <= 0 || size > uint64(len(from)-n) {
			return nil, fmt.Errorf("%s: %w", t.Name, errRow)
		}
		text := from[n : n+int(size)]
		from = from[n+int(size):]
		if c.Type == Bytes {
			row[i] = append([]byte{}, text...)
		} else {
			row[i] = string(text)
		}
	}
	if len(from) > 0 {
		return nil, fmt.Errorf("%s: %w", t.Name, errRow)
	}
	return row, nil
}
