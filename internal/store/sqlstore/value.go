package sqlstore

import (
	"encoding/json"
	"fmt"
	"time"
)

// micros is a time as the database keeps it.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// at scans what micros made, to UTC.
func at(t *time.Time) *timeScanner { return (*timeScanner)(t) }

type timeScanner time.Time

// Scan implements [sql.Scanner].
func (t *timeScanner) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("time is a %T", v)
	}
	*t = timeScanner(timeOf(n))
	return nil
}

// timeOf reverses micros, but for the time zone and what is less than a microsecond.
func timeOf(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// blob keeps nil out of columns that are NOT NULL; nil and empty are the same.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// asJSON encodes a list or map; an empty one is the empty string.
func asJSON[T []string | map[string]string](v T) string {
	if len(v) == 0 {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings always encode
	}
	return string(b)
}

func fromJSON(s string, v any) error {
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), v)
}
