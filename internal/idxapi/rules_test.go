package idxapi_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/ion/iontest"
)

// The rules hold for every golden document here, and for whatever wire is answered in
// the tests of this package and of internal/attacks.
func TestAUTH_A01_NoNullMembers(t *testing.T)        { inEveryDocument(t, "A01") }
func TestAUTH_A02_EverythingRelates(t *testing.T)    { inEveryDocument(t, "A02") }
func TestAUTH_A03_FormsOfData(t *testing.T)          { inEveryDocument(t, "A03") }
func TestAUTH_A04_ListsRelateToNothing(t *testing.T) { inEveryDocument(t, "A04") }
func TestAUTH_A05_ChannelsOfEnrollment(t *testing.T) { inEveryDocument(t, "A05") }
func TestAUTH_A07_LabelsOfOptions(t *testing.T)      { inEveryDocument(t, "A07") }
func TestAUTH_A08_TheActiveFormIsFirst(t *testing.T) { inEveryDocument(t, "A08") }
func TestAUTH_A35_OneQuestionToAKey(t *testing.T)    { inEveryDocument(t, "A35") }

func documents(t *testing.T) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d documents, %v", len(files), err)
	}
	out := map[string]map[string]any{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		var doc map[string]any
		if err == nil {
			err = json.Unmarshal(data, &doc)
		}
		if err != nil {
			t.Fatal(file, err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = doc
	}
	return out
}

func inEveryDocument(t *testing.T, row string) {
	t.Helper()
	for name, doc := range documents(t) {
		iontest.Rules[row](doc, func(format string, args ...any) { t.Errorf(name+": "+format, args...) })
	}
}

// Else a form could be without the rules.
func TestEveryFormIsInAGoldenDocument(t *testing.T) {
	wire := map[string]string{"skip-change": "skip", "skip-password": "skip", "skip-profile": "skip", "resend-push": "resend"}
	seen := map[string]bool{}
	for _, doc := range documents(t) {
		for _, name := range (answer{doc: doc}).forms() {
			seen[name] = true
		}
	}
	for stage, offers := range flow.Offers {
		for _, o := range offers {
			name := o.Name
			if w, ok := wire[name]; ok {
				name = w
			}
			if flow.PlaceOf(o.Name) == flow.InRemediation && !seen[name] {
				t.Errorf("%s of %v is in none", o.Name, stage)
			}
		}
	}
}
