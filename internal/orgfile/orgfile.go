// Package orgfile is the file that `stile apply` takes: an organisation's
// policies and apps in YAML.
package orgfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/stile-id/stile/internal/policy"
)

// Version is the format that this engine reads and writes.
const Version = 1

// MaxSize is the largest file that is read, in bytes.
const MaxSize = 1 << 20

// A File is what it says. What it leaves out is the default's.
type File struct {
	Version    int `json:"version"`
	policy.Org `json:",inline"`
	Apps       []App `json:"apps,omitempty"`
}

// The types of apps.
const (
	Confidential = "confidential" // has a secret, which is never in a file
	Public       = "public"
)

// An App is a client's registration without its secrets.
type App struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"` // default the id
	Type string `json:"type"`

	RedirectURIs           []string `json:"redirectUris,omitempty"`
	PostLogoutRedirectURIs []string `json:"postLogoutRedirectUris,omitempty"`
	EmailCallbackURI       string   `json:"emailCallbackUri,omitempty"`
	SignUpURI              string   `json:"signUpUri,omitempty"`
	ActivationURI          string   `json:"activationUri,omitempty"`
	RecoveryURI            string   `json:"recoveryUri,omitempty"`
	TrustedOrigins         []string `json:"trustedOrigins,omitempty"`
	GrantTypes             []string `json:"grantTypes,omitempty"` // default all that exist
	IDTokenAlg             string   `json:"idTokenAlg,omitempty"`

	Access      string             `json:"access,omitempty"`  // name of an access policy
	Profile     string             `json:"profile,omitempty"` // name of a profile policy
	SignUp      policy.SignUp      `json:"signUp,omitempty"`
	Enumeration policy.Enumeration `json:"enumeration,omitempty"`

	Logo     string `json:"logo,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
}

// Parse reads a file. An unknown key, a key twice and a value of the wrong type
// are errors that name the line. What is wrong with values is for Validate to say.
func Parse(data []byte) (File, error) {
	if len(data) > MaxSize {
		return File{}, fmt.Errorf("org file: longer than %d bytes", MaxSize)
	}
	var f File
	d := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return File{}, fmt.Errorf("org file: %w", plain(err))
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return File{}, errors.New("org file: more than one document")
	}
	if err := exact(data); err != nil {
		return File{}, fmt.Errorf("org file: %w", err)
	}
	return f.Completed(), nil
}

// exact refuses what the library would bend until it fits: 1.5 as a whole number, 12 as a text.
func exact(data []byte) error {
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return plain(err)
	}
	var e *json.UnmarshalTypeError
	if err := json.Unmarshal(text, new(File)); errors.As(err, &e) {
		if e.Type.Kind() == reflect.String {
			return fmt.Errorf("%s: a text was expected here, not a %s; put it in quotes", e.Field, e.Value)
		}
		return fmt.Errorf("%s: a value of type %s was expected here, not a %s", e.Field, e.Type.Kind(), e.Value)
	}
	return nil
}

// Completed fills in what f leaves out.
func (f File) Completed() File {
	def := policy.PasswordOptional()
	if f.Version == 0 {
		f.Version = Version
	}
	if f.Enumeration == "" {
		f.Enumeration = def.Enumeration
	}
	if f.Session == nil {
		f.Session = def.Session
	}
	if f.Access == nil {
		f.Access = def.Access
	}
	if f.Enrollment == nil {
		f.Enrollment = def.Enrollment
	}
	if f.Profile == nil {
		f.Profile = def.Profile
	}
	if f.Password == nil {
		f.Password = def.Password
	}
	return f
}

// plain is an error of the library as one line, which names that of the file.
func plain(err error) error {
	var e yaml.Error
	if !errors.As(err, &e) {
		return err
	}
	if t := e.GetToken(); t != nil && t.Position != nil {
		return fmt.Errorf("line %d: %s", t.Position.Line, e.GetMessage())
	}
	return errors.New(e.GetMessage())
}

// Write is f as a file, which Parse reads as f again.
func (f File) Write() ([]byte, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out, yaml.Indent(2), yaml.IndentSequence(true), yaml.CustomMarshaler(scalar))
	if err := e.Encode(f); err != nil {
		return nil, fmt.Errorf("org file: %w", err)
	}
	return out.Bytes(), nil
}

// bare are texts that are themselves without quotes: they begin with a letter,
// and have nothing in them that means something in YAML.
var bare = regexp.MustCompile(`^[A-Za-z](([0-9A-Za-z _./@?=&+,()~-]|:[0-9A-Za-z/])*[0-9A-Za-z/)])?$`)

// scalar writes a text. The library's own way of it does not bring every text back.
func scalar(s string) ([]byte, error) {
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "y", "n", "on", "off":
	default:
		if bare.MatchString(s) {
			return []byte(s), nil
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(out.Bytes()), nil
}
