// Package config is what a process is told at its start: flags, then the
// environment, then defaults.
package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/stile-id/stile/internal/policy"
)

// Dev holds the settings of `stile dev`. Every one has a default; none is needed.
type Dev struct {
	Listen    string `env:"STILE_LISTEN" default:"localhost:9000" placeholder:"HOST:PORT" help:"Where the engine listens (${default})."`
	AppListen string `env:"STILE_APP_LISTEN" default:"localhost:8080" placeholder:"HOST:PORT" help:"Where the demo app listens; off for none (${default})."`
	Data      string `env:"STILE_DATA" default:"./.stile" placeholder:"DIR" help:"Folder of the database and the master key (${default})."`
	Database  string `env:"STILE_DATABASE" placeholder:"URL" help:"PostgreSQL to keep everything in: postgres://user:password@host/name. Default: SQLite in --data."`
	PublicURL string `env:"STILE_PUBLIC_URL" placeholder:"URL" help:"Address of the engine as browsers see it. Default: from --listen. The issuer is this plus /oauth2/default."`
	SMTP      string `name:"smtp" env:"STILE_SMTP" placeholder:"URL" help:"Also deliver mail there: smtp://[user:password@]host:port, or smtps://. Default: the inbox only."`

	ClientID        string   `env:"STILE_CLIENT_ID" placeholder:"ID" help:"Id of the confidential web app. Default: made at first start, kept."`
	ClientSecret    string   `env:"STILE_CLIENT_SECRET" placeholder:"SECRET" help:"Its secret. Default: made at first start, kept."`
	RedirectURIs    []string `name:"redirect-uri" env:"STILE_REDIRECT_URIS" placeholder:"URL" help:"Where it may be sent back to; repeatable. Default: the demo app's callback."`
	SPAClientID     string   `name:"spa-client-id" env:"STILE_SPA_CLIENT_ID" placeholder:"ID" help:"Id of the public single-page app. Default: made at first start, kept."`
	SPARedirectURIs []string `name:"spa-redirect-uri" env:"STILE_SPA_REDIRECT_URIS" placeholder:"URL" help:"Where it may be sent back to; repeatable. Default: http://localhost:8081/login/callback."`

	Org         string   `env:"STILE_ORG" placeholder:"FILE" help:"Policies of this start, in place of those that stile apply has stored."`
	Enumeration string   `env:"STILE_ENUMERATION" default:"" enum:"protect,disclose," help:"Whether sign-in and sign-up tell that an address has an account: protect or disclose. Default: as stile apply has it, protect before."`
	Offer       []string `name:"authenticators" env:"STILE_AUTHENTICATORS" placeholder:"KEY" help:"Authenticators that people may set up beside those of the policies, for example webauthn, or all; repeatable."`
	Require     []string `name:"require-authenticators" env:"STILE_REQUIRE_AUTHENTICATORS" placeholder:"KEY" help:"Authenticators that everybody must set up beside the email, for example okta_password; repeatable."`
}

// Off is the value of AppListen for no demo app.
const Off = "off"

// Validate checks what can be checked before anything is opened, and fills in
// what follows from other settings. The error names the flag.
func (d *Dev) Validate() error {
	if _, _, err := net.SplitHostPort(d.Listen); err != nil {
		return fmt.Errorf("--listen: %q is not HOST:PORT", d.Listen)
	}
	if d.AppListen != Off {
		if _, _, err := net.SplitHostPort(d.AppListen); err != nil {
			return fmt.Errorf("--app-listen: %q is neither HOST:PORT nor off", d.AppListen)
		}
	}
	if err := checkDatabase(d.Database); err != nil {
		return err
	}
	if d.PublicURL == "" {
		d.PublicURL = "http://" + browsable(d.Listen)
	}
	d.PublicURL = strings.TrimSuffix(d.PublicURL, "/")
	u, err := url.Parse(d.PublicURL)
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("--public-url: %q is not of the form https://host", d.PublicURL)
	}
	if (d.ClientID == "") != (d.ClientSecret == "") {
		return fmt.Errorf("--client-id and --client-secret go together")
	}
	if len(d.RedirectURIs) == 0 {
		d.RedirectURIs = []string{"http://" + d.appHost() + "/login/callback"}
	}
	if len(d.SPARedirectURIs) == 0 {
		d.SPARedirectURIs = []string{"http://localhost:8081/login/callback"}
	}
	for _, key := range d.Offer {
		if key != allAuthenticators && !slices.Contains(policy.Installed, key) {
			return fmt.Errorf("--authenticators: there is no %q; there are %s, and all", key, strings.Join(policy.Installed, ", "))
		}
	}
	org := policy.PasswordOptional()
	org.Offer(d.offered()...)
	for _, key := range d.Require {
		if !org.Require(key) {
			return fmt.Errorf("--require-authenticators: there is no %q; there are %s",
				key, strings.Join(org.EnrollmentFor(nil).Keys(""), ", "))
		}
	}
	return nil
}

// Overlay puts what the flags change of the policies over them.
func (d *Dev) Overlay(org *policy.Org) {
	if d.Enumeration != "" {
		org.Enumeration = policy.Enumeration(d.Enumeration)
	}
	if len(d.Require)+len(d.Offer) == 0 {
		return
	}
	org.Enrollment = slices.Clone(org.Enrollment)
	last := &org.Enrollment[len(org.Enrollment)-1]
	last.Authenticators = slices.Clone(last.Authenticators)
	org.Offer(d.offered()...)
	for _, key := range d.Require {
		org.Require(key)
	}
}

// allAuthenticators is the value of Offer for every one there is.
const allAuthenticators = "all"

func (d *Dev) offered() []string {
	if slices.Contains(d.Offer, allAuthenticators) {
		return policy.Installed
	}
	return d.Offer
}

// AppURL is the demo app's address as browsers see it.
func (d *Dev) AppURL() string { return "http://" + d.appHost() }

func (d *Dev) appHost() string {
	if d.AppListen == Off {
		return "localhost:8080"
	}
	return browsable(d.AppListen)
}

// browsable turns the address of a listener into one that a browser on this machine can open.
func browsable(listen string) string {
	host, port, _ := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
