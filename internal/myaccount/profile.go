package myaccount

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

// A link says where something is and by which methods it may be used.
type link struct {
	Href  string `json:"href"`
	Hints *hints `json:"hints,omitempty"`
}

type hints struct {
	Allow []string `json:"allow"`
}

type links map[string]link

func (s *Server) to(path string, allow ...string) link {
	return link{Href: s.base + path, Hints: &hints{Allow: allow}}
}

type profileBody struct {
	CreatedAt  string         `json:"createdAt"`
	ModifiedAt string         `json:"modifiedAt"`
	Profile    map[string]any `json:"profile"`
	Links      links          `json:"_links"`
}

func (c *call) writeProfile(p account.Profile) {
	body := profileBody{
		CreatedAt: at(p.CreatedAt), ModifiedAt: at(p.UpdatedAt), Profile: map[string]any{},
		Links: links{"self": c.to("/profile", "GET", "PUT"), "describedBy": c.to("/profile/schema", "GET")},
	}
	for _, v := range p.Properties {
		body.Profile[v.Name] = encode(v.Value)
	}
	edge.WriteJSON(c.w, http.StatusOK, body)
}

// encode writes a value by its type: a number as it was given, not as a string
// (AUTH A-70); null where there is none, since what is read is to be sent back whole.
func encode(v account.Value) any {
	switch v.Type {
	case "":
		return nil
	case "number":
		if json.Valid([]byte(v.Text)) {
			return json.Number(v.Text)
		}
	case "boolean":
		return v.Text == "true"
	}
	return v.Text
}

func (c *call) profile() error {
	p, err := c.accounts.Profile(c.r.Context(), c.by)
	if err == nil {
		c.writeProfile(p)
	}
	return err
}

func (c *call) updateProfile() error {
	var body struct {
		Profile map[string]json.RawMessage `json:"profile"`
	}
	if err := c.read(&body, false); err != nil {
		return err
	}
	if body.Profile == nil {
		return problem.New(problem.Invalid, "profile", "profile: The field cannot be left blank")
	}
	values := map[string]account.Value{}
	for name, raw := range body.Profile {
		values[name] = decode(raw)
	}
	p, err := c.accounts.UpdateProfile(c.r.Context(), c.by, values)
	if err == nil {
		c.writeProfile(p)
	}
	return err
}

// decode reads a value by what it is written as. Lists and objects are of types
// that no property has.
func decode(raw json.RawMessage) account.Value {
	raw = bytes.TrimSpace(raw)
	switch raw[0] {
	case 'n':
		return account.Value{}
	case 't', 'f':
		return account.Value{Type: "boolean", Text: string(raw)}
	case '"':
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return account.Value{Type: "broken"}
		}
		return account.Value{Type: "string", Text: text}
	case '[':
		return account.Value{Type: "array"}
	case '{':
		return account.Value{Type: "object"}
	}
	return account.Value{Type: "number", Text: string(raw)}
}

// inOrder is an object whose members stand as the organisation has put them: forms
// are made of it.
type inOrder []propertyBody

func (all inOrder) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, p := range all {
		name, err := json.Marshal(p.name)
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(body)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

type propertyBody struct {
	name        string
	Title       string            `json:"title"`
	Type        string            `json:"type"`
	Required    bool              `json:"required,omitempty"`
	MinLength   int               `json:"minLength,omitempty"`
	MaxLength   int               `json:"maxLength,omitempty"`
	Enum        []string          `json:"enum,omitempty"`
	Permissions map[string]string `json:"permissions"`
}

func (c *call) schema() error {
	p, err := c.accounts.Profile(c.r.Context(), c.by)
	if err != nil {
		return err
	}
	properties := inOrder{}
	for _, v := range p.Properties {
		permission := "READ_WRITE"
		if v.ReadOnly {
			permission = "READ_ONLY"
		}
		properties = append(properties, propertyBody{
			name:  v.Name,
			Title: v.Title(), Type: v.Attribute.Type, Required: v.Required, MinLength: v.MinLength, MaxLength: v.MaxLength,
			Enum: v.Enum, Permissions: map[string]string{"SELF": permission},
		})
	}
	edge.WriteJSON(c.w, http.StatusOK, struct {
		Properties inOrder `json:"properties"`
		Links      links   `json:"_links"`
	}{properties, links{"self": c.to("/profile/schema", "GET"), "user": c.to("/profile", "GET", "PUT")}})
	return nil
}
