package edge

import (
	"encoding/json"
	"strings"
)

// Words are what pages say, by keys that stay.
type Words map[string]string

// NewWords reads a catalogue: a JSON object of texts. It panics where it cannot,
// for catalogues are built in.
func NewWords(file []byte) (w Words) {
	if err := json.Unmarshal(file, &w); err != nil {
		panic("edge: catalogue: " + err.Error())
	}
	return w
}

// Say gives the text of a key, "" where there is none. Pairs are of a parameter's
// name, which stands in braces in the text, and its value, which is not looked into
// again.
func (w Words) Say(key string, pairs ...string) string {
	all := make([]string, len(pairs))
	for i, s := range pairs {
		if all[i] = s; i%2 == 0 {
			all[i] = "{" + s + "}"
		}
	}
	return strings.NewReplacer(all...).Replace(w[key])
}
