package app

import (
	"bytes"
	"sync"
)

// A journal is what a log says, which others write meanwhile.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *journal) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *journal) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// taken is String, and forgets it.
func (s *journal) taken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.text.Reset()
	return s.text.String()
}
