package adminapi

import (
	"net/http"

	"github.com/stile-id/stile/internal/admin"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
)

// A Group is the resource of that name (MGMT §4).
type Group struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Profile GroupProfile    `json:"profile"`
	Links   map[string]Link `json:"_links"`
}

// A GroupProfile is what a group is called.
type GroupProfile struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

func (s *server) groups() map[string]endpoint {
	member := func(in bool) endpoint {
		return func(_ http.ResponseWriter, r *http.Request) (any, error) {
			return nil, s.admin.SetMember(r.Context(), r.PathValue("group"), r.PathValue("user"), in)
		}
	}
	return map[string]endpoint{
		"GET /groups": func(_ http.ResponseWriter, r *http.Request) (any, error) {
			all, err := s.admin.Groups(r.Context(), r.URL.Query().Get("q"))
			return s.listOf(all), err
		},
		"POST /groups":        s.saveGroup,
		"GET /groups/{group}": s.getGroup,
		"PUT /groups/{group}": s.saveGroup,
		"DELETE /groups/{group}": func(_ http.ResponseWriter, r *http.Request) (any, error) {
			return nil, s.admin.DeleteGroup(r.Context(), r.PathValue("group"))
		},
		"GET /groups/{group}/users":           s.members,
		"PUT /groups/{group}/users/{user}":    member(true),
		"DELETE /groups/{group}/users/{user}": member(false),
	}
}

func (s *server) group(g policy.Group) Group {
	out := Group{
		ID: g.ID, Type: "OKTA_GROUP", Profile: GroupProfile{g.Name, g.Description},
		Links: map[string]Link{"self": {Href: s.base + "/groups/" + g.ID}, "users": {Href: s.base + "/groups/" + g.ID + "/users"}},
	}
	if g.Name == "" {
		out.Profile.Name = g.ID
	}
	if g.ID == admin.Everyone.ID {
		out.Type = "BUILT_IN"
	}
	return out
}

func (s *server) listOf(groups []policy.Group) []Group {
	out := []Group{}
	for _, g := range groups {
		out = append(out, s.group(g))
	}
	return out
}

func (s *server) getGroup(_ http.ResponseWriter, r *http.Request) (any, error) {
	g, err := s.admin.Group(r.Context(), r.PathValue("group"))
	return s.group(g), err
}

func (s *server) saveGroup(w http.ResponseWriter, r *http.Request) (any, error) {
	var body struct{ Profile GroupProfile }
	if err := read(w, r, &body); err != nil {
		return nil, err
	}
	g, err := s.admin.SaveGroup(r.Context(), policy.Group{
		ID: r.PathValue("group"), Name: body.Profile.Name, Description: body.Profile.Description,
	})
	return s.group(g), err
}

func (s *server) members(w http.ResponseWriter, r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := limitOf(q)
	if err != nil {
		return nil, err
	}
	g, err := s.admin.Group(r.Context(), r.PathValue("group"))
	if err != nil {
		return nil, err
	}
	query := directory.Query{After: q.Get("after"), Limit: limit, Group: g.ID}
	if g.ID == admin.Everyone.ID {
		query.Group = ""
	}
	page, err := s.admin.Users(r.Context(), query)
	if err != nil {
		return nil, err
	}
	d, err := s.admin.Document(r.Context())
	if err != nil {
		return nil, err
	}
	out := []User{}
	for _, u := range page {
		out = append(out, s.user(directory.Account{User: u}, &d.Org))
	}
	links(w, s.base+"/groups/"+g.ID+"/users", q, page, limit)
	return out, nil
}

func (s *server) groupsOfUser(_ http.ResponseWriter, r *http.Request) (any, error) {
	a, err := s.admin.User(r.Context(), r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	all, err := s.admin.Groups(r.Context(), "")
	if err != nil {
		return nil, err
	}
	var mine []policy.Group
	for _, g := range all {
		if g.ID == admin.Everyone.ID {
			mine = append(mine, g)
		}
		for _, id := range a.Groups {
			if id == g.ID {
				mine = append(mine, g)
			}
		}
	}
	return s.listOf(mine), nil
}
