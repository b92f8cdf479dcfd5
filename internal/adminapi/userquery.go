package adminapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stile-id/stile/internal/admin"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/problem"
)

// listUsers answers a page of users. What the database cannot select by is left
// out of the page afterwards, so a page may be shorter than it could be.
func (s *server) listUsers(w http.ResponseWriter, r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := limitOf(q)
	if err != nil {
		return nil, err
	}
	query := directory.Query{After: q.Get("after"), Limit: limit, Search: q.Get("q")}
	keep, err := filters(&query, q.Get("filter"), q.Get("search"))
	if err != nil {
		return nil, err
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
		gone := u.Status == directory.Deactivated && query.Status == "" && (q.Get("q") != "" || q.Get("filter")+q.Get("search") == "")
		if !gone && keep(u) { // (MGMT §3)
			out = append(out, s.user(directory.Account{User: u}, &d.Org))
		}
	}
	links(w, s.base+"/users", q, page, limit)
	return out, nil
}

func limitOf(q url.Values) (int, error) {
	if !q.Has("limit") {
		return 200, nil
	}
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil || n < 1 || n > 10000 {
		return 0, &admin.Invalid{Causes: []string{"limit: must be a number from 1 to 200"}}
	}
	return min(n, 200), nil
}

// links writes one header line for each relation: some clients read no others (MGMT §2.2).
func links(w http.ResponseWriter, base string, q url.Values, page []directory.User, limit int) {
	add := func(rel string) {
		w.Header().Add("Link", fmt.Sprintf("<%s?%s>; rel=%q", base, q.Encode(), rel))
	}
	q.Set("limit", strconv.Itoa(limit))
	add("self")
	if len(page) == limit {
		q.Set("after", page[len(page)-1].ID)
		add("next")
	}
}

// filters reads the subset of SCIM that exists: clauses of "attribute op value", joined by and.
func filters(query *directory.Query, expressions ...string) (keep func(directory.User) bool, err error) {
	var tests []func(directory.User) bool
	for _, e := range expressions {
		for _, clause := range splitClauses(e) {
			test, err := readClause(query, clause)
			if err != nil {
				return nil, err
			}
			tests = append(tests, test)
		}
	}
	return func(u directory.User) bool {
		for _, t := range tests {
			if !t(u) {
				return false
			}
		}
		return true
	}, nil
}

func splitClauses(e string) []string {
	if strings.TrimSpace(e) == "" {
		return nil
	}
	var out []string
	start, quoted := 0, false
	for i := 0; i < len(e); i++ {
		switch {
		case e[i] == '"':
			quoted = !quoted
		case !quoted && strings.HasPrefix(strings.ToLower(e[i:]), " and "):
			out = append(out, e[start:i])
			start = i + len(" and ")
			i = start - 1
		}
	}
	return append(out, e[start:])
}

func readClause(query *directory.Query, clause string) (func(directory.User) bool, error) {
	bad := problem.New(problem.Invalid, "E0000031", "Invalid search criteria: %s", clause)
	parts := strings.SplitN(strings.TrimSpace(clause), " ", 3)
	if len(parts) != 3 {
		return nil, bad
	}
	value, err := strconv.Unquote(strings.TrimSpace(parts[2]))
	if err != nil {
		return nil, bad
	}
	of := map[string]func(directory.User) string{
		"id":                func(u directory.User) string { return u.ID },
		"status":            func(u directory.User) string { return string(u.Status) },
		"profile.login":     func(u directory.User) string { return u.Email },
		"profile.email":     func(u directory.User) string { return u.Email },
		"profile.firstName": func(u directory.User) string { return u.FirstName },
		"profile.lastName":  func(u directory.User) string { return u.LastName },
	}[parts[0]]
	if of == nil {
		return nil, bad
	}
	fold := directory.Fold(value)
	if parts[0] == "id" || parts[0] == "status" {
		fold = value
	}
	narrow := strings.HasPrefix(parts[0], "profile.") && query.Search == ""
	switch op := strings.ToLower(parts[1]); {
	case op == "eq" && parts[0] == "status":
		query.Status = directory.Status(value)
	case (op == "eq" || op == "sw") && narrow:
		query.Search = value
	case op == "co" && strings.HasPrefix(parts[0], "profile."), op == "eq", op == "sw" && !narrow && parts[0] != "status":
	default:
		return nil, bad
	}
	return func(u directory.User) bool {
		v := of(u)
		if strings.HasPrefix(parts[0], "profile.") {
			v = directory.Fold(v)
		}
		switch strings.ToLower(parts[1]) {
		case "sw":
			return strings.HasPrefix(v, fold)
		case "co":
			return strings.Contains(v, fold)
		}
		return v == fold
	}, nil
}
