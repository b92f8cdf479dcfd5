package app

import (
	"net/http"

	"github.com/stile-id/stile/internal/admin"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/edge"
	"github.com/stile-id/stile/internal/idxapi"
	"github.com/stile-id/stile/internal/mail"
	"github.com/stile-id/stile/internal/myaccount"
)

// brand is how the engine's own pages look.
func (a *App) brand() edge.Brand {
	b := a.policies.Current().Brand
	return edge.Brand{Name: b.Name, Color: b.Color}
}

// routes puts the doors side by side.
func (a *App) routes(c Config, linkTransaction func(string) (string, bool), cookie edge.SessionCookie, device http.Handler) http.Handler {
	idx := idxapi.New(idxapi.Config{
		Engine: a.Engine, PublicURL: c.PublicURL, TokenURL: a.OAuth.TokenURL, LinkTransaction: linkTransaction, Agent: mail.ParseUserAgent,
		Tickets: a.admin.Landing, Brand: a.brand,
		Cookie: cookie, Admission: a.bounds.admission, Logger: c.Logger,
	})
	own := myaccount.New(myaccount.Config{
		Accounts: a.Account, Tokens: accountTokens{a.OAuth}, PublicURL: c.PublicURL, LinkTicket: linkTransaction,
		Brand:     a.brand,
		Admission: a.bounds.admission, Logger: c.Logger,
	})
	cors := edge.CORS{
		Trusts:  a.OAuth.TrustsOrigin,
		Methods: []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete},
	}
	mux := http.NewServeMux()
	mux.Handle("/idp/myaccount/", cors.Handler(own))
	mux.Handle("/account/", own.Pages())
	mux.Handle("/idp/idx/", a.OAuth.CORS(idx))
	mux.Handle("/email/verify/", idx)
	for _, path := range []string{"/auth/push/link", "/device/v1/", "/phone", "/phone/"} {
		mux.Handle(path, device)
	}
	mux.Handle(admin.TicketPath, idx)
	if a.Inbox != nil {
		mux.Handle("/dev/inbox", a.Inbox.Handler())
		mux.Handle("/dev/inbox/", a.Inbox.Handler())
		mux.Handle("GET /{$}", http.RedirectHandler("/dev/inbox", http.StatusFound))
	}
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { a.tellReady(w, r, false) })
	mux.Handle("/", a.OAuth.Handler())
	known := edge.KnownHosts(append([]string{hostname(c.PublicURL)}, c.Hosts...), []string{"/healthz", "/readyz"}, mux)
	door := edge.WithRequestID(directory.NewID, sourced(edge.SecureHeaders(a.logged(a.contained(a.leaving(known))))))
	return edge.BehindProxies(c.TrustedProxies, door)
}
