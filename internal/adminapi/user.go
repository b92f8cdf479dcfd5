package adminapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/admin"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
)

// A User is the resource of that name (MGMT §3).
type User struct {
	ID              string          `json:"id"`
	Status          string          `json:"status"`
	Created         Time            `json:"created"`
	Activated       Time            `json:"activated"`
	StatusChanged   Time            `json:"statusChanged"`
	LastLogin       Time            `json:"lastLogin"`
	LastUpdated     Time            `json:"lastUpdated"`
	PasswordChanged Time            `json:"passwordChanged"`
	Type            TypeOf          `json:"type"`
	Profile         map[string]any  `json:"profile"`
	Credentials     Credentials     `json:"credentials"`
	Embedded        *Embedded       `json:"_embedded,omitempty"`
	Links           map[string]Link `json:"_links"`
}

// TypeOf is the type of a user.
type TypeOf struct {
	ID string `json:"id"`
}

// Credentials tell what a user signs in with.
type Credentials struct {
	Password *struct{} `json:"password,omitempty"` // there is one
	Emails   []Email   `json:"emails,omitempty"`
	Provider Provider  `json:"provider"`
}

// An Email is an address of a user.
type Email struct {
	Value  string `json:"value"`
	Status string `json:"status"`
	Type   string `json:"type"`
}

// A Provider is who knows a user's credentials.
type Provider struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// Embedded is what was asked for beside a user.
type Embedded struct {
	Groups     []string    `json:"groups"`
	Activation *Activation `json:"activation,omitempty"`
}

// An Activation is a ticket as the wire has it.
type Activation struct {
	Token     string `json:"activationToken,omitempty"`
	URL       string `json:"activationUrl,omitempty"`
	ExpiresAt Time   `json:"expiresAt"`
}

// A Reset is a ticket to a new password.
type Reset struct {
	Token     string `json:"recoveryToken,omitempty"`
	URL       string `json:"resetPasswordUrl,omitempty"`
	ExpiresAt Time   `json:"expiresAt"`
}

// A Factor is one way to sign in that a user has.
type Factor struct {
	ID            string          `json:"id"`
	FactorType    string          `json:"factorType"`
	Provider      string          `json:"provider"`
	VendorName    string          `json:"vendorName"`
	Status        string          `json:"status"`
	Authenticator string          `json:"authenticator"` // its key, as policies name it
	Created       Time            `json:"created"`
	LastUpdated   Time            `json:"lastUpdated"`
	Links         map[string]Link `json:"_links"`
}

// A Code is a temporary access code as the answer that makes it has it, and no other.
type Code struct {
	ID          string      `json:"id"`
	Type        string      `json:"type"`
	Key         string      `json:"key"`
	Name        string      `json:"name"`
	Status      string      `json:"status"`
	Created     Time        `json:"created"`
	LastUpdated Time        `json:"lastUpdated"`
	Profile     CodeProfile `json:"profile"`
}

// A CodeProfile is what there is to know of a code.
type CodeProfile struct {
	MultiUse  bool   `json:"multiUse"`
	ExpiresAt Time   `json:"expiresAt"`
	TAC       string `json:"tac"`
}

func (s *server) user(a directory.Account, org *policy.Org) User {
	self := s.base + "/users/" + a.ID
	u := User{
		ID: a.ID, Status: string(a.Status), Created: Time(a.CreatedAt), Activated: Time(a.EmailVerifiedAt), LastUpdated: Time(a.UpdatedAt),
		Type: TypeOf{"oty1"},
		Profile: map[string]any{
			"firstName": text(a.FirstName), "lastName": text(a.LastName), "login": a.Email, "email": a.Email,
			"mobilePhone": nil, "secondEmail": nil,
		},
		Credentials: Credentials{Provider: Provider{"OKTA", "OKTA"}},
		Links:       map[string]Link{"self": {Href: self}},
	}
	if a.Locale != "" {
		u.Profile["locale"] = a.Locale
	}
	for name, value := range a.Attributes {
		u.Profile[name] = typed(org, name, value)
	}
	email := Email{a.Email, "UNVERIFIED", "PRIMARY"}
	if !a.EmailVerifiedAt.IsZero() {
		email.Status = "VERIFIED"
	}
	u.Credentials.Emails = []Email{email}
	last := time.Time{}
	for _, e := range a.Enrollments {
		if e.LastUsedAt.After(last) {
			last = e.LastUsedAt
		}
		if e.Authenticator == "okta_password" {
			u.Credentials.Password, u.PasswordChanged = &struct{}{}, Time(e.CreatedAt)
		}
	}
	u.LastLogin = Time(last)
	verbs := map[directory.Status][]string{
		directory.Staged:      {"activate", "deactivate"},
		directory.Provisioned: {"reactivate", "deactivate"},
		directory.Active:      {"suspend", "reset_password", "deactivate"},
		directory.Disabled:    {"unsuspend", "deactivate"},
		directory.Deactivated: {"activate"},
	}
	for _, v := range verbs[a.Status] {
		name, rest, _ := strings.Cut(v, "_")
		if rest != "" {
			name += strings.ToUpper(rest[:1]) + rest[1:]
		}
		u.Links[name] = Link{self + "/lifecycle/" + v, http.MethodPost}
	}
	return u
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// typed is a value as its attribute has it.
func typed(org *policy.Org, name, value string) any {
	a, _ := admin.Attribute(org, name)
	switch a.Type {
	case "number":
		if f, err := strconv.ParseFloat(value, 64); err == nil {
			return f
		}
	case "boolean":
		return value == "true"
	}
	return value
}
