package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/pool"
	"github.com/stile-id/stile/internal/session"
)

// A Store reads what the core needs. What is missing is an error of kind
// problem.NotFound.
type Store interface {
	Clients(ctx context.Context) ([]Client, error)
	Keys(ctx context.Context) ([]Key, error)
	RefreshFamily(ctx context.Context, id string) (RefreshFamily, error)
	// RefreshFamilies returns a user's families that have not been revoked.
	RefreshFamilies(ctx context.Context, userID string) ([]RefreshFamily, error)
	Session(ctx context.Context, id string) (session.Session, error)
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
	// Revoke keeps of several revocations of an ID the one with the latest RevokedAt.
	Revoke(Revocation) error
	EndSession(id string, at time.Time) error // ended already is no error
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
	// Spend marks it redeemed for a grant within tx, or fails with kind problem.Stale.
	Spend(tx Tx, i Interaction, grant string) error
}

// Sessions knows the sessions of browsers at the engine.
type Sessions interface {
	// SessionID returns the id of the session that a cookie names, which may have ended.
	SessionID(cookie string) (id string, ok bool)
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
	Enroll        string // key of an authenticator to add; empty: none
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
	IP            string // of the person, where they signed in
	UserAgent     string
	Session       string // of the browser at the engine; empty without
	BegunAt       time.Time
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
	Scopes         []string // default all that exist
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
	Sessions     Sessions
	Servers      []AuthorizationServer // default: DefaultServer and OrgServer
	Cookie       edge.SessionCookie
	// TrustedOrigins are those of the organisation, beside those of clients; nil: none (SEC S-70).
	TrustedOrigins func() []string
	// ACRs are the assurances that a sign-in can be asked for; nil: none.
	ACRs func() []string
	// Brand is how the pages of sign-out look where no app says otherwise; nil: as the engine's own.
	Brand func() edge.Brand
	// Signing is where tokens are signed; default NewSigningPool().
	Signing *pool.Pool
	// Admission lets requests in; nil: all of them.
	Admission *edge.Admission
	Now       func() time.Time
	Logger    *slog.Logger
}

// A Server is the OAuth core of one process, safe for concurrent use.
type Server struct {
	publicURL    string
	store        Store
	inTx         func(context.Context, func(Tx) error) error
	keyring      *keyring.Keyring
	interactions Interactions
	sessions     Sessions
	cookie       edge.SessionCookie
	acrs         func() []string
	origins      func() []string   // of the organisation
	brand        func() edge.Brand // nil: the engine's own
	signing      *pool.Pool
	admission    *edge.Admission
	now          func() time.Time
	log          *slog.Logger

	issuers     []*issuer
	clients     *registry
	keys        *keys
	revocations *revocations
	grants      map[string]grantFunc
}

// New checks the configuration. It reads and writes nothing: the first use of
// a key, or Run, does.
func New(c Config) (*Server, error) {
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil ||
		c.PublicURL != u.Scheme+"://"+u.Host {
		return nil, fmt.Errorf("oauth: public URL %q is not of the form https://host", c.PublicURL)
	}
	if c.Store == nil || c.InTx == nil || c.Keyring == nil || c.Interactions == nil || c.Sessions == nil {
		return nil, errors.New("oauth: store, transactions, keyring, interactions and sessions are required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.TrustedOrigins == nil {
		c.TrustedOrigins = func() []string { return nil }
	}
	if c.ACRs == nil {
		c.ACRs = func() []string { return nil }
	}
	if c.Signing == nil {
		c.Signing = NewSigningPool()
	}
	if c.Servers == nil {
		c.Servers = []AuthorizationServer{{ID: DefaultServer}, {ID: OrgServer}}
	}
	store := guarded{c.Store}
	inTx := func(ctx context.Context, fn func(Tx) error) error { return unavailable(c.InTx(ctx, fn)) }
	s := &Server{
		publicURL: c.PublicURL, store: store, inTx: inTx, keyring: c.Keyring,
		interactions: c.Interactions, sessions: c.Sessions, cookie: c.Cookie, origins: c.TrustedOrigins, acrs: c.ACRs, now: c.Now, log: c.Logger,
		brand: c.Brand, signing: c.Signing, admission: c.Admission,
		clients: &registry{turn: newTurn(), load: store.Clients, now: c.Now},
		keys:    &keys{turn: newTurn(), store: store, inTx: inTx, keyring: c.Keyring, now: c.Now},
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
	s.revocations = &revocations{turn: newTurn(), load: store.RevocationsSince, now: c.Now, tokenLife: longest}
	s.grants = map[string]grantFunc{
		grantInteractionCode: s.redeemInteractionCode,
		grantRefreshToken:    s.redeemRefreshToken,
	}
	return s, nil
}

// Handler answers everything under /oauth2/ and /.well-known/, headers, request
// ids and CORS included.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	admitted := func(class edge.Class, page bool, h http.Handler) http.Handler {
		refuse := func(w http.ResponseWriter, r *http.Request, err error) {
			if p := refusal(err); page {
				(&call{Server: s, w: w, r: r}).faultPage(p)
			} else {
				writeRefusal(w, r, p)
			}
		}
		return s.admission.Handler(edge.Always(class), refuse, h)
	}
	open := func(path string, h http.HandlerFunc) {
		mux.Handle(path, edge.AnyOrigin(admitted(edge.Memory, false, edge.Methods{http.MethodGet: h})))
	}
	for _, i := range s.issuers {
		route := func(name string, class edge.Class, e endpoint, names ...string) {
			m := edge.Methods{}
			for _, method := range names {
				m[method] = s.serve(i, name, e)
			}
			mux.Handle(i.endpoint(name), s.CORS(admitted(class, false, m)))
		}
		document := s.discovery(i)
		path := strings.TrimPrefix(i.URL, s.publicURL)
		open(path+"/.well-known/openid-configuration", document)
		open(path+"/.well-known/oauth-authorization-server", document)
		if path != "" {
			open("/.well-known/oauth-authorization-server"+path, document) // where RFC 8414 §3.1 puts it
		}
		open(i.endpoint("keys"), s.serve(i, "keys", (*call).jwks))
		route("interact", edge.Start, (*call).interact, http.MethodPost)
		route("token", edge.Finish, (*call).token, http.MethodPost)
		route("userinfo", edge.Finish, (*call).userinfo, http.MethodGet, http.MethodPost)
		route("introspect", edge.Finish, (*call).introspect, http.MethodPost)
		route("revoke", edge.Finish, (*call).revoke, http.MethodPost)
		// Browsers go there, scripts do not: no page of another origin may read it.
		logout := s.serve(i, "logout", (*call).logout)
		mux.Handle(i.endpoint("logout"), admitted(edge.Finish, true, edge.Methods{http.MethodGet: logout, http.MethodPost: logout}))
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

// TrustsOrigin reports whether an origin is a trusted origin of the organisation
// or of any client, or that of a redirect URI.
func (s *Server) TrustsOrigin(ctx context.Context, origin string) bool {
	return slices.Contains(s.origins(), origin) || s.clients.trusts(ctx, origin)
}

// ForgetClients makes the next request read the clients again: something else
// than this server has changed them.
func (s *Server) ForgetClients() { s.clients.forget() }

// Ready reports whether the server has the keys that it signs with.
func (s *Server) Ready(ctx context.Context) error {
	set, err := s.keys.fresh(ctx)
	if err != nil {
		return err
	}
	for _, i := range s.issuers {
		for _, alg := range i.algorithms() {
			if set.signer(i.ID, alg, s.now()) == nil {
				return fmt.Errorf("oauth: server %s has no active %s key", i.ID, alg)
			}
		}
	}
	return nil
}

// MakeKeys returns once every server has its signing keys: it makes those that
// are missing, or waits for whoever is making them.
func (s *Server) MakeKeys(ctx context.Context) error {
	made := make(chan error)
	n := 0
	for _, i := range s.issuers {
		for _, alg := range i.algorithms() {
			n++
			go func() {
				_, err := s.keys.signer(ctx, i.ID, alg)
				if err != nil {
					err = fmt.Errorf("oauth: server %s has no %s key: %w", i.ID, alg, err)
				}
				made <- err
			}()
		}
	}
	var err error
	for range n {
		err = errors.Join(err, <-made)
	}
	return err
}

// firstKeys makes keys until every server has its own: until then nothing but it would
// ask for them, since an engine without keys is not ready.
func (s *Server) firstKeys(ctx context.Context) {
	for pause := keysAgain; ; pause = min(2*pause, keysSeldom) {
		err := s.MakeKeys(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if pause == keysAgain {
			s.log.ErrorContext(ctx, "no signing keys yet", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// The pauses after keys could not be made, the first and the longest: each try costs
// the making of a key.
const (
	keysAgain  = time.Second
	keysSeldom = 30 * time.Second
)

// RefreshEvery is how often Run looks for what is new.
const RefreshEvery = time.Second

// Run makes the first signing keys and keeps keys and revocations fresh until
// ctx ends, whose error it returns, each time through run. Everything works without
// it, but slower: what is stale is then read again by the requests that need it.
func (s *Server) Run(ctx context.Context, run func(work func() error) error) error {
	go s.firstKeys(ctx)
	tick := time.NewTicker(RefreshEvery)
	defer tick.Stop()
	for failing := false; ; {
		err := run(func() error {
			if err := s.revocations.refresh(ctx); err != nil {
				return err
			}
			_, err := s.keys.fresh(ctx)
			return err
		})
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
