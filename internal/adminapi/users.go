package adminapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/stile-id/stile/internal/admin"
	"github.com/stile-id/stile/internal/directory"
)

func (s *server) users() map[string]endpoint {
	done := func(do func(ctx context.Context, id string) (directory.Account, error)) endpoint {
		return func(_ http.ResponseWriter, r *http.Request) (any, error) {
			_, err := do(r.Context(), r.PathValue("user"))
			return struct{}{}, err
		}
	}
	return map[string]endpoint{
		"GET /users":                 s.listUsers,
		"POST /users":                s.addUser,
		"GET /users/{user}":          s.getUser,
		"PUT /users/{user}":          s.replaceUser,
		"POST /users/{user}":         s.updateUser,
		"DELETE /users/{user}":       s.deleteUser,
		"GET /users/{user}/groups":   s.groupsOfUser,
		"GET /users/{user}/factors":  s.listFactors,
		"POST /users/{user}/factors": s.addFactor,
		"POST /users/{user}/authenticator-enrollments/tac": s.issueCode,
		"GET /stile/users/{user}/data": func(_ http.ResponseWriter, r *http.Request) (any, error) {
			a, err := s.admin.User(r.Context(), r.PathValue("user"))
			if err != nil {
				return nil, err
			}
			return s.data(r.Context(), a.ID)
		},
		"DELETE /users/{user}/sessions": func(_ http.ResponseWriter, r *http.Request) (any, error) {
			tokens, err := flag(r, "oauthTokens", false)
			if err != nil {
				return nil, err
			}
			return nil, s.admin.EndSessions(r.Context(), r.PathValue("user"), tokens)
		},
		"DELETE /users/{user}/factors/{factor}": func(_ http.ResponseWriter, r *http.Request) (any, error) {
			return nil, s.admin.DropMethod(r.Context(), r.PathValue("user"), r.PathValue("factor"))
		},
		"POST /users/{user}/lifecycle/activate":       s.invite(s.admin.Activate),
		"POST /users/{user}/lifecycle/reactivate":     s.invite(s.admin.Reactivate),
		"POST /users/{user}/lifecycle/deactivate":     done(s.admin.Deactivate),
		"POST /users/{user}/lifecycle/suspend":        done(s.admin.Suspend),
		"POST /users/{user}/lifecycle/unsuspend":      done(s.admin.Unsuspend),
		"POST /users/{user}/lifecycle/unlock":         done(s.admin.Unlock),
		"POST /users/{user}/lifecycle/reset_password": s.resetPassword,
	}
}

func (s *server) answer(ctx context.Context, a directory.Account) (any, error) {
	d, err := s.admin.Document(ctx)
	if err != nil {
		return nil, err
	}
	paused, err := s.admin.Paused(ctx, a)
	if err != nil {
		return nil, err
	}
	u := s.user(a, &d.Org)
	if paused { // of one that is asked for alone: a list does not look (decision D32)
		u.Status = lockedOut
		u.Links["unlock"] = Link{s.base + "/users/" + a.ID + "/lifecycle/unlock", http.MethodPost}
	}
	return u, nil
}

// lockedOut is an active user whose password is paused.
const lockedOut = "LOCKED_OUT"

func (s *server) getUser(_ http.ResponseWriter, r *http.Request) (any, error) {
	a, err := s.admin.User(r.Context(), r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	return s.answer(r.Context(), a)
}

// A userBody is what is read of a user; the rest of the resource is ours to say.
type userBody struct {
	Profile     map[string]any `json:"profile"`
	GroupIDs    []string       `json:"groupIds"`
	Credentials struct {
		Password map[string]any `json:"password"`
	} `json:"credentials"`
}

func readUser(w http.ResponseWriter, r *http.Request) (userBody, error) {
	var b userBody
	if err := read(w, r, &b); err != nil {
		return b, err
	}
	if len(b.Credentials.Password) > 0 { // an empty one is that of a resource that was read (MGMT T1)
		return b, &admin.Invalid{Causes: []string{"password: an operator does not pick it (SEC S-62); the person does, with an activation or recovery token"}}
	}
	return b, nil
}

// put writes a profile of the wire into one of the directory. Missing members stay, null ones go.
func put(p *admin.Profile, profile map[string]any) error {
	var wrong []string
	for name, v := range profile {
		var value string
		switch v := v.(type) {
		case nil:
		case string:
			value = v
		case bool:
			value = strconv.FormatBool(v)
		case float64:
			value = strconv.FormatFloat(v, 'f', -1, 64)
		default:
			wrong = append(wrong, name+": must be a text, a number or a boolean")
			continue
		}
		switch name {
		case "email":
			p.Email = value
		case "login":
			if _, ok := profile["email"]; !ok {
				p.Email = value
			} else if e, _ := profile["email"].(string); value != "" && value != e && !sameAddress(e, value) {
				wrong = append(wrong, "login: must be the email address")
			}
		case "firstName":
			p.FirstName = value
		case "lastName":
			p.LastName = value
		case "locale":
			p.Locale = value
		default:
			if p.Attributes == nil {
				p.Attributes = map[string]string{}
			}
			delete(p.Attributes, name)
			if value != "" {
				p.Attributes[name] = value
			}
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return &admin.Invalid{Causes: wrong}
	}
	return nil
}

func sameAddress(a, b string) bool {
	x, err := directory.ParseAddress(a)
	y, err2 := directory.ParseAddress(b)
	return err == nil && err2 == nil && x.Canonical == y.Canonical
}

func (s *server) addUser(w http.ResponseWriter, r *http.Request) (any, error) {
	b, err := readUser(w, r)
	if err != nil {
		return nil, err
	}
	var p admin.Profile
	if err := put(&p, b.Profile); err != nil {
		return nil, err
	}
	activate, err := flag(r, "activate", true)
	if err != nil {
		return nil, err
	}
	vouched, err := flag(r, "emailVerified", false)
	if err != nil {
		return nil, err
	}
	by, show, err := delivery(r)
	if err != nil {
		return nil, err
	}
	begins := admin.Stage
	switch {
	case vouched && activate:
		begins = admin.Vouched
	case activate:
		begins = admin.Invite
	}
	a, ticket, err := s.admin.AddUser(r.Context(), p, b.GroupIDs, begins, by)
	if err != nil {
		return nil, err
	}
	d, err := s.admin.Document(r.Context())
	if err != nil {
		return nil, err
	}
	u := s.user(a, &d.Org)
	if show && ticket.Token != "" {
		u.Embedded = &Embedded{Groups: a.Groups, Activation: &Activation{ticket.Token, ticket.URL, Time(ticket.ExpiresAt)}}
	}
	return u, nil
}

// delivery says whether a ticket is mailed, and whether the answer has it. On
// the field's wire it is one or the other; returnToken is ours.
func delivery(r *http.Request) (by admin.Delivery, show bool, err error) {
	by.Client = r.URL.Query().Get("client")
	if by.Mail, err = flag(r, "sendEmail", true); err != nil {
		return by, false, err
	}
	show, err = flag(r, "returnToken", !by.Mail)
	return by, show, err
}

func (s *server) replaceUser(w http.ResponseWriter, r *http.Request) (any, error) {
	b, err := readUser(w, r)
	if err != nil {
		return nil, err
	}
	return s.saveUser(r, b, func(p *admin.Profile) { *p = admin.Profile{Email: p.Email, Locale: p.Locale} })
}

func (s *server) updateUser(w http.ResponseWriter, r *http.Request) (any, error) {
	b, err := readUser(w, r)
	if err != nil {
		return nil, err
	}
	return s.saveUser(r, b, func(*admin.Profile) {})
}

func (s *server) saveUser(r *http.Request, b userBody, first func(*admin.Profile)) (any, error) {
	if err := put(&admin.Profile{}, b.Profile); err != nil {
		return nil, err
	}
	a, err := s.admin.UpdateUser(r.Context(), r.PathValue("user"), func(p *admin.Profile) {
		first(p)
		_ = put(p, b.Profile) // was looked at above
	})
	if err != nil {
		return nil, err
	}
	return s.answer(r.Context(), a)
}

// deleteUser takes the two steps one by one (SEC S-132).
func (s *server) deleteUser(_ http.ResponseWriter, r *http.Request) (any, error) {
	a, err := s.admin.User(r.Context(), r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	if a.Status != directory.Deactivated {
		_, err := s.admin.Deactivate(r.Context(), a.ID)
		return nil, err
	}
	return nil, s.admin.Delete(r.Context(), a.ID)
}

func (s *server) invite(do func(context.Context, string, admin.Delivery) (directory.Account, admin.Ticket, error)) endpoint {
	return func(_ http.ResponseWriter, r *http.Request) (any, error) {
		by, show, err := delivery(r)
		if err != nil {
			return nil, err
		}
		_, t, err := do(r.Context(), r.PathValue("user"), by)
		if err != nil {
			return nil, err
		}
		if !show {
			return struct{}{}, nil
		}
		return Activation{t.Token, t.URL, Time(t.ExpiresAt)}, nil
	}
}

func (s *server) resetPassword(_ http.ResponseWriter, r *http.Request) (any, error) {
	by, show, err := delivery(r)
	if err != nil {
		return nil, err
	}
	t, err := s.admin.Reset(r.Context(), r.PathValue("user"), by)
	if err != nil {
		return nil, err
	}
	if !show {
		return struct{}{}, nil
	}
	return Reset{t.Token, t.URL, Time(t.ExpiresAt)}, nil
}

// factorTypes are the field's words for authenticators.
var factorTypes = map[string]string{
	"okta_email": "email", "okta_password": "password", "google_otp": "token:software:totp", "security_question": "question",
	"custom_otp": "token:hotp",
}

// addFactor gives a token to a person, as the field's custom HOTP factor (MGMT §10).
// Others are set up by the person alone.
func (s *server) addFactor(w http.ResponseWriter, r *http.Request) (any, error) {
	var b struct {
		FactorType string `json:"factorType"`
		Provider   string `json:"provider"`
		Profile    struct {
			SharedSecret string `json:"sharedSecret"`
			Encoding     string `json:"encoding"` // "base32", which is the default, or "hex"
			Counter      int64  `json:"counter"`
			Clock        bool   `json:"clock"`
		} `json:"profile"`
	}
	if err := read(w, r, &b); err != nil {
		return nil, err
	}
	if b.FactorType != "token:hotp" || b.Provider != "CUSTOM" {
		return nil, &admin.Invalid{Causes: []string{"factorType: only a token:hotp of the provider CUSTOM is given to people; they set up the others"}}
	}
	in := map[string]string{"secret": b.Profile.SharedSecret, "encoding": b.Profile.Encoding}
	if b.Profile.Clock {
		in["clock"] = "true"
	} else {
		in["counter"] = strconv.FormatInt(b.Profile.Counter, 10)
	}
	en, _, err := s.admin.Assign(r.Context(), r.PathValue("user"), "custom_otp", in)
	if err != nil {
		return nil, err
	}
	return s.factor(en), nil
}

// issueCode gives a person a temporary access code, which is in the answer and nowhere
// else. As on the field's wire ttl is in minutes.
func (s *server) issueCode(w http.ResponseWriter, r *http.Request) (any, error) {
	var b struct {
		AuthenticatorID string `json:"authenticatorId"`
		Profile         struct {
			MultiUse bool        `json:"multiUse"`
			TTL      json.Number `json:"ttl"`
		} `json:"profile"`
	}
	if err := read(w, r, &b); err != nil {
		return nil, err
	}
	in := map[string]string{}
	if b.Profile.MultiUse {
		in["uses"] = "many"
	}
	if b.Profile.TTL != "" {
		in["for"] = b.Profile.TTL.String() + "m"
	}
	en, made, err := s.admin.Assign(r.Context(), r.PathValue("user"), "tac", in)
	if err != nil {
		return nil, err
	}
	return Code{
		ID: en.ID, Type: "tac", Key: "tac", Name: "Temporary Access Code", Status: "ACTIVE", Created: Time(en.CreatedAt), LastUpdated: Time(en.CreatedAt),
		Profile: CodeProfile{MultiUse: b.Profile.MultiUse, ExpiresAt: Time(made.ExpiresAt), TAC: made.Secret},
	}, nil
}

func (s *server) factor(e directory.Enrollment) Factor {
	kind, provider := factorTypes[e.Authenticator], "OKTA"
	switch {
	case kind == "":
		kind = e.Authenticator
	case e.Authenticator == "custom_otp":
		provider = "CUSTOM"
	}
	return Factor{
		ID: e.ID, FactorType: kind, Provider: provider, VendorName: provider, Status: "ACTIVE", Authenticator: e.Authenticator,
		Created: Time(e.CreatedAt), LastUpdated: Time(e.CreatedAt),
		Links: map[string]Link{"self": {Href: s.base + "/users/" + e.UserID + "/factors/" + e.ID}},
	}
}

func (s *server) listFactors(_ http.ResponseWriter, r *http.Request) (any, error) {
	have, err := s.admin.Methods(r.Context(), r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	out := []Factor{}
	for _, e := range have {
		out = append(out, s.factor(e))
	}
	return out, nil
}
