// Package idx is a client of the IDX protocol: it signs people up and in, one
// remediation at a time, against any Identity Engine.
//
// A [Client] starts a [Transaction]; each call returns the next one, until its
// Status is [StatusSuccess] and it carries tokens. What a person got wrong is in
// Transaction.Messages, never an error. A Transaction marshals to text, so that
// an app without state can keep it in a cookie and go on with [Client.Resume].
package idx

import (
	"context"
	"net/http"
	"time"
)

// Config names the engine and the app registered with it.
type Config struct {
	Issuer       string   // for example https://id.example.com/oauth2/default; no trailing slash
	ClientID     string   // required
	ClientSecret string   // empty for a public client
	RedirectURI  string   // required; registered with the engine
	Scopes       []string // default: openid profile email

	// SecretInBody sends the client secret in form bodies (client_secret_post)
	// where the default is HTTP Basic (client_secret_basic).
	SecretInBody bool

	// KeepCode leaves the interaction code in Transaction.InteractionCode at success
	// where the default is to redeem it for Tokens. HandleCallback redeems it later.
	KeepCode bool

	// HTTPClient defaults to one with a 15 s timeout. Its cookie jar and redirect
	// policy are not used: transactions of different people share the client, and
	// an answer that points elsewhere is refused.
	HTTPClient *http.Client

	Now func() time.Time // default: time.Now
}

// Status says how a transaction stands.
type Status string

// The values of Status, as the protocol's public clients spell them.
const (
	StatusPending  Status = "PENDING"
	StatusSuccess  Status = "SUCCESS"
	StatusTerminal Status = "TERMINAL"
	StatusCanceled Status = "CANCELED"
	StatusFailure  Status = "FAILURE"
)

// A Feature is something that the engine offers at the current state.
type Feature string

// Features, as the protocol's public clients spell them.
const (
	FeatureRegistration    Feature = "enroll-profile"
	FeaturePasswordRecover Feature = "recover-password" // Proceed with Input.Step "recover" begins it
	FeatureAccountUnlock   Feature = "unlock-account"   // Proceed with Input.Step "unlock-account" begins it
	FeatureSocialIDP       Feature = "redirect-idp"
)

// A Transaction is one run of sign-up or sign-in, as it stands after the last call.
// It is a value: keep it, marshal it, resume it. MarshalText seals nothing; who
// can read the text can go on with the transaction, so keep it where only its
// owner reads it.
type Transaction struct {
	Status          Status    `json:"status"`
	NextStep        *NextStep `json:"nextStep,omitempty"`
	Messages        []Message `json:"messages,omitempty"`
	Tokens          *Tokens   `json:"tokens,omitempty"`
	InteractionCode string    `json:"interactionCode,omitempty"`

	// EnabledFeatures and AvailableSteps tell what may be done now; a page shows
	// its Sign up link where HasFeature(FeatureRegistration) holds.
	EnabledFeatures []Feature `json:"enabledFeatures,omitempty"`
	AvailableSteps  []string  `json:"availableSteps,omitempty"`

	User *User `json:"user,omitempty"` // what the engine shows of the person, if anything
	App  *App  `json:"app,omitempty"`

	// ExpiresAt is when the engine forgets the transaction.
	ExpiresAt time.Time `json:"expiresAt,omitzero"`

	// RetryAfter is how long the engine asks to wait, where it refused a call
	// for coming too soon or too often.
	RetryAfter time.Duration `json:"-"`

	state *state // what the next call needs, never changed in place
}

// NextStep is what the person is asked to do.
type NextStep struct {
	Name          string         `json:"name"`                    // the remediation: "enroll-profile", "enroll-authenticator", …
	Type          string         `json:"type,omitempty"`          // the authenticator's type: "email", "password", …
	Authenticator *Authenticator `json:"authenticator,omitempty"` // the one in hand
	Inputs        []InputField   `json:"inputs,omitempty"`
	// Enrollments are what the person has already, where a passkey or security key is
	// asked for: the browser must know which they are. And where something may be set
	// up, so that a page can name what has just been.
	Enrollments []*Authenticator `json:"authenticatorEnrollments,omitempty"`
	Options     []Option         `json:"options,omitempty"` // authenticators to choose from
	// CanSkip is encoded (true or false) on select-authenticator-enroll, elsewhere only when true.
	CanSkip   bool `json:"-"`
	CanResend bool `json:"canResend,omitempty"`

	// Poll is set where the engine can be asked whether the step was done
	// elsewhere (the mailed link, an approval on a phone).
	Poll *PollInfo `json:"poll,omitempty"`

	// Href is where to send the browser for a step that is done elsewhere (redirect-idp).
	Href string `json:"href,omitempty"`
}

// PollInfo says how often Poll may be called.
type PollInfo struct {
	Every time.Duration // at least this long between two polls; encoded as "refresh", in milliseconds
}

// Authenticator describes one way to prove who someone is.
type Authenticator struct {
	Type        string         `json:"type"`
	Key         string         `json:"key"` // okta_email, okta_password, …
	DisplayName string         `json:"displayName"`
	ID          string         `json:"id,omitempty"`
	Methods     []string       `json:"methods,omitempty"`
	Profile     map[string]any `json:"profile,omitempty"`  // of an enrollment, for example {"email": "j***e@example.org"}
	Settings    map[string]any `json:"settings,omitempty"` // for example the password complexity
	Context     map[string]any `json:"contextualData,omitempty"`

	CredentialID string   `json:"credentialId,omitempty"` // of a passkey or security key, base64url
	Transports   []string `json:"transports,omitempty"`   // by which it can be reached

	// Delivery is what the engine says of the message it sent, nil where it says nothing.
	Delivery *Delivery `json:"-"`
}

// Delivery is contextualData.stile of the wire (docs/idx.md).
type Delivery struct {
	CodeExpiresAt time.Time // end of the newest code
	ResendAt      time.Time // a resend before this is refused; zero: any time
	TriesLeft     int       // wrong answers left for this challenge
	Status        string    // "queued", "sent", "delayed", "refused" or "expired"
}

// An InputField is one value that the step asks for.
type InputField struct {
	Name      string    `json:"name"` // "firstName", "verificationCode", "password", "username", …
	Label     string    `json:"label,omitempty"`
	Type      string    `json:"type,omitempty"` // "string" (default) or "boolean"
	Required  bool      `json:"required,omitempty"`
	Secret    bool      `json:"secret,omitempty"`
	MinLength int       `json:"minLength,omitempty"`
	MaxLength int       `json:"maxLength,omitempty"`
	Value     any       `json:"value,omitempty"`
	Options   []Option  `json:"options,omitempty"`
	Messages  []Message `json:"messages,omitempty"` // what is wrong with this field
	path      []string  // where it goes in the request's body
}

// An Option is one choice, of authenticators or of a plain list.
type Option struct {
	Label string `json:"label"`
	Value string `json:"value"` // an authenticator's key, or the value itself
	// Inputs are what may be said of an authenticator in the answer that chooses it,
	// beside the choice: Input.Values takes them.
	Inputs []InputField `json:"-"`
}

// A Message is for the person: a mistake or a notice.
type Message struct {
	Class string `json:"class"` // ERROR, WARNING, INFO
	Text  string `json:"message"`
	I18n  I18n   `json:"i18n"`
	Field string `json:"field,omitempty"` // the input it belongs to, empty for the whole step
}

// I18n is the message's stable key. Branch on Key, never on the text.
type I18n struct {
	Key    string   `json:"key"`
	Params []string `json:"params,omitempty"`
}

// User is what the engine tells of the person in the course of a transaction.
type User struct {
	ID         string `json:"id,omitempty"`
	Identifier string `json:"identifier,omitempty"`
	FirstName  string `json:"firstName,omitempty"`
	LastName   string `json:"lastName,omitempty"`
}

// App is the application that the person signs in to.
type App struct {
	ID    string `json:"id,omitempty"`
	Name  string `json:"name,omitempty"`
	Label string `json:"label,omitempty"`
}

// Profile is what a new account is made of. Attributes hold what an
// organisation asks for beyond names and address.
type Profile struct {
	FirstName, LastName, Email string

	Password   string // only where the sign-up form asks for it
	Attributes map[string]string

	// ActivationToken is of an invitation; Register then needs nothing else.
	ActivationToken string
}

// Credentials identify a person who comes back.
type Credentials struct {
	Username, Password string
	RememberMe         bool

	ActivationToken, RecoveryToken string
}

// StartOptions are sent when a transaction begins.
type StartOptions struct {
	State     string // default: random
	Nonce     string // default: random
	LoginHint string
	MaxAge    *time.Duration // how old the last proof may be; nil: any age
	ACRValues []string       // assurances to ask for, the most wanted first: phr, urn:okta:loa:2fa:any, …

	// Enroll is the key of an authenticator to add, for somebody who has an account:
	// after their proof it is the one to choose (docs/idx.md).
	Enroll string

	ActivationToken, RecoveryToken string
}

// Input answers a step: the zero value answers nothing. Set what the step asks for.
type Input struct {
	Step             string // a remediation's name; default: the one that the values fit
	VerificationCode string
	Authenticator    string // an authenticator's key, from NextStep.Options
	Password         string // also a new one, of whatever step asks for it
	Skip             bool
	Username         string
	Profile          *Profile
	Values           map[string]any // any other field by its name, "a.b" for one inside another
}

// Device is the person's own address and browser, passed on by a confidential
// client so that the engine sees them instead of the app's server.
type Device struct {
	IP, UserAgent, AcceptLanguage string

	// DeviceToken is a secret that the browser keeps, 16 to 32 of A-Z a-z 0-9 . _ ~ -;
	// the engine knows by it a browser that the person has signed in on before.
	DeviceToken string
}

type deviceKey struct{}

// WithDevice returns a context whose calls carry d.
func WithDevice(ctx context.Context, d Device) context.Context {
	return context.WithValue(ctx, deviceKey{}, d)
}

// Tokens are the result of a finished transaction. The JSON form is the guide's.
type Tokens struct {
	AccessToken  *AccessToken  `json:"accessToken,omitempty"`
	IDToken      *IDToken      `json:"idToken,omitempty"`
	RefreshToken *RefreshToken `json:"refreshToken,omitempty"`
}

// AccessToken is a bearer token for APIs. ExpiresAt is encoded as Unix seconds.
type AccessToken struct {
	Value     string
	ExpiresAt time.Time
	TokenType string // "Bearer"
	Scopes    []string
}

// IDToken is a verified ID token: signature, iss, aud, exp, iat, nonce and at_hash.
type IDToken struct {
	Value     string
	ExpiresAt time.Time
	Claims    Claims
}

// RefreshToken gets new tokens through Client.Refresh.
type RefreshToken struct {
	Value  string
	Scopes []string
}

// Claims are those of an ID token or of userinfo. All holds each claim as decoded from JSON.
type Claims struct {
	Subject       string
	Email         string
	EmailVerified bool
	Name          string
	GivenName     string
	FamilyName    string
	Username      string // preferred_username
	Locale        string
	Nonce         string
	AuthTime      time.Time
	AMR           []string
	All           map[string]any
}
