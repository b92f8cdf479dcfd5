package postgres

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// What can lose data is told of once it is so: a server that was promoted has no standby
// at first. Its next start is another server.
func TestREL_R11_ToldOnceItIsSo(t *testing.T) {
	var log bytes.Buffer
	s := &Store{log: slog.New(slog.NewTextHandler(&log, nil))}
	for i, step := range []struct {
		server
		want string
	}{
		{server{began: "1", commit: "on", fsync: "on"}, ""},
		{server{began: "1", commit: "on", fsync: "on", standbys: 1}, "no standby of the database is synchronous"},
		{server{began: "1", commit: "on", fsync: "on", standbys: 1}, ""},
		{server{began: "1", commit: "off", fsync: "on", standbys: 1}, "synchronous_commit = off"},
		{server{began: "2", commit: "on", fsync: "on", standbys: 1, synchronous: "*"}, ""},
		{server{began: "3", commit: "on", fsync: "on", standbys: 2}, "no standby of the database is synchronous"},
	} {
		log.Reset()
		s.tell(step.server)
		if said := log.String(); step.want == "" && said != "" || strings.Count(said, "\n") > 1 || !strings.Contains(said, step.want) {
			t.Errorf("step %d: %q, want %q", i, said, step.want)
		}
	}
}
