package adminapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/stile-id/stile/internal/admin"
	"github.com/stile-id/stile/internal/orgfile"
	"github.com/stile-id/stile/internal/problem"
)

// Applied answers a PUT of the document.
type Applied struct {
	Changes []orgfile.Change  `json:"changes"`
	Secrets map[string]string `json:"secrets,omitempty"` // of new confidential apps, told once
}

func (s *server) org() map[string]endpoint {
	return map[string]endpoint{
		"GET /stile/org": s.getOrg,
		"PUT /stile/org": s.putOrg,
	}
}

// getOrg answers the document as JSON; its ETag names the state that it is of.
func (s *server) getOrg(w http.ResponseWriter, r *http.Request) (any, error) {
	d, err := s.admin.Document(r.Context())
	w.Header().Set("ETag", `"`+d.Hash+`"`)
	return d.File, err
}

// putOrg applies a document. Without If-Match it is refused unless it is a dry
// run: who has not seen what they write over may undo what another has done.
func (s *server) putOrg(w http.ResponseWriter, r *http.Request) (any, error) {
	dry, err := flag(r, "dryRun", false)
	if err != nil {
		return nil, err
	}
	prune, err := flag(r, "prune", false)
	if err != nil {
		return nil, err
	}
	match := strings.Trim(r.Header.Get("If-Match"), `"`)
	if match == "" && !dry {
		return nil, problem.New(problem.Stale, "", "If-Match is missing: the ETag of the document that this one replaces.")
	}
	var f orgfile.File
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrg))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, problem.New(problem.Invalid, "", "The request body was not well-formed: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, problem.New(problem.Invalid, "", "The request body was not well-formed: it goes on after its end")
	}
	out, err := s.admin.Apply(r.Context(), f.Completed(), admin.ApplyOptions{DryRun: dry, Prune: prune, Match: match})
	w.Header().Set("ETag", `"`+out.Hash+`"`)
	return Applied{out.Changes, out.Secrets}, err
}
