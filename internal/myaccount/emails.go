package myaccount

import (
	"net/http"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

type addressBody struct {
	Email string `json:"email"`
}

// emailBody is AUTH §14.3's Email. Clients dereference _links of each.
type emailBody struct {
	ID      string      `json:"id"`
	Status  string      `json:"status"`
	Profile addressBody `json:"profile"`
	Roles   []string    `json:"roles"`
	Expires string      `json:"expiresAt,omitempty"` // ours: of one that waits
	Links   links       `json:"_links"`
}

type challengeBody struct {
	ID        string      `json:"id"`
	Status    string      `json:"status"`
	ExpiresAt string      `json:"expiresAt"`
	Profile   addressBody `json:"profile"`
	Links     links       `json:"_links"`
}

func status(verified bool) string {
	if verified {
		return "VERIFIED"
	}
	return "UNVERIFIED"
}

// emailOf has poll and verify only where there is a code to give: that is how
// clients know.
func (s *Server) emailOf(e account.Email) emailBody {
	path := "/emails/" + e.ID
	b := emailBody{ID: e.ID, Status: status(e.Verified), Profile: addressBody{e.Address}, Roles: []string{"PRIMARY"}}
	if e.Verified {
		b.Links = links{"self": s.to(path, "GET")}
		return b
	}
	b.Expires = at(e.ExpiresAt)
	b.Links = links{"self": s.to(path, "GET", "DELETE"), "challenge": s.to(path+"/challenge", "POST")}
	if e.Challenge != "" {
		path += "/challenge/" + e.Challenge
		b.Links["poll"], b.Links["verify"] = s.to(path, "GET"), s.to(path+"/verify", "POST")
	}
	return b
}

func (s *Server) challengeOf(e account.Email) challengeBody {
	path := "/emails/" + e.ID + "/challenge/" + e.Challenge
	return challengeBody{
		ID: e.Challenge, Status: status(e.Verified), ExpiresAt: at(e.ExpiresAt), Profile: addressBody{e.Address},
		Links: links{"verify": s.to(path+"/verify", "POST"), "poll": s.to(path, "GET")},
	}
}

func (c *call) emails() error {
	all, err := c.accounts.Emails(c.r.Context(), c.by)
	if err != nil {
		return err
	}
	out := make([]emailBody, len(all))
	for i, e := range all {
		out[i] = c.emailOf(e)
	}
	edge.WriteJSON(c.w, http.StatusOK, out)
	return nil
}

// addEmail begins a change of the address. There is one address to an account.
func (c *call) addEmail() error {
	var body struct {
		Profile   addressBody `json:"profile"`
		SendEmail *bool       `json:"sendEmail"`
		Role      string      `json:"role"`
	}
	if err := c.read(&body, false); err != nil {
		return err
	}
	switch body.Role {
	case "PRIMARY", "":
	case "SECONDARY":
		return problem.New(problem.Forbidden, "role", "Secondary emails are not in use here.")
	default:
		return problem.New(problem.Invalid, "role", "role: PRIMARY is the one role that there is")
	}
	e, err := c.accounts.ChangeEmail(c.r.Context(), c.by, body.Profile.Email, body.SendEmail == nil || *body.SendEmail)
	if err != nil {
		return err
	}
	code := http.StatusCreated
	if e.Verified { // the address in use
		code = http.StatusOK
	}
	edge.WriteJSON(c.w, code, c.emailOf(e))
	return nil
}

func (c *call) email() error {
	e, err := c.accounts.Email(c.r.Context(), c.by, c.r.PathValue("id"))
	if err == nil {
		edge.WriteJSON(c.w, http.StatusOK, c.emailOf(e))
	}
	return err
}

func (c *call) deleteEmail() error {
	return c.nothing(c.accounts.CancelEmail(c.r.Context(), c.by, c.r.PathValue("id")))
}

// nothing answers what has no body.
func (c *call) nothing(err error) error {
	if err == nil {
		c.w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (c *call) challengeEmail() error {
	var body struct{}
	if err := c.read(&body, true); err != nil {
		return err
	}
	e, err := c.accounts.SendCode(c.r.Context(), c.by, c.r.PathValue("id"))
	if err == nil {
		edge.WriteJSON(c.w, http.StatusCreated, c.challengeOf(e))
	}
	return err
}

func (c *call) pollEmail() error {
	e, err := c.accounts.Challenge(c.r.Context(), c.by, c.r.PathValue("id"), c.r.PathValue("challenge"))
	if err == nil {
		edge.WriteJSON(c.w, http.StatusOK, c.challengeOf(e))
	}
	return err
}

func (c *call) verifyEmail() error {
	var body struct {
		Code string `json:"verificationCode"`
	}
	if err := c.read(&body, false); err != nil {
		return err
	}
	err := c.accounts.VerifyEmail(c.r.Context(), c.by, c.r.PathValue("id"), c.r.PathValue("challenge"), body.Code)
	if err == nil {
		c.w.WriteHeader(http.StatusOK)
	}
	return err
}
