package admin

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

// Everyone is the group that all people are in; policies without groups are for it.
var Everyone = policy.Group{ID: "everyone", Name: "Everyone", Description: "All users in your organization"}

// Groups returns the groups whose name begins with a text, Everyone first.
func (s *Service) Groups(ctx context.Context, begins string) ([]policy.Group, error) {
	org, err := s.org(ctx)
	if err != nil {
		return nil, err
	}
	all := append([]policy.Group{Everyone}, org.Groups...)
	return slices.DeleteFunc(all, func(g policy.Group) bool {
		return !strings.HasPrefix(directory.Fold(nameOf(g)), directory.Fold(begins))
	}), nil
}

func nameOf(g policy.Group) string {
	if g.Name == "" {
		return g.ID
	}
	return g.Name
}

// Group returns a group.
func (s *Service) Group(ctx context.Context, id string) (policy.Group, error) {
	all, err := s.Groups(ctx, "")
	if err != nil {
		return policy.Group{}, err
	}
	i := slices.IndexFunc(all, func(g policy.Group) bool { return g.ID == id })
	if i < 0 {
		return policy.Group{}, notFound(id, "UserGroup")
	}
	return all[i], nil
}

// SaveGroup makes a group, or changes what one is called.
func (s *Service) SaveGroup(ctx context.Context, g policy.Group) (policy.Group, error) {
	if strings.TrimSpace(g.Name) == "" || len(g.Name) > 255 {
		return g, invalid("name", "must be 1 to 255 characters")
	}
	event := audit.Event{Type: "group.lifecycle.update", Target: g.ID}
	if g.ID == "" {
		g.ID = directory.NewID("00g")
		event = audit.Event{Type: "group.lifecycle.create", Target: g.ID}
	} else if _, err := s.Group(ctx, g.ID); err != nil {
		return g, err
	}
	if g.ID == Everyone.ID {
		return g, problem.New(problem.Forbidden, "E0000006", "The group of everybody cannot be changed.")
	}
	return g, s.editOrg(ctx, event, func(org *policy.Org) error {
		if directory.Fold(g.Name) == directory.Fold(Everyone.Name) ||
			slices.ContainsFunc(org.Groups, func(x policy.Group) bool { return x.ID != g.ID && nameOf(x) == g.Name }) {
			return invalid("name", "An object with this field already exists in the current organization")
		}
		i := slices.IndexFunc(org.Groups, func(x policy.Group) bool { return x.ID == g.ID })
		if i < 0 {
			org.Groups = append(org.Groups, g)
		} else {
			org.Groups[i] = g
		}
		return nil
	})
}

// DeleteGroup takes everybody out of a group and removes it. One that a policy
// names stays: without it the policy would be for everybody.
func (s *Service) DeleteGroup(ctx context.Context, id string) error {
	if _, err := s.Group(ctx, id); err != nil {
		return err
	}
	if id == Everyone.ID {
		return problem.New(problem.Forbidden, "E0000006", "The group of everybody cannot be deleted.")
	}
	remove := func(org *policy.Org) error {
		org.Groups = slices.DeleteFunc(org.Groups, func(g policy.Group) bool { return g.ID == id })
		return nil
	}
	org, err := s.org(ctx)
	if err != nil {
		return err
	}
	if org.Groups = slices.Clone(org.Groups); remove(org) == nil {
		if err := org.Validate(s.Engine.Knows); err != nil {
			return causes(err)
		}
	}
	for {
		members, err := s.Store.Users(ctx, directory.Query{Group: id, Limit: maxLimit})
		if err != nil {
			return err
		}
		if len(members) == 0 {
			return s.editOrg(ctx, audit.Event{Type: "group.lifecycle.delete", Target: id}, remove)
		}
		for _, u := range members {
			if err := s.SetMember(ctx, id, u.ID, false); err != nil && !is(err, problem.NotFound) {
				return err
			}
		}
	}
}

// SetMember puts somebody into a group, or takes them out; either may be so already.
func (s *Service) SetMember(ctx context.Context, group, user string, in bool) error {
	if _, err := s.Group(ctx, group); err != nil {
		return err
	}
	event := "group.user_membership.remove"
	if in {
		event = "group.user_membership.add"
	}
	return again(func() error {
		a, err := s.User(ctx, user)
		if err != nil {
			return err
		}
		if group == Everyone.ID || slices.Contains(a.Groups, group) == in {
			return nil
		}
		if in {
			a.Groups = slices.Sorted(slices.Values(append(slices.Clone(a.Groups), group)))
		} else {
			a.Groups = slices.DeleteFunc(slices.Clone(a.Groups), func(g string) bool { return g == group })
		}
		a.Version++
		a.UpdatedAt = s.Now()
		events := []audit.Event{{Type: event, Target: a.ID, Reason: group}}
		return s.change(ctx, nil, events, func(tx Tx) error { return tx.UpdateUser(a.User) })
	})
}

// editOrg changes the stored document.
func (s *Service) editOrg(ctx context.Context, event audit.Event, edit func(*policy.Org) error) error {
	err := again(func() error {
		st, err := s.state(ctx)
		if err != nil {
			return err
		}
		st.org.Groups = slices.Clone(st.org.Groups)
		if err := edit(&st.org); err != nil {
			return err
		}
		if err := st.org.Validate(s.Engine.Knows); err != nil {
			return causes(err)
		}
		data, err := json.Marshal(st.org)
		if err != nil {
			return err
		}
		return s.change(ctx, nil, []audit.Event{event}, func(tx Tx) error {
			return tx.ReplaceSetting(OrgSetting, st.raw, data)
		})
	})
	if err != nil {
		return err
	}
	return s.Changed(ctx)
}
