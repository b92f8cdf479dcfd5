package idxapi

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/ion"
	"github.com/stile-id/stile/internal/problem"
)

// fail answers a refusal or a fault with a document that has no handle and no
// way on (IDX §4.1). A fault's cause is for the log alone.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var p *problem.Error
	err = edge.InTime(r, err)
	if errors.As(err, &p) && p.Kind != problem.Internal && p.Code != "" {
		switch p.Kind {
		case problem.Throttled:
			edge.SetTooMany(w, p.RetryAfter)
		case problem.Unavailable:
			edge.SetRetryAfter(w, max(p.RetryAfter, time.Second))
		}
		s.end(w, statusOf(p.Kind), p.Code, p.Detail)
		return
	}
	if edge.Gone(r) {
		return
	}
	if p != nil && p.Kind == problem.Unavailable {
		s.log.WarnContext(r.Context(), "unavailable", "err", err, "request", edge.RequestID(r.Context()))
		edge.SetRetryAfter(w, max(p.RetryAfter, time.Second))
		s.end(w, http.StatusServiceUnavailable, "E0000010", "Server is unable to respond at the moment.")
		return
	}
	s.log.ErrorContext(r.Context(), "fault", "err", err, "request", edge.RequestID(r.Context()))
	s.end(w, http.StatusInternalServerError, "E0000009", "Internal Server Error")
}

// failPage is fail for what a person may have opened.
func (s *Server) failPage(w http.ResponseWriter, r *http.Request, err error) {
	err = edge.InTime(r, err)
	var p *problem.Error
	if wantsDocument(r) || !errors.As(err, &p) || p.Kind != problem.Unavailable {
		s.fail(w, r, err)
		return
	}
	edge.SetRetryAfter(w, max(p.RetryAfter, time.Second))
	v := s.linkView("busy", "busy")
	v.Error = true
	s.writePage(w, http.StatusServiceUnavailable, v)
}

func (s *Server) badRequest(w http.ResponseWriter, status int) {
	s.end(w, status, "E0000020", "Bad request.")
}

func (s *Server) end(w http.ResponseWriter, status int, key, text string) {
	s.write(w, status, &ion.Document{Version: ion.Version, Messages: messages([]problem.Message{
		{Key: key, Text: text, Class: problem.ClassError},
	})})
}

// printable keeps what a caller wrote from leaving its place in a message.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 80)]
}
