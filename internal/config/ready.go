package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Ready holds the settings of `stile ready`.
type Ready struct {
	URL    string `arg:"" optional:"" placeholder:"URL" help:"Address of an engine, http://host:port. Default: this machine's, where the settings of stile serve have it listen."`
	Config string `short:"c" env:"STILE_CONFIG" placeholder:"FILE" help:"Those settings in YAML; variables go before it."`
}

// A Door is where an engine is asked.
type Door struct {
	URL string // without a path
	// Host is whom the engine is asked for in TLS, and Certificate the file of the chain
	// that it has for that. Both are empty where nothing is known of it.
	Host, Certificate string
}

// Door is that of operators, or else that of the public. What else is wrong with the
// settings, the engine said when it was started with them.
func (r Ready) Door(environ []string) (Door, error) {
	if r.URL != "" {
		u, err := url.Parse(strings.TrimSuffix(r.URL, "/"))
		if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || (u.Scheme != "http" && u.Scheme != "https") {
			return Door{}, errors.New("the address is not of the form http://host:port") // it may hold a password
		}
		return Door{URL: u.String()}, nil
	}
	if r.Config != "" {
		f := &Faults{source: map[string]string{}}
		if file := readFile(r.Config, f); len(file) == 0 && len(f.list) > 0 { // else another engine would be asked
			return Door{}, errors.New(f.list[0])
		}
	}
	t, _ := Serve{Config: r.Config}.Load(environ)
	if t.MetricsListen != "" {
		address, err := here(t.MetricsListen)
		if err != nil {
			return Door{}, fmt.Errorf("%s: %w", t.Source("metrics_listen"), err)
		}
		return Door{URL: "http://" + address}, nil
	}
	address, err := here(t.Listen)
	if err != nil {
		return Door{}, fmt.Errorf("%s: %w", t.Source("listen"), err)
	}
	if t.TLSCert == "" {
		return Door{URL: "http://" + address}, nil
	}
	d := Door{URL: "https://" + address, Certificate: t.TLSCert}
	if u, err := url.Parse(t.PublicURL); err == nil {
		d.Host = u.Hostname()
	}
	return d, nil
}

// here is where somebody who listens at an address is found on this machine.
func here(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "" {
		return "", fmt.Errorf("%q is not HOST:PORT", listen)
	}
	switch a, _ := netip.ParseAddr(host); {
	case host == "", a.Is4() && a.IsUnspecified():
		host = "127.0.0.1"
	case a.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}
