// Package ion is the IDX document as Go values, encoded to application/ion+json.
//
// It knows the shapes of the wire and none of the rules: which form is shown
// when is the flow's, and the order of members is that of the recorded documents.
package ion

import (
	"bytes"
	"encoding/json"
)

// The media types of the wire (IDX §1.3). Errors say application/json because
// clients read an introspect response only then.
const (
	Type      = "application/ion+json; okta-version=1.0.0"
	ErrorType = "application/json; okta-version=1.0.0"
	accepts   = "application/json; okta-version=1.0.0"
	formType  = "application/x-www-form-urlencoded"
)

// A Document is one state of a transaction (IDX §2.1).
type Document struct {
	Version                        string       `json:"version"`
	StateHandle                    string       `json:"stateHandle,omitempty"`
	ExpiresAt                      string       `json:"expiresAt,omitempty"`
	Intent                         string       `json:"intent,omitempty"`
	Messages                       *Messages    `json:"messages,omitempty"`
	Remediation                    *List[*Form] `json:"remediation,omitempty"`
	CurrentAuthenticator           *Object      `json:"currentAuthenticator,omitempty"`
	CurrentAuthenticatorEnrollment *Object      `json:"currentAuthenticatorEnrollment,omitempty"`
	Authenticators                 *List[any]   `json:"authenticators,omitempty"`
	AuthenticatorEnrollments       *List[any]   `json:"authenticatorEnrollments,omitempty"`
	EnrollmentAuthenticator        *Object      `json:"enrollmentAuthenticator,omitempty"`
	RecoveryAuthenticator          *Object      `json:"recoveryAuthenticator,omitempty"`
	WebAuthnAutofillUIChallenge    *Object      `json:"webauthnAutofillUIChallenge,omitempty"`
	User                           *Object      `json:"user,omitempty"`
	Cancel                         *Form        `json:"cancel,omitempty"`
	App                            *Object      `json:"app,omitempty"`
	SuccessWithInteractionCode     *Form        `json:"successWithInteractionCode,omitempty"`
}

// Version is the only protocol version there is.
const Version = "1.0.0"

// A List is Ion's array wrapper; Value is never encoded as null.
type List[T any] struct {
	Type  string `json:"type"`
	Value []T    `json:"value"`
}

// NewList wraps values.
func NewList[T any](values []T) *List[T] {
	if values == nil {
		values = []T{}
	}
	return &List[T]{Type: "array", Value: values}
}

// An Object is Ion's object wrapper.
type Object struct {
	Type  string `json:"type"`
	Value any    `json:"value"`
}

// NewObject wraps a value.
func NewObject(v any) *Object { return &Object{Type: "object", Value: v} }

// A Form is a remediation or an action (IDX §2.2).
type Form struct {
	Rel       []string `json:"rel"`
	Name      string   `json:"name"`
	RelatesTo []string `json:"relatesTo,omitempty"`
	Href      string   `json:"href"`
	Method    string   `json:"method"`
	Produces  string   `json:"produces,omitempty"`
	Refresh   int      `json:"refresh,omitempty"` // milliseconds between polls
	Value     []Field  `json:"value"`
	Accepts   string   `json:"accepts"`
}

// NewForm makes a form that is posted as JSON and carries the state handle last.
func NewForm(name, href, stateHandle string, fields ...Field) *Form {
	return &Form{
		Rel: []string{"create-form"}, Name: name, Href: href, Method: "POST", Produces: Type, Accepts: accepts,
		Value: append(fields, stateHandleField(stateHandle)),
	}
}

// NewTokenForm makes the form that redeems an interaction code; it is posted as a URL-encoded form.
func NewTokenForm(href string, fields ...Field) *Form {
	return &Form{
		Rel: []string{"create-form"}, Name: "issue", Href: href, Method: "POST", Accepts: formType, Value: fields,
	}
}

// A Field is one value of a form (IDX §2.3). Value is a string wherever a client
// meets it: one of them cannot decode anything else.
type Field struct {
	Name      string    `json:"name"`
	Label     string    `json:"label,omitempty"`
	Type      string    `json:"type,omitempty"`
	Required  bool      `json:"required,omitempty"`
	MinLength int       `json:"minLength,omitempty"`
	MaxLength int       `json:"maxLength,omitempty"`
	Secret    bool      `json:"secret,omitempty"`
	Value     any       `json:"value,omitempty"` // a string; a Nested or a Given where AUTH has an object
	Form      *SubForm  `json:"form,omitempty"`
	Options   []any     `json:"options,omitempty"` // Option, TextOption or FormOption
	Visible   *bool     `json:"visible,omitempty"`
	Mutable   *bool     `json:"mutable,omitempty"`
	Messages  *Messages `json:"messages,omitempty"`
}

// A SubForm nests fields inside a field, one level deep.
type SubForm struct {
	Value []Field `json:"value"`
}

// Nested holds fields as the value of a field that has nothing to choose (AUTH §0.2 R6).
type Nested struct {
	Form SubForm `json:"form"`
}

// Given is an object that the client sends as it is.
type Given map[string]string

// A FormOption is one of several sets of fields to fill in (AUTH §5).
type FormOption struct {
	Label string `json:"label"`
	Value Nested `json:"value"`
}

// An Option is one authenticator to choose (IDX §2.4): the id first, and
// relatesTo a string that resolves within the document.
type Option struct {
	Label     string      `json:"label"`
	Value     OptionValue `json:"value"`
	RelatesTo string      `json:"relatesTo,omitempty"`
}

// A TextOption is one value of a field to choose.
type TextOption struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// OptionValue is what choosing an option sends.
type OptionValue struct {
	Form OptionForm `json:"form"`
}

// OptionForm holds constants, and what may be chosen with the option; required is
// always encoded in it.
type OptionForm struct {
	Value []any `json:"value"` // Constant or Selectable
}

// A Constant is a field that the client sends as it is.
type Constant struct {
	Name     string `json:"name"`
	Required bool   `json:"required"`
	Value    string `json:"value"`
	Mutable  bool   `json:"mutable"`
}

// A Selectable is one value that may be chosen, or filled in, with an option.
type Selectable struct {
	Name     string       `json:"name"`
	Label    string       `json:"label,omitempty"`
	Type     string       `json:"type,omitempty"`
	Required bool         `json:"required"`
	Options  []TextOption `json:"options,omitempty"`
}

// NewOption makes an authenticator option, of its id and what more is sent with it.
func NewOption(label, id, relatesTo string, more ...any) Option {
	o := Option{Label: label, RelatesTo: relatesTo}
	o.Value.Form.Value = append([]any{Constant{Name: "id", Required: true, Value: id}}, more...)
	return o
}

func stateHandleField(handle string) Field {
	f := false
	return Field{Name: "stateHandle", Required: true, Value: handle, Visible: &f, Mutable: &f}
}

// Messages is a list of messages (IDX §2.5).
type Messages = List[Message]

// A Message is told to the person.
type Message struct {
	Text  string `json:"message"`
	I18n  I18n   `json:"i18n"`
	Class string `json:"class"`
}

// I18n is the message's key. Params are encoded unless nil.
type I18n struct {
	Key    string   `json:"key"`
	Params []string `json:"params,omitzero"`
}

// An Authenticator is one of the authenticators or enrollments of a document.
type Authenticator struct {
	Recover        *Form             `json:"recover,omitempty"`
	Resend         *Form             `json:"resend,omitempty"`
	Poll           *Form             `json:"poll,omitempty"`
	Profile        map[string]string `json:"profile,omitempty"`
	ContextualData map[string]any    `json:"contextualData,omitempty"`
	Settings       map[string]any    `json:"settings,omitempty"`
	Type           string            `json:"type"`
	Key            string            `json:"key"`
	ID             string            `json:"id,omitempty"`
	DisplayName    string            `json:"displayName"`
	Methods        []Method          `json:"methods"`
	CredentialID   string            `json:"credentialId,omitempty"` // of a WebAuthn enrollment
	Transports     []string          `json:"transports,omitempty"`   // idem
}

// A Method is a way to use an authenticator.
type Method struct {
	Type string `json:"type"`
}

// User is the person as far as may be told.
type User struct {
	ID         string       `json:"id"`
	Identifier string       `json:"identifier,omitempty"`
	Profile    *UserProfile `json:"profile,omitempty"`
}

// UserProfile is the part of the profile that pages greet with.
type UserProfile struct {
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	TimeZone  string `json:"timeZone"`
	Locale    string `json:"locale"`
}

// App is the application that the person signs in to.
type App struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	ID    string `json:"id"`
	Logo  *Logo  `json:"logo,omitempty"`
}

// Logo is the application's picture.
type Logo struct {
	Href string `json:"href"`
}

// Encode writes the document; HTML characters stay as they are, because
// messages are text and no page is made of this.
func (d *Document) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
