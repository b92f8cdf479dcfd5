package myaccount

import (
	"net/http"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/edge"
)

// passwordBody is AUTH §14.3's Password: one that is not there has a link to set it.
type passwordBody struct {
	ID          string `json:"id,omitempty"`
	Status      string `json:"status"`
	Created     string `json:"created,omitempty"`
	LastUpdated string `json:"lastUpdated,omitempty"`
	Links       links  `json:"_links"`
}

func (s *Server) passwordOf(p account.Password) passwordBody {
	if p.ID == "" {
		b := passwordBody{Status: "NOT_ENROLLED", Links: links{"self": s.to("/password", "GET")}}
		if p.Allowed {
			b.Links["enroll"] = s.to("/password", "POST")
		}
		return b
	}
	return passwordBody{
		ID: p.ID, Status: "ACTIVE", Created: at(p.CreatedAt), LastUpdated: at(p.ChangedAt),
		Links: links{"self": s.to("/password", "GET", "PUT", "DELETE")},
	}
}

type newPassword struct {
	Profile struct {
		Password        string `json:"password"`
		CurrentPassword string `json:"currentPassword"`
	} `json:"profile"`
}

func (c *call) password() error {
	p, err := c.accounts.Password(c.r.Context(), c.by)
	if err == nil {
		edge.WriteJSON(c.w, http.StatusOK, c.passwordOf(p))
	}
	return err
}

func (c *call) setPassword() error {
	var body newPassword
	if err := c.read(&body, false); err != nil {
		return err
	}
	p, err := c.accounts.SetPassword(c.r.Context(), c.by, body.Profile.Password)
	if err == nil {
		edge.WriteJSON(c.w, http.StatusCreated, c.passwordOf(p))
	}
	return err
}

func (c *call) changePassword() error {
	var body newPassword
	if err := c.read(&body, false); err != nil {
		return err
	}
	p, err := c.accounts.ChangePassword(c.r.Context(), c.by, body.Profile.CurrentPassword, body.Profile.Password)
	if err == nil {
		edge.WriteJSON(c.w, http.StatusOK, c.passwordOf(p))
	}
	return err
}

func (c *call) removePassword() error {
	return c.nothing(c.accounts.RemovePassword(c.r.Context(), c.by))
}

// methodBody is a way to sign in that the person has (ACTIVE) or may add.
type methodBody struct {
	ID         string            `json:"id,omitempty"`
	Key        string            `json:"key"`
	Type       string            `json:"type"`
	Name       string            `json:"name"`
	Label      string            `json:"label,omitempty"`
	Status     string            `json:"status"`
	Profile    map[string]string `json:"profile,omitempty"`
	CreatedAt  string            `json:"createdAt,omitempty"`
	LastUsedAt string            `json:"lastUsedAt,omitempty"`
	Removable  bool              `json:"removable"`
	Kept       account.Kept      `json:"kept,omitempty"` // why it is not removable
	Links      links             `json:"_links"`
}

func (c *call) methods() error {
	all, err := c.accounts.Methods(c.r.Context(), c.by)
	if err != nil {
		return err
	}
	out := make([]methodBody, len(all))
	for i, m := range all {
		out[i] = methodBody{
			ID: m.ID, Key: m.Info.Key, Type: m.Info.Type, Name: m.Info.Name, Label: m.Label, Status: "NOT_ENROLLED", Profile: m.Profile,
			CreatedAt: at(m.CreatedAt), LastUsedAt: at(m.LastUsedAt), Kept: m.Kept, Links: links{},
		}
		b := &out[i]
		if m.ID != "" {
			b.Status, b.Removable = "ACTIVE", m.Kept == ""
		}
		var verbs []string
		if m.ID != "" && m.Info.Several {
			verbs = append(verbs, "PUT")
		}
		if b.Removable {
			verbs = append(verbs, "DELETE")
		}
		switch {
		case len(verbs) > 0:
			b.Links["self"] = c.to("/methods/"+m.ID, verbs...)
		case m.ID == "" && m.Info.Type == "password":
			b.Links["enroll"] = c.to("/password", "POST")
		}
	}
	edge.WriteJSON(c.w, http.StatusOK, out)
	return nil
}

func (c *call) renameMethod() error {
	var body struct {
		Label string `json:"label"`
	}
	if err := c.read(&body, false); err != nil {
		return err
	}
	return c.nothing(c.accounts.RenameMethod(c.r.Context(), c.by, c.r.PathValue("id"), body.Label))
}

func (c *call) removeMethod() error {
	return c.nothing(c.accounts.RemoveMethod(c.r.Context(), c.by, c.r.PathValue("id")))
}
