package myaccount

import (
	"net/http"

	"github.com/stile-id/stile/internal/edge"
)

// deviceBody is where the person is signed in.
type deviceBody struct {
	ID         string   `json:"id"`
	Browser    string   `json:"browser,omitempty"`
	System     string   `json:"system,omitempty"`
	IP         string   `json:"ip,omitempty"`
	Apps       []string `json:"apps"`
	CreatedAt  string   `json:"createdAt"`
	LastSeenAt string   `json:"lastSeenAt"`
	ExpiresAt  string   `json:"expiresAt"`
	Current    bool     `json:"current"`
	Links      links    `json:"_links"`
}

func (c *call) devices() error {
	all, err := c.accounts.Devices(c.r.Context(), c.by)
	if err != nil {
		return err
	}
	out := make([]deviceBody, len(all))
	for i, d := range all {
		out[i] = deviceBody{
			ID: d.ID, Browser: d.Browser, System: d.System, IP: d.IP, Apps: append([]string{}, d.Apps...),
			CreatedAt: at(d.CreatedAt), LastSeenAt: at(d.SeenAt), ExpiresAt: at(d.EndsAt), Current: d.Current,
			Links: links{"self": c.to("/devices/"+d.ID, "DELETE")},
		}
	}
	edge.WriteJSON(c.w, http.StatusOK, out)
	return nil
}

func (c *call) endDevice() error {
	return c.nothing(c.accounts.EndDevice(c.r.Context(), c.by, c.r.PathValue("id")))
}

func (c *call) endOtherDevices() error {
	return c.nothing(c.accounts.EndOtherDevices(c.r.Context(), c.by))
}

func (c *call) signOutEverywhere() error {
	return c.nothing(c.accounts.SignOutEverywhere(c.r.Context(), c.by))
}
