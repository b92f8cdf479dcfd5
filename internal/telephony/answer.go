package telephony

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"github.com/stile-id/stile/internal/outbox"
)

// A gatewayAnswer says what a gateway means by its statuses, where it differs from
// what is usual. Each is a status, "422", or a class of them, "4xx"; a status counts
// before its class.
type gatewayAnswer struct {
	Sent    []string `yaml:"sent"`
	Refused []string `yaml:"refused"`
	Again   []string `yaml:"again"`
}

var statusOrClass = regexp.MustCompile(`^[2-5]([0-9]{2}|xx)$`)

func (a gatewayAnswer) check() error {
	var seen []string
	for _, s := range slices.Concat(a.Sent, a.Refused, a.Again) {
		if !statusOrClass.MatchString(s) {
			return fmt.Errorf("status: %q is neither a status, such as 422, nor a class of them, such as 4xx", s)
		}
		if slices.Contains(seen, s) {
			return fmt.Errorf("status: %s is there twice", s)
		}
		seen = append(seen, s)
	}
	return nil
}

// outcome reads a status: nil, or an error of package outbox.
func (a gatewayAnswer) outcome(status int) error {
	class := strconv.Itoa(status)
	for _, s := range []string{class, class[:1] + "xx"} {
		switch {
		case slices.Contains(a.Sent, s):
			return nil
		case slices.Contains(a.Refused, s):
			return &outbox.Permanent{Class: class}
		case slices.Contains(a.Again, s):
			return &outbox.Temporary{Class: class, Unavailable: unusable(status), Err: fmt.Errorf("status %d", status)}
		}
	}
	return usual(status)
}

// usual is the outcome of a status as HTTP has it.
func usual(status int) error {
	class := strconv.Itoa(status)
	switch {
	case status >= 200 && status < 300:
		return nil
	case unusable(status):
		return &outbox.Temporary{Class: class, Unavailable: true, Err: fmt.Errorf("status %d", status)}
	}
	return &outbox.Permanent{Class: class}
}

// unusable holds for statuses that say nothing of the message: who answers so is
// busy, or called by wrong settings.
func unusable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return true
	}
	return status >= 500 || status >= 300 && status < 400
}

var errHeader = errors.New("is not fit for a header: it has a line end or another character that is not printed")
