package admincli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stile-id/stile/internal/adminapi"
	"github.com/stile-id/stile/internal/config"
)

// words are the statuses as people say them.
var words = map[string]string{
	"ACTIVE": "active", "LOCKED_OUT": "active, password paused", "STAGED": "staged", "PROVISIONED": "invited", "SUSPENDED": "disabled", "DEPROVISIONED": "deactivated",
}

func userPath(user string, more ...string) string {
	return "/users/" + url.PathEscape(user) + strings.Join(more, "")
}

// UsersList prints people.
func (c *CLI) UsersList(ctx context.Context, o config.UsersList) error {
	path, query := "/users", url.Values{}
	var filters []string
	if o.Search != "" {
		query.Set("q", o.Search)
	}
	for wire, word := range words {
		if o.Status == word {
			filters = append(filters, `status eq "`+wire+`"`)
		}
	}
	if len(filters) > 0 {
		query.Set("filter", strings.Join(filters, " and "))
	}
	if o.Group != "" {
		if o.Search != "" || o.Status != "" {
			return errors.New("--group does not go with --search or --status")
		}
		path = "/groups/" + url.PathEscape(o.Group) + "/users"
	}
	all := []adminapi.User{}
	for query != nil {
		var page []adminapi.User
		h, err := c.call(ctx, http.MethodGet, path, query, nil, &page)
		if err != nil {
			return err
		}
		all = append(all, page...)
		query = next(h)
	}
	if o.JSON.JSON {
		return c.json(all)
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATUS\tEMAIL\tNAME")
	for _, u := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", u.ID, words[u.Status], u.Profile["email"], name(u))
	}
	return w.Flush()
}

func name(u adminapi.User) string {
	first, _ := u.Profile["firstName"].(string)
	last, _ := u.Profile["lastName"].(string)
	return strings.TrimSpace(first + " " + last)
}

// UsersShow prints a person.
func (c *CLI) UsersShow(ctx context.Context, o config.User) error {
	var u adminapi.User
	var groups []adminapi.Group
	var factors []adminapi.Factor
	if _, err := c.call(ctx, http.MethodGet, userPath(o.User), nil, nil, &u); err != nil {
		return err
	}
	if _, err := c.call(ctx, http.MethodGet, userPath(u.ID, "/groups"), nil, nil, &groups); err != nil {
		return err
	}
	if _, err := c.call(ctx, http.MethodGet, userPath(u.ID, "/factors"), nil, nil, &factors); err != nil {
		return err
	}
	if o.JSON.JSON {
		return c.json(struct {
			adminapi.User
			Groups  []adminapi.Group  `json:"groups"`
			Factors []adminapi.Factor `json:"factors"`
		}{u, groups, factors})
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "id\t%s\nstatus\t%s\nemail\t%s\nname\t%s\ncreated\t%s\n",
		u.ID, words[u.Status], u.Profile["email"], name(u), when(u.Created))
	for _, key := range attributes(u) {
		fmt.Fprintf(w, "%s\t%v\n", key, u.Profile[key])
	}
	for _, g := range groups {
		fmt.Fprintf(w, "group\t%s (%s)\n", g.ID, g.Profile.Name)
	}
	for _, f := range factors {
		fmt.Fprintf(w, "method\t%s (%s, since %s)\n", f.Authenticator, f.ID, when(f.Created))
	}
	return w.Flush()
}

func attributes(u adminapi.User) []string {
	var out []string
	for key, v := range u.Profile {
		if v != nil && !slices.Contains([]string{"firstName", "lastName", "login", "email"}, key) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

func when(t adminapi.Time) string { return time.Time(t).UTC().Format(time.RFC3339) }

// newUser is the body of a user who is made.
func newUser(o config.NewUser) map[string]any {
	profile := map[string]any{}
	for key, v := range o.Set {
		profile[key] = v
	}
	for key, v := range map[string]string{"email": o.Email, "firstName": o.FirstName, "lastName": o.LastName, "locale": o.Locale} {
		if v != "" {
			profile[key] = v
		}
	}
	profile["login"] = o.Email
	return map[string]any{"profile": profile, "groupIds": o.Groups}
}

// UsersAdd adds a person who can sign in at once (SEC S-40).
func (c *CLI) UsersAdd(ctx context.Context, o config.UsersAdd) error {
	if !o.EmailVerified {
		return errors.New("say --email-verified if you know that the address is theirs: who reads its mail can sign in at once; " +
			"or use: stile users invite, which lets them prove it")
	}
	var u adminapi.User
	query := url.Values{"activate": {"true"}, "emailVerified": {"true"}}
	if _, err := c.call(ctx, http.MethodPost, "/users", query, newUser(o.NewUser), &u); err != nil {
		return err
	}
	if o.JSON.JSON {
		return c.json(u)
	}
	c.say("Added %s (%s). They can sign in now.", u.Profile["email"], u.ID)
	return nil
}

// UsersInvite invites a person, or one who was invited already.
func (c *CLI) UsersInvite(ctx context.Context, o config.UsersInvite) error {
	query := url.Values{"activate": {"true"}, "returnToken": {"true"}, "sendEmail": {fmt.Sprint(o.Mail)}}
	if o.Ticket.Client != "" {
		query.Set("client", o.Ticket.Client)
	}
	var u adminapi.User
	_, err := c.call(ctx, http.MethodGet, userPath(o.Email), nil, nil, &u)
	var refused *refusal
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound:
		_, err = c.call(ctx, http.MethodPost, "/users", query, newUser(o.NewUser), &u)
	case err == nil:
		verb := "reactivate"
		if u.Status == "STAGED" || u.Status == "DEPROVISIONED" {
			verb = "activate"
		}
		var again adminapi.Activation
		_, err = c.call(ctx, http.MethodPost, userPath(u.ID, "/lifecycle/", verb), query, nil, &again)
		u.Embedded = &adminapi.Embedded{Activation: &again}
	}
	if errors.As(err, &refused) && refused.Code == "E0000016" {
		return fmt.Errorf("%s is active already", o.Email)
	}
	if err != nil {
		return mailHint(err, o.Mail)
	}
	if o.JSON.JSON {
		return c.json(u)
	}
	a := u.Embedded.Activation
	c.say("Invited %s (%s).", u.Profile["email"], u.ID)
	c.ticket("activationToken", a.Token, a.URL, a.ExpiresAt, o.Mail)
	return nil
}

// mailHint adds what to do where no app has a page for a mailed link.
func mailHint(err error, mailed bool) error {
	if mailed && strings.HasPrefix(err.Error(), "client: no app") {
		return fmt.Errorf("%w; register one, or use --no-mail and hand the token over yourself", err)
	}
	return err
}

func (c *CLI) ticket(name, token, link string, end adminapi.Time, mailed bool) {
	if link != "" {
		c.say("link: %s", link)
	}
	c.say("%s: %s", name, token)
	c.say("Good until %s, and once. Whoever has it becomes the person.", when(end))
	switch {
	case mailed && c.Running:
		c.note("The link is on its way by mail.")
	case mailed:
		c.note("The mail goes out when the engine runs.")
	}
}

// UsersReset gives a person a way to a new password (SEC S-62).
func (c *CLI) UsersReset(ctx context.Context, o config.UsersReset) error {
	query := url.Values{"sendEmail": {fmt.Sprint(o.Mail)}, "returnToken": {"true"}}
	if o.Client != "" {
		query.Set("client", o.Client)
	}
	var t adminapi.Reset
	if _, err := c.call(ctx, http.MethodPost, userPath(o.User.User, "/lifecycle/reset_password"), query, nil, &t); err != nil {
		return err
	}
	if o.JSON.JSON {
		return c.json(t)
	}
	c.ticket("recoveryToken", t.Token, t.URL, t.ExpiresAt, o.Mail)
	return nil
}

// UsersDisable keeps a person out.
func (c *CLI) UsersDisable(ctx context.Context, o config.User) error {
	return c.lifecycle(ctx, o, "suspend", "Disabled %s. They are signed out everywhere.")
}

// UsersEnable lets a disabled person back in.
func (c *CLI) UsersEnable(ctx context.Context, o config.User) error {
	return c.lifecycle(ctx, o, "unsuspend", "Enabled %s.")
}

func (c *CLI) lifecycle(ctx context.Context, o config.User, verb, done string) error {
	if _, err := c.call(ctx, http.MethodPost, userPath(o.User, "/lifecycle/", verb), nil, nil, nil); err != nil {
		return c.status(ctx, o.User, err)
	}
	return c.show(ctx, o, done)
}

// status adds where a user stands to a refusal because of it.
func (c *CLI) status(ctx context.Context, user string, err error) error {
	var refused *refusal
	var u adminapi.User
	if !errors.As(err, &refused) || refused.Code != "E0000038" {
		return err
	}
	if _, e := c.call(ctx, http.MethodGet, userPath(user), nil, nil, &u); e != nil {
		return err
	}
	return fmt.Errorf("%w: %s is %s", err, user, words[u.Status])
}

// show prints what has become of a user.
func (c *CLI) show(ctx context.Context, o config.User, done string) error {
	if o.JSON.JSON {
		var u adminapi.User
		if _, err := c.call(ctx, http.MethodGet, userPath(o.User), nil, nil, &u); err != nil {
			return err
		}
		return c.json(u)
	}
	c.say(done, o.User)
	return nil
}

// UsersDelete deletes a person who is disabled: the second of two steps (SEC S-132).
func (c *CLI) UsersDelete(ctx context.Context, o config.UsersDelete) error {
	var u adminapi.User
	if _, err := c.call(ctx, http.MethodGet, userPath(o.User.User), nil, nil, &u); err != nil {
		return err
	}
	switch {
	case u.Status == "ACTIVE", u.Status == "LOCKED_OUT":
		return fmt.Errorf("%s is active; disable them first: stile users disable %s", o.User.User, o.User.User)
	case o.DryRun && o.JSON.JSON:
		return c.json(u)
	case o.DryRun:
		c.say("Would delete %s (%s, %s).", u.Profile["email"], u.ID, words[u.Status])
		return nil
	}
	steps := 2
	if u.Status == "DEPROVISIONED" {
		steps = 1
	}
	for range steps {
		if _, err := c.call(ctx, http.MethodDelete, userPath(u.ID), nil, nil, nil); err != nil {
			return err
		}
	}
	if o.JSON.JSON {
		return c.json(u)
	}
	c.say("Deleted %s (%s) for good.", u.Profile["email"], u.ID)
	return nil
}

// UsersToken gives a person a token that computes one-time codes.
func (c *CLI) UsersToken(ctx context.Context, o config.UsersToken) error {
	secret, err := c.readFile(o.SecretFile)
	if err != nil {
		return err
	}
	profile := map[string]any{"sharedSecret": strings.TrimSpace(string(secret)), "counter": o.Counter, "clock": o.Clock}
	if o.Hex {
		profile["encoding"] = "hex"
	}
	body := map[string]any{"factorType": "token:hotp", "provider": "CUSTOM", "profile": profile}
	if _, err := c.call(ctx, http.MethodPost, userPath(o.User.User, "/factors"), nil, body, nil); err != nil {
		return err
	}
	return c.show(ctx, o.User, "Gave a token to %s, who is told by mail.")
}

// UsersCode gives a person a temporary access code, and prints it.
func (c *CLI) UsersCode(ctx context.Context, o config.UsersCode) error {
	if o.For%time.Minute != 0 {
		return errors.New("--for is in whole minutes")
	}
	profile := map[string]any{"multiUse": o.Uses == "many", "ttl": strconv.FormatInt(int64(o.For/time.Minute), 10)}
	var made adminapi.Code
	path := userPath(o.User.User, "/authenticator-enrollments/tac")
	if _, err := c.call(ctx, http.MethodPost, path, nil, map[string]any{"profile": profile}, &made); err != nil {
		return c.status(ctx, o.User.User, err)
	}
	if o.JSON.JSON {
		return c.json(made)
	}
	c.say("code: %s", made.Profile.TAC)
	uses := "once"
	if made.Profile.MultiUse {
		uses = "as often as wanted"
	}
	c.say("Good until %s, %s. Whoever has it can sign in as the person: tell it to nobody else, and not by mail.", when(made.Profile.ExpiresAt), uses)
	return nil
}

// UsersDropMethod takes a way to sign in from a person.
func (c *CLI) UsersDropMethod(ctx context.Context, o config.UsersDropMethod) error {
	if _, err := c.call(ctx, http.MethodDelete, userPath(o.User.User, "/factors/", url.PathEscape(o.Method)), nil, nil, nil); err != nil {
		return err
	}
	return c.show(ctx, o.User, "Dropped "+strings.ReplaceAll(o.Method, "%", "%%")+" of %s, who is signed out everywhere and told by mail.")
}

// UsersEndSessions signs a person out everywhere.
func (c *CLI) UsersEndSessions(ctx context.Context, o config.User) error {
	if _, err := c.call(ctx, http.MethodDelete, userPath(o.User, "/sessions"), url.Values{"oauthTokens": {"true"}}, nil, nil); err != nil {
		return err
	}
	return c.show(ctx, o, "Signed %s out of every browser and every app.")
}

// UsersExport writes all that is held about a person.
func (c *CLI) UsersExport(ctx context.Context, o config.UsersExport) (err error) {
	var document json.RawMessage
	if _, err := c.call(ctx, http.MethodGet, "/stile"+userPath(o.User, "/data"), nil, nil, &document); err != nil {
		return err
	}
	if o.Out == "" {
		return c.json(document)
	}
	file, err := os.OpenFile(o.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // not one that others have open
	if err != nil {
		return err
	}
	to := *c
	to.Out = file
	if err := errors.Join(to.json(document), file.Close()); err != nil {
		return errors.Join(err, os.Remove(o.Out))
	}
	c.note("Written to %s. It is about a person: hand it over to nobody else, and remove it then.", o.Out)
	return nil
}
