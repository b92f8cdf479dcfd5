// Package orgfile is the file that `stile apply` takes: an organisation's
// policies and apps in YAML.
package orgfile

import (
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/stile-id/stile/internal/policy"
)

// A File is what it says. What it leaves out is the default's.
type File struct {
	policy.Org
}

// Parse reads a file. An unknown key, a key twice and a value of the wrong type
// are errors that name it. Nothing is checked that needs an engine.
func Parse(data []byte) (File, error) {
	f := File{Org: policy.PasswordOptional()}
	var lists struct {
		policy.Org
	}
	if err := yaml.UnmarshalStrict(data, &lists); err != nil {
		return File{}, fmt.Errorf("org file: %w", err)
	}
	given := lists.Org
	if given.Enumeration != "" {
		f.Enumeration = given.Enumeration
	}
	f.Brand, f.TrustedOrigins, f.Groups = given.Brand, given.TrustedOrigins, given.Groups
	if given.Session != nil {
		f.Session = given.Session
	}
	if given.Access != nil {
		f.Access = given.Access
	}
	if given.Enrollment != nil {
		f.Enrollment = given.Enrollment
	}
	if given.Profile != nil {
		f.Profile = given.Profile
	}
	if given.Password != nil {
		f.Password = given.Password
	}
	return f, nil
}
