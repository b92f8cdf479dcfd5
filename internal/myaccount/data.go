package myaccount

import (
	"net/http"
	"strconv"
	"time"

	"github.com/stile-id/stile/internal/account"
	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/problem"
)

// dataBody is the document that people download, and that an operator exports for
// them (docs/account.md).
type dataBody struct {
	GeneratedAt string        `json:"generatedAt"`
	User        userData      `json:"user"`
	Methods     []methodData  `json:"methods"`
	Addresses   []addressData `json:"addresses"`
	Sessions    []sessionData `json:"sessions"`
	Apps        []grantData   `json:"apps"`
	Devices     []browserData `json:"knownDevices"`
	Tickets     []ticketData  `json:"tickets,omitempty"`
	Mails       []mailData    `json:"mails,omitempty"`
	Events      []audit.Event `json:"events"`
	EventsSince string        `json:"eventsSince,omitempty"` // there are older ones that were not looked through
}

type userData struct {
	ID              string            `json:"id"`
	Status          string            `json:"status"`
	Email           string            `json:"email"`
	EmailVerifiedAt string            `json:"emailVerifiedAt,omitempty"`
	FirstName       string            `json:"firstName"`
	LastName        string            `json:"lastName"`
	Locale          string            `json:"locale,omitempty"`
	Attributes      map[string]string `json:"attributes,omitempty"`
	Groups          []string          `json:"groups,omitempty"`
	CreatedAt       string            `json:"createdAt"`
	UpdatedAt       string            `json:"updatedAt"`
	SignedOutAt     string            `json:"signedOutAt,omitempty"`
	DeleteAt        string            `json:"deleteAt,omitempty"`
}

type methodData struct {
	ID         string            `json:"id"`
	Key        string            `json:"key"`
	Profile    map[string]string `json:"profile,omitempty"`
	Address    string            `json:"address,omitempty"` // its own: a phone's number
	CreatedAt  string            `json:"createdAt"`
	LastUsedAt string            `json:"lastUsedAt,omitempty"`
}

type addressData struct {
	Email string `json:"email"`
	State string `json:"state"` // "pending" or "replaced"
	Until string `json:"until"`
}

type proofData struct {
	Authenticator string `json:"authenticator"`
	At            string `json:"at"`
}

type sessionData struct {
	ID        string      `json:"id"`
	Proofs    []proofData `json:"proofs"`
	IP        string      `json:"ip,omitempty"`
	UserAgent string      `json:"userAgent,omitempty"`
	CreatedAt string      `json:"createdAt"`
	SeenAt    string      `json:"lastSeenAt"`
	ExpiresAt string      `json:"expiresAt"`
	EndedAt   string      `json:"endedAt,omitempty"`
}

type grantData struct {
	ID        string   `json:"id"`
	ClientID  string   `json:"clientId"`
	Scopes    []string `json:"scopes"`
	IP        string   `json:"ip,omitempty"`
	UserAgent string   `json:"userAgent,omitempty"`
	CreatedAt string   `json:"createdAt"`
	SeenAt    string   `json:"lastSeenAt"`
	ExpiresAt string   `json:"expiresAt"`
	RevokedAt string   `json:"revokedAt,omitempty"`
}

// A ticketData is a token that was handed out, without the token.
type ticketData struct {
	Kind      string `json:"kind"`
	CreatedAt string `json:"createdAt"`
	ExpiresAt string `json:"expiresAt"`
	SpentAt   string `json:"spentAt,omitempty"`
}

type mailData struct {
	ID        string `json:"id"`
	To        string `json:"to"`
	Template  string `json:"template"`
	Status    string `json:"status"`
	Attempts  int    `json:"attempts"`
	CreatedAt string `json:"createdAt"`
	ExpiresAt string `json:"expiresAt"`
}

type browserData struct {
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"userAgent,omitempty"`
	CreatedAt string `json:"createdAt"`
	SeenAt    string `json:"lastSeenAt"`
	ExpiresAt string `json:"expiresAt"`
}

func (c *call) data() error {
	d, err := c.accounts.Data(c.r.Context(), c.by)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Disposition", `attachment; filename="account-data.json"`)
	edge.WriteJSON(c.w, http.StatusOK, Document(d))
	return nil
}

// Document is the data of a person as it is written: a struct for JSON.
func Document(d account.Data) any {
	u := d.User
	b := dataBody{
		GeneratedAt: at(d.At), Methods: []methodData{}, Addresses: []addressData{}, Sessions: []sessionData{}, Apps: []grantData{},
		Devices: []browserData{}, Events: append([]audit.Event{}, d.Events...), EventsSince: at(d.EventsSince),
		User: userData{
			ID: u.ID, Status: string(u.Status), Email: u.Email, EmailVerifiedAt: at(u.EmailVerifiedAt), FirstName: u.FirstName,
			LastName: u.LastName, Locale: u.Locale, Attributes: u.Attributes, Groups: u.Groups, CreatedAt: at(u.CreatedAt),
			UpdatedAt: at(u.UpdatedAt), SignedOutAt: at(u.SignedOutAt), DeleteAt: at(u.DeleteAt),
		},
	}
	for _, m := range d.Methods {
		b.Methods = append(b.Methods, methodData{m.ID, m.Info.Key, m.Profile, m.Address, at(m.CreatedAt), at(m.LastUsedAt)})
	}
	for _, a := range d.Addresses {
		state := "replaced"
		if a.Pending {
			state = "pending"
		}
		b.Addresses = append(b.Addresses, addressData{a.Address, state, at(a.Until)})
	}
	for _, s := range d.Sessions {
		one := sessionData{s.ID, []proofData{}, s.IP, s.UserAgent, at(s.CreatedAt), at(s.SeenAt), at(s.ExpiresAt), at(s.EndedAt)}
		for _, p := range s.Proofs {
			one.Proofs = append(one.Proofs, proofData{p.Authenticator, at(p.At)})
		}
		b.Sessions = append(b.Sessions, one)
	}
	for _, g := range d.Grants {
		b.Apps = append(b.Apps, grantData{g.ID, g.App, g.Scopes, g.IP, g.UserAgent, at(g.CreatedAt), at(g.SeenAt), at(g.EndsAt), at(g.RevokedAt)})
	}
	for _, k := range d.Devices { // not by their ids, which are secrets' hashes
		b.Devices = append(b.Devices, browserData{k.IP, k.UserAgent, at(k.CreatedAt), at(k.SeenAt), at(k.ExpiresAt)})
	}
	for _, k := range d.Tickets {
		b.Tickets = append(b.Tickets, ticketData{string(k.Kind), at(k.CreatedAt), at(k.ExpiresAt), at(k.SpentAt)})
	}
	for _, m := range d.Mails {
		b.Mails = append(b.Mails, mailData{m.ID, m.To, m.Template, m.Status, m.Attempts, at(m.CreatedAt), at(m.ExpiresAt)})
	}
	return b
}

// maxProof is the oldest proof that anybody may ask about, in seconds.
const maxProof = 24 * 60 * 60

// proof tells whether a change that needs a proof of that age would be refused, or the
// removal of a way to sign in.
func (c *call) proof() error {
	asked := c.r.URL.Query()
	if id := asked.Get("remove"); id != "" {
		return c.nothing(c.accounts.Removable(c.r.Context(), c.by, id))
	}
	age, err := strconv.Atoi(asked.Get("max_age"))
	if err != nil || age < 1 || age > maxProof {
		return problem.New(problem.Invalid, "max_age", "max_age: a number of seconds, from 1 to %d", maxProof)
	}
	return c.nothing(c.accounts.Proven(c.r.Context(), c.by, time.Duration(age)*time.Second))
}

// deletionBody tells whether the account goes, and when.
type deletionBody struct {
	Status   string `json:"status"` // "NONE" or "SCHEDULED"
	DeleteAt string `json:"deleteAt,omitempty"`
	Wait     int    `json:"waitSeconds"` // from the request to the end
	Links    links  `json:"_links"`
}

func (c *call) writeDeletion(when time.Time) {
	b := deletionBody{Status: "NONE", Links: links{"self": c.to("/deletion", "GET", "POST")}}
	if !when.IsZero() {
		b = deletionBody{Status: "SCHEDULED", DeleteAt: at(when), Links: links{"self": c.to("/deletion", "GET", "DELETE")}}
	}
	b.Wait = int(account.DeletionWait.Seconds())
	edge.WriteJSON(c.w, http.StatusOK, b)
}

func (c *call) deletion() error {
	when, err := c.accounts.Deletion(c.r.Context(), c.by)
	if err == nil {
		c.writeDeletion(when)
	}
	return err
}

func (c *call) requestDeletion() error {
	when, err := c.accounts.RequestDeletion(c.r.Context(), c.by)
	if err == nil {
		c.writeDeletion(when)
	}
	return err
}

func (c *call) cancelDeletion() error {
	return c.nothing(c.accounts.KeepAccount(c.r.Context(), c.by))
}
