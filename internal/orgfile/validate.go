package orgfile

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"

	"github.com/stile-id/stile/internal/policy"
)

var appID = regexp.MustCompile(`^[0-9A-Za-z._-]{1,100}$`)

// Validate reports everything that is wrong with the values, each with its path,
// but for the addresses of apps, which are for who registers them to look at.
func (f *File) Validate(known func(authenticator string) bool) error {
	var errs []error
	fail := func(path, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", path, fmt.Errorf(format, args...)))
	}
	if f.Version != Version {
		fail("version", "%d is not known here, %d is", f.Version, Version)
	}
	if err := f.Org.Validate(known); err != nil {
		errs = append(errs, err)
	}
	for i, a := range f.Apps {
		at := fmt.Sprintf("apps[%d]", i)
		switch {
		case a.ID == "":
			fail(at+".id", "an app in a file names its id")
		case !appID.MatchString(a.ID):
			fail(at+".id", "%q must be 1 to 100 letters, digits, dots, dashes or underscores", a.ID)
		case slices.ContainsFunc(f.Apps[:i], func(x App) bool { return x.ID == a.ID }):
			fail(at+".id", "%q is there twice", a.ID)
		}
		if a.Type != Confidential && a.Type != Public {
			fail(at+".type", "%q is neither %q nor %q", a.Type, Confidential, Public)
		}
		if a.Access != "" && !slices.ContainsFunc(f.Access, func(p policy.Access) bool { return p.Name == a.Access }) {
			fail(at+".access", "there is no access policy %q", a.Access)
		}
		if a.Profile != "" && !slices.ContainsFunc(f.Profile, func(p policy.Profile) bool { return p.Name == a.Profile }) {
			fail(at+".profile", "there is no profile policy %q", a.Profile)
		}
	}
	return errors.Join(errs...)
}

// Line returns the line of a file that a path means, 0 if it says nothing there.
func Line(data []byte, path string) int {
	p, err := yaml.PathString("$." + path)
	if err != nil {
		return 0
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return 0
	}
	node, err := p.FilterFile(file)
	if err != nil || node == nil || node.GetToken() == nil {
		return 0
	}
	return node.GetToken().Position.Line
}
