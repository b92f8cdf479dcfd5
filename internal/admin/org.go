package admin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/orgfile"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// A state is the organisation as it is stored, at one moment.
type state struct {
	raw     []byte // of the document; nil: none is stored
	org     policy.Org
	clients []oauth.Client
}

func (s *Service) state(ctx context.Context) (state, error) {
	var st state
	err := error(nil)
	if st.raw, err = s.Store.Setting(ctx, OrgSetting); is(err, problem.NotFound) {
		st.raw, err = nil, nil
	}
	if err != nil {
		return st, err
	}
	st.org = s.Initial
	if st.raw != nil {
		st.org = policy.Org{}
		if err := json.Unmarshal(st.raw, &st.org); err != nil {
			return st, fmt.Errorf("the stored policies: %w", err)
		}
	}
	st.clients, err = s.Store.Clients(ctx)
	return st, err
}

func (s *Service) org(ctx context.Context) (*policy.Org, error) {
	st, err := s.state(ctx)
	return &st.org, err
}

// hash names a state: it changes with every change of the document or an app.
func (st *state) hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%s\n", len(st.raw), st.raw)
	for _, c := range st.clients {
		fmt.Fprintf(h, "%s %d\n", c.ID, c.Version)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))[:22]
}

func (st *state) file() orgfile.File {
	f := orgfile.File{Version: orgfile.Version, Org: st.org}
	for _, c := range st.clients {
		f.Apps = append(f.Apps, appOf(c))
	}
	return f
}

// A Document is the organisation as a file; Hash names the state that it is of.
type Document struct {
	orgfile.File
	Hash string
}

// Document returns what is stored.
func (s *Service) Document(ctx context.Context) (Document, error) {
	st, err := s.state(ctx)
	if err != nil {
		return Document{}, err
	}
	return Document{st.file(), st.hash()}, nil
}

// ApplyOptions say how a file is applied.
type ApplyOptions struct {
	DryRun bool // change nothing, and say what would be
	// Prune takes groups away that the file does not have, and switches off apps.
	Prune bool
	// Match is the hash of the state that the caller has seen; "" is any.
	Match string
}

// Applied is what applying a file changes.
type Applied struct {
	Changes []orgfile.Change
	Secrets map[string]string // of new confidential apps, by id; told here and never again
	Hash    string            // of the state that it was compared with, or that it made
}

// Apply makes the organisation what a file says, all of it or nothing. Policies
// are those of the file alone; apps and groups that it does not have are kept,
// without Prune. Where the state is not that of Match the error is of kind problem.Stale.
func (s *Service) Apply(ctx context.Context, f orgfile.File, o ApplyOptions) (Applied, error) {
	st, err := s.state(ctx)
	if err != nil {
		return Applied{}, err
	}
	out := Applied{Hash: st.hash(), Changes: []orgfile.Change{}}
	if o.Match != "" && o.Match != out.Hash {
		return out, problem.New(problem.Stale, "", "The organisation was changed by somebody else in the meantime.")
	}
	if err := f.Validate(s.Engine.Knows); err != nil {
		return out, causes(err)
	}
	plan, err := s.plan(ctx, st, f, o.Prune)
	if err != nil {
		return out, err
	}
	out.Changes = append(out.Changes, orgfile.Diff(st.file(), plan.file)...)
	if o.DryRun || len(out.Changes) == 0 {
		return out, nil
	}
	if err := s.write(ctx, st, plan); err != nil {
		return out, err
	}
	out.Secrets = plan.secrets
	if st, err = s.state(ctx); err != nil {
		return out, err
	}
	out.Hash = st.hash()
	return out, nil
}

// A plan is what is to be written for a file to hold.
type plan struct {
	file    orgfile.File // as it will be
	clients []planned
	secrets map[string]string
	events  []audit.Event
	org     bool // the document changes, and not apps alone
}

type planned struct {
	client oauth.Client
	insert bool
	ends   bool // it is switched off, or became another kind of app
}

func (s *Service) plan(ctx context.Context, st state, f orgfile.File, prune bool) (plan, error) {
	p := plan{file: orgfile.File{Version: orgfile.Version, Org: f.Org}, secrets: map[string]string{}}
	for _, g := range st.org.Groups {
		if slices.ContainsFunc(f.Groups, func(x policy.Group) bool { return x.ID == g.ID }) {
			continue
		}
		if !prune {
			p.file.Groups = append(slices.Clip(p.file.Groups), g)
			continue
		}
		members, err := s.Store.Users(ctx, directory.Query{Group: g.ID, Limit: 1})
		if err != nil {
			return p, err
		}
		if len(members) > 0 {
			return p, invalid("groups", "%q has members, and is not in the file; take them out first", g.ID)
		}
	}
	var wrong []error
	for i, a := range f.Apps {
		if err := p.app(st, a, s.Now()); err != nil {
			wrong = append(wrong, fieldsAt(fmt.Sprintf("apps[%d]", i), err))
		}
	}
	if len(wrong) > 0 {
		return p, causes(errors.Join(wrong...))
	}
	for _, c := range st.clients {
		if slices.ContainsFunc(f.Apps, func(a orgfile.App) bool { return a.ID == c.ID }) {
			continue
		}
		if prune && !c.Disabled { // to delete it is the second step (SEC S-132)
			p.update(c, func(c *oauth.Client) { c.Disabled = true }, s.Now())
			c.Disabled = true
		}
		p.file.Apps = append(p.file.Apps, appOf(c))
	}
	slices.SortFunc(p.file.Apps, func(a, b orgfile.App) int { return strings.Compare(a.ID, b.ID) })
	p.orgEvents(st.org)
	return p, nil
}

// app plans for an app of the file.
func (p *plan) app(st state, a orgfile.App, now time.Time) error {
	c := clientOf(a)
	i := slices.IndexFunc(st.clients, func(x oauth.Client) bool { return x.ID == a.ID })
	if i >= 0 {
		c.Secrets = st.clients[i].Secrets
	}
	if a.Type == orgfile.Public {
		c.Secrets = nil
	}
	c, secret, err := oauth.NewClient(c, a.Type == orgfile.Confidential, now)
	if err != nil {
		return err
	}
	p.file.Apps = append(p.file.Apps, appOf(c))
	if secret != "" {
		p.secrets[c.ID] = secret
	}
	if i < 0 {
		p.clients = append(p.clients, planned{client: c, insert: true})
		p.events = append(p.events, audit.Event{Type: "application.lifecycle.create", Target: c.ID, Client: c.ID})
		return nil
	}
	old := st.clients[i]
	if len(orgfile.Diff(orgfile.File{Apps: []orgfile.App{appOf(old)}}, orgfile.File{Apps: []orgfile.App{appOf(c)}})) > 0 {
		p.update(old, func(into *oauth.Client) {
			c.CreatedAt, c.Version, c.EndedAt = into.CreatedAt, into.Version, into.EndedAt
			*into = c
		}, now)
	}
	return nil
}

func (p *plan) update(old oauth.Client, change func(*oauth.Client), now time.Time) {
	c := old
	change(&c)
	c.Version, c.UpdatedAt = old.Version+1, now
	ends := c.Disabled && !old.Disabled || c.Public() != old.Public()
	if ends {
		c.End(now)
	}
	p.clients = append(p.clients, planned{client: c, ends: ends})
	p.events = append(p.events, clientEvents(old, c)...)
}

// orgEvents records what changes of the document.
func (p *plan) orgEvents(old policy.Org) {
	has := func(groups []policy.Group, id string) bool {
		return slices.ContainsFunc(groups, func(g policy.Group) bool { return g.ID == id })
	}
	for _, g := range p.file.Groups {
		if !has(old.Groups, g.ID) {
			p.events = append(p.events, audit.Event{Type: "group.lifecycle.create", Target: g.ID})
		}
	}
	for _, g := range old.Groups {
		if !has(p.file.Groups, g.ID) {
			p.events = append(p.events, audit.Event{Type: "group.lifecycle.delete", Target: g.ID})
		}
	}
	if len(orgfile.Diff(orgfile.File{Org: old}, orgfile.File{Org: p.file.Org})) > 0 {
		p.org = true
		p.events = append(p.events, audit.Event{Type: "policy.lifecycle.update"})
	}
}

// write commits a plan over the state that it was made for.
func (s *Service) write(ctx context.Context, st state, p plan) error {
	data, err := json.Marshal(p.file.Org)
	if err != nil {
		return err
	}
	err = s.change(ctx, nil, p.events, func(tx Tx) error {
		if p.org {
			if err := tx.ReplaceSetting(OrgSetting, st.raw, data); err != nil {
				return err
			}
		}
		for _, c := range p.clients {
			save := tx.UpdateClient
			if c.insert {
				save = tx.InsertClient
			}
			if err := save(c.client); err != nil {
				return err
			}
			if c.ends {
				if err := tx.RevokeClient(c.client.ID, c.client.EndedAt); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if is(err, problem.Stale) || is(err, problem.Conflict) {
		return problem.New(problem.Stale, "", "The organisation was changed by somebody else in the meantime.")
	}
	if err != nil {
		return err
	}
	return s.Changed(ctx)
}

// fieldsAt gives the errors of a registration the paths that a file has for them.
func fieldsAt(path string, err error) error {
	var out []error
	list := []error{err}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		list = many.Unwrap()
	}
	for _, e := range list {
		var f *oauth.FieldError
		if !errors.As(e, &f) {
			out = append(out, fmt.Errorf("%s: %w", path, e))
			continue
		}
		name := f.Field
		if name == "logoUri" {
			name = "logo"
		}
		out = append(out, fmt.Errorf("%s.%s: %w", path, name, f.Err))
	}
	return errors.Join(out...)
}
