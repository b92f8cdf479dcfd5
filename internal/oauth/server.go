package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/keyring"
)

// A Store reads what the core needs. What is missing is an error of kind
// problem.NotFound.
type Store interface {
	Clients(ctx context.Context) ([]Client, error)
	Keys(ctx context.Context) ([]Key, error)
	RefreshFamily(ctx context.Context, id string) (RefreshFamily, error)
	RevocationsSince(ctx context.Context, t time.Time) ([]Revocation, error)
	Account(ctx context.Context, userID string) (directory.Account, error)
}

// A Tx writes within one database transaction. Lost races are errors of kind
// problem.Conflict or problem.Stale.
type Tx interface {
	InsertClient(Client) error
	UpdateClient(Client) error
	InsertKey(Key) error
	UpdateKey(Key) error
	InsertRefreshFamily(RefreshFamily) error
	RotateRefreshFamily(RefreshFamily) error
	RevokeGrant(grant string, at time.Time) error
	Revoke(Revocation) error
	Append(audit.Row) error
}

// Interactions begins IDX transactions and redeems what they end in.
type Interactions interface {
	// Begin returns the interaction handle of a new transaction. A refusal that
	// the client may read is a *problem.Error with an OAuth error as its Code.
	Begin(ctx context.Context, r InteractionRequest) (handle string, err error)
	// Finished returns the finished interaction that a code names, also if it
	// was redeemed before; invalid_grant for an unknown, cut or expired code.
	// Reading consumes nothing.
	Finished(ctx context.Context, code string) (Interaction, error)
	// Spend marks it redeemed within tx, or fails with kind problem.Stale.
	Spend(tx Tx, i Interaction) error
}

// An InteractionRequest is a checked request to /v1/interact (IDX §1.6).
type InteractionRequest struct {
	ClientID      string
	Server        string // authorization server id
	Scopes        []string
	RedirectURI   string
	State         string
	Nonce         string // empty: the ID token has none
	CodeChallenge string // S256
	MaxAge        *int64 // seconds
	ACRValues     []string

	LoginHint       string
	ActivationToken string
	RecoveryToken   string

	IP          string // of the person, as far as it is known
	Forwarded   bool   // IP was told by a client that proved its secret
	UserAgent   string
	DeviceToken string
	Device      string // hash of its token; empty: not known
	Locale      string // BCP 47, empty if none was asked for

	ClientAuthenticated bool // with its secret

	// Browser says that a browser asks which may have a session here;
	// SessionCookie is what it sent of one.
	Browser       bool
	SessionCookie string
}

// An Interaction is a transaction that succeeded.
type Interaction struct {
	ID            string
	ClientID      string
	Server        string
	UserID        string
	Scopes        []string
	RedirectURI   string
	Nonce         string
	CodeChallenge string
	ACR           string // empty: none was requested
	AuthTime      time.Time
	AMR           []string
	Since         time.Time // void if the person was signed out everywhere after it; zero: does not count
	Redeemed      bool
	Row           any // the flow's own
}

// What Begin returns for tokens that are of no use; the widget matches the texts (IDX §1.6).
var (
	ErrActivationToken error = invalidRequest("The activation token is invalid")
	ErrRecoveryToken   error = invalidRequest("The recovery token is invalid")
)

// An AuthorizationServer is one issuer with its own keys and settings. The zero
// value of each field is its default.
type AuthorizationServer struct {
	ID string // last segment of the issuer; OrgServer is the server whose issuer is the public URL

	Audience       string   // aud of access tokens; default "api://" and ID, the public URL for the org server
	Scopes         []string // default openid, profile, email, offline_access
	Grants         []string // default all; without interaction_code /v1/interact is off
	AccessTokenAlg string   // "RS256" (default) or "ES256" (decision D11)
	// TypedAccessTokens adds typ "at+jwt", client_id and scope to access tokens
	// (RFC 9068). Clients that insist on a header of alg and kid refuse those.
	TypedAccessTokens bool

	AccessTokenLife time.Duration // 5 min to 24 h, default 1 h
	IDTokenLife     time.Duration // as above
	RefreshIdle     time.Duration // default 7 days
	RefreshLife     time.Duration // default 90 days
	RefreshGrace    time.Duration // at most 60 s, default 30 s; negative is none (SEC S-81)
}

// The servers that every installation has.
const (
	DefaultServer = "default"
	OrgServer     = "org"
)

// Config is what a Server is made of. Servers, Now and Logger may be left out.
type Config struct {
	PublicURL string // scheme and host, no path, no trailing slash
	Store     Store
	// InTx runs fn in one database transaction that survives the loss of power
	// once it has returned; fn may be run again after a lost race.
	InTx         func(ctx context.Context, fn func(Tx) error) error
	Keyring      *keyring.Keyring
	Interactions Interactions
	Servers      []AuthorizationServer // default: DefaultServer and OrgServer
	Cookie       edge.SessionCookie
	Now          func() time.Time
	Logger       *slog.Logger
}

// A Server is the OAuth core of one process, safe for concurrent use.
type Server struct {
	publicURL    string
	store        Store
	inTx         func(context.Context, func(Tx) error) error
	keyring      *keyring.Keyring
	interactions Interactions
	cookie       edge.SessionCookie
	now          func() time.Time
	log          *slog.Logger

	issuers     []*issuer
	clients     *registry
	keys        *keys
	revocations *revocations
	grants      map[string]grantFunc
}

// An issuer is an authorization server with its defaults filled in.
type issuer struct {
	AuthorizationServer
	URL  string // the iss of its tokens
	base string // path of its endpoints, before /v1
}

// New checks the configuration. It reads and writes nothing: the first use of
// a key, or Run, does.
func New(c Config) (*Server, error) {
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil ||
		c.PublicURL != u.Scheme+"://"+u.Host {
		return nil, fmt.Errorf("oauth: public URL %q is not of the form https://host", c.PublicURL)
	}
	if c.Store == nil || c.InTx == nil || c.Keyring == nil || c.Interactions == nil {
		return nil, errors.New("oauth: store, transactions, keyring and interactions are required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Servers == nil {
		c.Servers = []AuthorizationServer{{ID: DefaultServer}, {ID: OrgServer}}
	}
	store := guarded{c.Store}
	inTx := func(ctx context.Context, fn func(Tx) error) error { return unavailable(c.InTx(ctx, fn)) }
	s := &Server{
		publicURL: c.PublicURL, store: store, inTx: inTx, keyring: c.Keyring,
		interactions: c.Interactions, cookie: c.Cookie, now: c.Now, log: c.Logger,
		clients: &registry{load: store.Clients, now: c.Now},
		keys:    &keys{store: store, inTx: inTx, keyring: c.Keyring, now: c.Now},
	}
	var longest time.Duration
	for _, as := range c.Servers {
		iss, err := newIssuer(c.PublicURL, as)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(s.issuers, func(o *issuer) bool { return o.ID == iss.ID }) {
			return nil, fmt.Errorf("oauth: authorization server %q is given twice", iss.ID)
		}
		longest = max(longest, iss.AccessTokenLife, iss.IDTokenLife)
		s.issuers = append(s.issuers, iss)
	}
	s.keys.tokenLife = longest
	s.revocations = &revocations{load: store.RevocationsSince, now: c.Now, tokenLife: longest}
	s.grants = map[string]grantFunc{
		grantInteractionCode: s.redeemInteractionCode,
		grantRefreshToken:    s.redeemRefreshToken,
	}
	return s, nil
}

var serverID = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

func newIssuer(publicURL string, as AuthorizationServer) (*issuer, error) {
	if !serverID.MatchString(as.ID) || as.ID == "v1" {
		return nil, fmt.Errorf("oauth: %q cannot be the id of an authorization server", as.ID)
	}
	iss := &issuer{AuthorizationServer: as, URL: publicURL + "/oauth2/" + as.ID, base: "/oauth2/" + as.ID}
	if as.ID == OrgServer {
		iss.URL, iss.base = publicURL, "/oauth2"
	}
	if iss.Audience == "" {
		iss.Audience = "api://" + as.ID
		if as.ID == OrgServer {
			iss.Audience = publicURL
		}
	}
	if clientID.MatchString(iss.Audience) { // else an ID token could pass for an access token (SEC S-84)
		return nil, fmt.Errorf("oauth: server %s: audience %q could be a client id; make it a URI", as.ID, iss.Audience)
	}
	if iss.Scopes == nil {
		iss.Scopes = []string{scopeOpenID, scopeProfile, scopeEmail, scopeOffline}
	}
	if iss.Grants == nil {
		iss.Grants = slices.Clone(knownGrants)
	}
	for _, g := range iss.Grants {
		if !slices.Contains(knownGrants, g) {
			return nil, fmt.Errorf("oauth: server %s: unknown grant %q", as.ID, g)
		}
	}
	switch iss.AccessTokenAlg {
	case "":
		iss.AccessTokenAlg = algRS256
	case algRS256, algES256:
	default:
		return nil, fmt.Errorf("oauth: server %s: access tokens are signed with RS256 or ES256, not %q", as.ID, iss.AccessTokenAlg)
	}
	for _, d := range []struct {
		name          string
		value         *time.Duration
		def, min, max time.Duration
	}{
		{"access token life", &iss.AccessTokenLife, time.Hour, 5 * time.Minute, 24 * time.Hour},
		{"ID token life", &iss.IDTokenLife, time.Hour, 5 * time.Minute, 24 * time.Hour},
		{"refresh token idle life", &iss.RefreshIdle, 7 * 24 * time.Hour, 10 * time.Minute, 5 * 365 * 24 * time.Hour},
		{"refresh token life", &iss.RefreshLife, 90 * 24 * time.Hour, 10 * time.Minute, 5 * 365 * 24 * time.Hour},
		{"refresh token grace", &iss.RefreshGrace, 30 * time.Second, -1 << 62, time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
		if *d.value < d.min || *d.value > d.max {
			return nil, fmt.Errorf("oauth: server %s: %s %v is not within %v and %v", as.ID, d.name, *d.value, d.min, d.max)
		}
	}
	return iss, nil
}

// algorithms are those that the server needs a key for in any case; a client's
// own choice for ID tokens makes its key when it is first used.
func (i *issuer) algorithms() []string {
	if i.AccessTokenAlg != algRS256 {
		return []string{algRS256, i.AccessTokenAlg}
	}
	return []string{algRS256}
}

func (i *issuer) endpoint(name string) string { return i.base + "/v1/" + name }

// Issuer returns the issuer URL of an authorization server, "" for an unknown one.
func (s *Server) Issuer(server string) string {
	if i := slices.IndexFunc(s.issuers, func(i *issuer) bool { return i.ID == server }); i >= 0 {
		return s.issuers[i].URL
	}
	return ""
}

// TokenURL returns the token endpoint of an authorization server, "" for an unknown one.
func (s *Server) TokenURL(server string) string {
	if i := slices.IndexFunc(s.issuers, func(i *issuer) bool { return i.ID == server }); i >= 0 {
		return s.publicURL + s.issuers[i].endpoint("token")
	}
	return ""
}

// Handler answers everything under /oauth2/ and /.well-known/, headers, request
// ids and CORS included.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	open := func(path string, h http.HandlerFunc) {
		mux.Handle(path, edge.AnyOrigin(edge.Methods{http.MethodGet: h}))
	}
	for _, i := range s.issuers {
		route := func(name string, e endpoint, names ...string) {
			m := edge.Methods{}
			for _, method := range names {
				m[method] = s.serve(i, name, e)
			}
			mux.Handle(i.endpoint(name), s.CORS(m))
		}
		document := s.discovery(i)
		path := strings.TrimPrefix(i.URL, s.publicURL)
		open(path+"/.well-known/openid-configuration", document)
		open(path+"/.well-known/oauth-authorization-server", document)
		if path != "" {
			open("/.well-known/oauth-authorization-server"+path, document) // where RFC 8414 §3.1 puts it
		}
		open(i.endpoint("keys"), s.serve(i, "keys", (*call).jwks))
		route("interact", (*call).interact, http.MethodPost)
		route("token", (*call).token, http.MethodPost)
		route("userinfo", (*call).userinfo, http.MethodGet, http.MethodPost)
		route("introspect", (*call).introspect, http.MethodPost)
		route("revoke", (*call).revoke, http.MethodPost)
	}
	mux.HandleFunc("/", edge.NotFound.Write)
	return edge.WithRequestID(directory.NewID, edge.SecureHeaders(mux))
}

// CORS lets the pages of trusted origins call next. A preflight of any other is
// refused as OAuth refuses.
func (s *Server) CORS(next http.Handler) http.Handler {
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		edge.WriteJSON(w, http.StatusForbidden, errorBody{"access_denied", "The origin is not a trusted origin of any client."})
	}
	return edge.CORS{Trusts: s.TrustsOrigin, Refuse: refuse}.Handler(next)
}

// TrustsOrigin reports whether an origin is a trusted origin of any client, or
// that of a redirect URI.
func (s *Server) TrustsOrigin(ctx context.Context, origin string) bool {
	return s.clients.trusts(ctx, origin)
}

// Run makes the first signing keys and keeps keys and revocations fresh until
// ctx ends, whose error it returns. Everything works without it, but slower: what is stale is then read
// again by the requests that need it.
func (s *Server) Run(ctx context.Context) error {
	for _, i := range s.issuers {
		for _, alg := range i.algorithms() {
			go func() {
				if _, err := s.keys.signer(ctx, i.ID, alg); err != nil && ctx.Err() == nil {
					s.log.ErrorContext(ctx, "no signing key", "server", i.ID, "alg", alg, "err", err)
				}
			}()
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for failing := false; ; {
		err := s.revocations.refresh(ctx)
		if err == nil {
			_, err = s.keys.fresh(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !failing {
			s.log.WarnContext(ctx, "revocations and keys cannot be read", "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
