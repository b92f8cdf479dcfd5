package adminapi

import (
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/stile-id/stile/internal/admin"
	"github.com/stile-id/stile/internal/oauth"
	"github.com/stile-id/stile/internal/orgfile"
	"github.com/stile-id/stile/internal/policy"
)

// An App is the resource of that name (MGMT §5). Its id is the client id.
type App struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Label       string          `json:"label"`
	Status      string          `json:"status"`
	SignOnMode  string          `json:"signOnMode"`
	Created     Time            `json:"created"`
	LastUpdated Time            `json:"lastUpdated"`
	Features    []string        `json:"features"`
	Credentials AppCredentials  `json:"credentials"`
	Settings    AppSettings     `json:"settings"`
	Links       map[string]Link `json:"_links,omitempty"`
}

// AppCredentials are how an app shows who it is.
type AppCredentials struct {
	OAuthClient struct {
		AutoKeyRotation bool   `json:"autoKeyRotation"`
		ClientID        string `json:"client_id,omitempty"`
		ClientSecret    string `json:"client_secret,omitempty"` // in the answer that made it alone
		Method          string `json:"token_endpoint_auth_method,omitempty"`
		PKCERequired    bool   `json:"pkce_required"`
	} `json:"oauthClient"`
}

// AppSettings are the registration; what the field has no word for is in Stile.
type AppSettings struct {
	OAuthClient OAuthSettings `json:"oauthClient"`
	Stile       StileSettings `json:"stile"`
}

// OAuthSettings are the field's part.
type OAuthSettings struct {
	ClientURI              string   `json:"client_uri,omitempty"`
	LogoURI                string   `json:"logo_uri,omitempty"`
	RedirectURIs           []string `json:"redirect_uris"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	EmailMagicLink         string   `json:"email_magic_link_redirect_uri,omitempty"`
	ResponseTypes          []string `json:"response_types"`
	GrantTypes             []string `json:"grant_types"`
	ApplicationType        string   `json:"application_type"` // web, browser or native
	ConsentMethod          string   `json:"consent_method"`
	IDTokenAlg             string   `json:"id_token_signed_response_alg,omitempty"`
}

// StileSettings are ours.
type StileSettings struct {
	SignUpURI      string   `json:"signUpUri,omitempty"`
	ActivationURI  string   `json:"activationUri,omitempty"`
	RecoveryURI    string   `json:"recoveryUri,omitempty"`
	TrustedOrigins []string `json:"trustedOrigins,omitempty"`
	Access         string   `json:"access,omitempty"`
	Profile        string   `json:"profile,omitempty"`
	SignUp         string   `json:"signUp,omitempty"`
	Enumeration    string   `json:"enumeration,omitempty"`
}

// A Secret is one of an app; the secret itself is in the answer that made it alone.
type Secret struct {
	ID     string `json:"id"`
	Secret string `json:"client_secret,omitempty"`
	Hash   string `json:"secret_hash"`
	Status string `json:"status"`
}

func (s *server) apps() map[string]endpoint {
	return map[string]endpoint{
		"GET /apps":  s.listApps,
		"POST /apps": s.addApp,
		"GET /apps/{app}": func(_ http.ResponseWriter, r *http.Request) (any, error) {
			c, err := s.admin.App(r.Context(), r.PathValue("app"))
			return s.app(c), err
		},
		"PUT /apps/{app}": s.replaceApp,
		"DELETE /apps/{app}": func(_ http.ResponseWriter, r *http.Request) (any, error) {
			return nil, s.admin.DeleteApp(r.Context(), r.PathValue("app"))
		},
		"POST /apps/{app}/lifecycle/activate":   s.switchApp(true),
		"POST /apps/{app}/lifecycle/deactivate": s.switchApp(false),
		"GET /apps/{app}/credentials/secrets": func(_ http.ResponseWriter, r *http.Request) (any, error) {
			c, err := s.admin.App(r.Context(), r.PathValue("app"))
			return secrets(c), err
		},
		"POST /apps/{app}/credentials/secrets": s.rotateSecret,
	}
}

func (s *server) switchApp(on bool) endpoint {
	return func(_ http.ResponseWriter, r *http.Request) (any, error) {
		_, err := s.admin.SwitchApp(r.Context(), r.PathValue("app"), on)
		return struct{}{}, err
	}
}

func (s *server) app(c oauth.Client) App {
	a := App{
		ID: c.ID, Name: "oidc_client", Label: c.Name, Status: "ACTIVE", SignOnMode: "OPENID_CONNECT",
		Created: Time(c.CreatedAt), LastUpdated: Time(c.UpdatedAt), Features: []string{},
		Settings: AppSettings{
			OAuthClient: OAuthSettings{
				LogoURI: c.LogoURI, RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
				EmailMagicLink: c.EmailCallbackURI, ResponseTypes: []string{"code"}, GrantTypes: c.GrantTypes,
				ApplicationType: "web", ConsentMethod: "TRUSTED", IDTokenAlg: c.IDTokenAlg,
			},
			Stile: StileSettings{
				SignUpURI: c.SignUpURI, ActivationURI: c.ActivationURI, RecoveryURI: c.RecoveryURI, TrustedOrigins: c.TrustedOrigins,
				Access: c.AccessPolicy, Profile: c.ProfilePolicy, SignUp: c.SignUp, Enumeration: c.Enumeration,
			},
		},
		Links: map[string]Link{"self": {Href: s.base + "/apps/" + c.ID}},
	}
	oc := &a.Credentials.OAuthClient
	oc.AutoKeyRotation, oc.ClientID, oc.Method, oc.PKCERequired = true, c.ID, "client_secret_basic", true
	if c.Public() {
		a.Settings.OAuthClient.ApplicationType, oc.Method = "browser", "none"
	}
	verb := "deactivate"
	if c.Disabled {
		a.Status, verb = "INACTIVE", "activate"
	}
	a.Links[verb] = Link{a.Links["self"].Href + "/lifecycle/" + verb, http.MethodPost}
	return a
}

// fileApp is a body as a registration. Grants that do not exist here are left
// out: a body may name those of another engine.
func fileApp(a App) orgfile.App {
	o, st := a.Settings.OAuthClient, a.Settings.Stile
	out := orgfile.App{
		Name: a.Label, Type: orgfile.Confidential, RedirectURIs: o.RedirectURIs, PostLogoutRedirectURIs: o.PostLogoutRedirectURIs,
		EmailCallbackURI: o.EmailMagicLink, Logo: o.LogoURI, IDTokenAlg: o.IDTokenAlg,
		SignUpURI: st.SignUpURI, ActivationURI: st.ActivationURI, RecoveryURI: st.RecoveryURI, TrustedOrigins: st.TrustedOrigins,
		Access: st.Access, Profile: st.Profile, SignUp: policy.SignUp(st.SignUp), Enumeration: policy.Enumeration(st.Enumeration),
		Disabled: a.Status == "INACTIVE",
	}
	if a.Credentials.OAuthClient.Method == "none" || o.ApplicationType == "browser" && a.Credentials.OAuthClient.Method == "" {
		out.Type = orgfile.Public
	}
	for _, g := range o.GrantTypes {
		if oauth.KnownGrant(g) {
			out.GrantTypes = append(out.GrantTypes, g)
		}
	}
	return out
}

func (s *server) listApps(_ http.ResponseWriter, r *http.Request) (any, error) {
	all, err := s.admin.Apps(r.Context())
	if err != nil {
		return nil, err
	}
	q, status := strings.ToLower(r.URL.Query().Get("q")), ""
	if f := r.URL.Query().Get("filter"); f != "" {
		if status = strings.Trim(strings.TrimPrefix(f, "status eq "), `"`); status != "ACTIVE" && status != "INACTIVE" {
			return nil, &admin.Invalid{Causes: []string{"filter: only status eq \"ACTIVE\" or \"INACTIVE\""}}
		}
	}
	out := []App{}
	for _, c := range all {
		a := s.app(c)
		if (status == "" || a.Status == status) && (strings.HasPrefix(strings.ToLower(a.Label), q) || strings.HasPrefix(strings.ToLower(a.ID), q)) {
			out = append(out, a)
		}
	}
	return out, nil
}

func (s *server) addApp(w http.ResponseWriter, r *http.Request) (any, error) {
	var body App
	if err := read(w, r, &body); err != nil {
		return nil, err
	}
	active, err := flag(r, "activate", true)
	if err != nil {
		return nil, err
	}
	f := fileApp(body)
	f.ID, f.Disabled = body.Credentials.OAuthClient.ClientID, !active
	c, secret, err := s.admin.AddApp(r.Context(), f)
	a := s.app(c)
	a.Credentials.OAuthClient.ClientSecret = secret
	return a, err
}

func (s *server) replaceApp(w http.ResponseWriter, r *http.Request) (any, error) {
	var body App
	if err := read(w, r, &body); err != nil {
		return nil, err
	}
	f := fileApp(body)
	c, err := s.admin.UpdateApp(r.Context(), r.PathValue("app"), func(a *orgfile.App) {
		f.ID, f.Type, f.Disabled = a.ID, a.Type, a.Disabled
		if f.GrantTypes == nil {
			f.GrantTypes = a.GrantTypes
		}
		*a = f
	})
	return s.app(c), err
}

func secretID(hash []byte) string { return "ocs" + hex.EncodeToString(hash[:10])[:17] }

func secrets(c oauth.Client) []Secret {
	out := []Secret{}
	for _, hash := range c.Secrets {
		out = append(out, Secret{ID: secretID(hash), Hash: hex.EncodeToString(hash), Status: "ACTIVE"})
	}
	return out
}

// rotateSecret makes a secret; with atOnce, which is ours, the ones before end now.
func (s *server) rotateSecret(_ http.ResponseWriter, r *http.Request) (any, error) {
	atOnce, err := flag(r, "atOnce", false)
	if err != nil {
		return nil, err
	}
	c, secret, err := s.admin.RotateSecret(r.Context(), r.PathValue("app"), atOnce)
	if err != nil {
		return nil, err
	}
	made := secrets(c)[0]
	made.Secret = secret
	return &created{made}, nil
}
