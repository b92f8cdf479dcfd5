package admincli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/stile-id/stile/internal/adminapi"
	"github.com/stile-id/stile/internal/config"
)

func appPath(id string, more ...string) string {
	return "/apps/" + url.PathEscape(id) + strings.Join(more, "")
}

// ClientsList prints apps.
func (c *CLI) ClientsList(ctx context.Context, o config.ClientsList) error {
	var all []adminapi.App
	if _, err := c.call(ctx, http.MethodGet, "/apps", nil, nil, &all); err != nil {
		return err
	}
	if o.JSON.JSON {
		return c.json(all)
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATUS\tTYPE\tNAME")
	for _, a := range all {
		kind, status := "confidential", "active"
		if a.Credentials.OAuthClient.Method == "none" {
			kind = "public"
		}
		if a.Status == "INACTIVE" {
			status = "disabled"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.ID, status, kind, a.Label)
	}
	return w.Flush()
}

// ClientsAdd registers an app.
func (c *CLI) ClientsAdd(ctx context.Context, o config.ClientsAdd) error {
	a := adminapi.App{Label: o.Name}
	a.Credentials.OAuthClient.ClientID, a.Credentials.OAuthClient.Method = o.ID, "client_secret_basic"
	if o.Public {
		a.Credentials.OAuthClient.Method = "none"
	}
	a.Settings.OAuthClient = adminapi.OAuthSettings{
		RedirectURIs: o.RedirectURIs, PostLogoutRedirectURIs: o.LogoutURIs, EmailMagicLink: o.EmailCallback,
	}
	a.Settings.Stile = adminapi.StileSettings{SignUpURI: o.SignUpURI, ActivationURI: o.ActivationURI, RecoveryURI: o.RecoveryURI}
	var made adminapi.App
	if _, err := c.call(ctx, http.MethodPost, "/apps", nil, a, &made); err != nil {
		return err
	}
	if o.JSON.JSON {
		return c.json(made)
	}
	c.say("client id: %s", made.ID)
	if s := made.Credentials.OAuthClient.ClientSecret; s != "" {
		c.say("secret, shown this once: %s", s)
	}
	return nil
}

// ClientsRotateSecret gives an app a new secret (SEC S-87).
func (c *CLI) ClientsRotateSecret(ctx context.Context, o config.ClientsRotate) error {
	var s adminapi.Secret
	query := url.Values{"atOnce": {fmt.Sprint(o.AtOnce)}}
	if _, err := c.call(ctx, http.MethodPost, appPath(o.ID, "/credentials/secrets"), query, nil, &s); err != nil {
		return err
	}
	if o.JSON.JSON {
		return c.json(s)
	}
	c.say("secret, shown this once: %s", s.Secret)
	if o.AtOnce {
		c.note("The secrets before it and the app's refresh tokens have ended.")
	} else {
		c.note("The secret before it works until the next rotation.")
	}
	return nil
}

// ClientsDisable switches an app off.
func (c *CLI) ClientsDisable(ctx context.Context, o config.Client) error {
	return c.switchApp(ctx, o, "deactivate", "Disabled %s.")
}

// ClientsEnable switches an app on.
func (c *CLI) ClientsEnable(ctx context.Context, o config.Client) error {
	return c.switchApp(ctx, o, "activate", "Enabled %s.")
}

func (c *CLI) switchApp(ctx context.Context, o config.Client, verb, done string) error {
	if _, err := c.call(ctx, http.MethodPost, appPath(o.ID, "/lifecycle/", verb), nil, nil, nil); err != nil {
		return err
	}
	if !o.JSON.JSON {
		c.say(done, o.ID)
		return nil
	}
	var a adminapi.App
	if _, err := c.call(ctx, http.MethodGet, appPath(o.ID), nil, nil, &a); err != nil {
		return err
	}
	return c.json(a)
}

// ClientsDelete deletes an app that is switched off (SEC S-132).
func (c *CLI) ClientsDelete(ctx context.Context, o config.Client) error {
	var a adminapi.App
	if _, err := c.call(ctx, http.MethodGet, appPath(o.ID), nil, nil, &a); err != nil {
		return err
	}
	if a.Status == "ACTIVE" {
		return fmt.Errorf("%s is active; disable it first: stile clients disable %s", o.ID, o.ID)
	}
	if _, err := c.call(ctx, http.MethodDelete, appPath(o.ID), nil, nil, nil); err != nil {
		return err
	}
	if o.JSON.JSON {
		return c.json(a)
	}
	c.say("Deleted %s for good.", o.ID)
	return nil
}
