package myaccount

import (
	"net/http"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

type numberBody struct {
	PhoneNumber string `json:"phoneNumber"`
}

// phoneBody is AUTH §14.3's Phone.
type phoneBody struct {
	ID      string     `json:"id"`
	Status  string     `json:"status"`
	Profile numberBody `json:"profile"`
	Expires string     `json:"expiresAt,omitempty"` // ours: of one that waits
	Links   links      `json:"_links"`
}

// phoneOf has verify only where there is a code to give.
func (s *Server) phoneOf(p account.Phone) phoneBody {
	path := "/phones/" + p.ID
	b := phoneBody{ID: p.ID, Status: status(p.Verified), Profile: numberBody{p.Number}}
	b.Links = links{"self": s.to(path, "GET", "DELETE")}
	switch {
	case p.Verified && p.Kept != "":
		b.Links["self"] = s.to(path, "GET")
	case !p.Verified:
		b.Expires = at(p.ExpiresAt)
		b.Links["challenge"] = s.to(path+"/challenge", "POST")
	}
	if p.Challenge != "" {
		b.Links["verify"] = s.to(path+"/verify", "POST")
	}
	return b
}

func (c *call) phones() error {
	all, err := c.accounts.Phones(c.r.Context(), c.by)
	if err != nil {
		return err
	}
	out := make([]phoneBody, len(all))
	for i, p := range all {
		out[i] = c.phoneOf(p)
	}
	edge.WriteJSON(c.w, http.StatusOK, out)
	return nil
}

func (c *call) phone() error {
	p, err := c.accounts.Phone(c.r.Context(), c.by, c.r.PathValue("id"))
	if err == nil {
		edge.WriteJSON(c.w, http.StatusOK, c.phoneOf(p))
	}
	return err
}

// phoneMethod reads the API's word for a way to send a code.
func phoneMethod(said string) (string, error) {
	switch said {
	case "SMS", "":
		return "sms", nil
	case "CALL":
		return "voice", nil
	}
	return "", problem.New(problem.Invalid, "method", "method: SMS and CALL are those that there are")
}

// addPhone takes a new number. There is one number to an account.
func (c *call) addPhone() error {
	var body struct {
		Profile  numberBody `json:"profile"`
		SendCode *bool      `json:"sendCode"`
		Method   string     `json:"method"`
	}
	if err := c.read(&body, false); err != nil {
		return err
	}
	method, err := phoneMethod(body.Method)
	if err != nil {
		return err
	}
	p, err := c.accounts.AddPhone(c.r.Context(), c.by, body.Profile.PhoneNumber, method, body.SendCode == nil || *body.SendCode)
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", c.base+"/phones/"+p.ID)
	edge.WriteJSON(c.w, http.StatusCreated, c.phoneOf(p))
	return nil
}

func (c *call) deletePhone() error {
	return c.nothing(c.accounts.RemovePhone(c.r.Context(), c.by, c.r.PathValue("id")))
}

func (c *call) challengePhone() error {
	var body struct {
		Method string `json:"method"`
		Retry  bool   `json:"retry"` // every code but the first is one
	}
	if err := c.read(&body, true); err != nil {
		return err
	}
	method, err := phoneMethod(body.Method)
	if err != nil {
		return err
	}
	p, err := c.accounts.SendPhoneCode(c.r.Context(), c.by, c.r.PathValue("id"), method)
	if err == nil {
		edge.WriteJSON(c.w, http.StatusOK, c.phoneOf(p))
	}
	return err
}

func (c *call) verifyPhone() error {
	var body struct {
		Code string `json:"verificationCode"`
	}
	if err := c.read(&body, false); err != nil {
		return err
	}
	return c.nothing(c.accounts.VerifyPhone(c.r.Context(), c.by, c.r.PathValue("id"), body.Code))
}
