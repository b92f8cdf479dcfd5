// Command main runs the demo app on its own, against an engine that runs elsewhere:
//
//	go run ./examples/demo/main -client-id ID -client-secret SECRET
//
// stile dev prints both, and stays free of its own demo app with --app-listen=off.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/stile-id/stile/examples/demo"
)

func main() {
	log.SetFlags(0)
	var c demo.Config
	text := func(p *string, name, variable, value, usage string) {
		if set := os.Getenv(variable); set != "" {
			value = set
		}
		flag.StringVar(p, name, value, usage+" ["+variable+"]")
	}
	text(&c.Issuer, "issuer", "STILE_ISSUER", "http://localhost:9000/oauth2/default", "issuer of the engine")
	text(&c.ClientID, "client-id", "STILE_CLIENT_ID", "", "id of the app, as registered with the engine")
	text(&c.RedirectURI, "redirect-uri", "STILE_REDIRECT_URI", "http://localhost:8080/login/callback", "its redirect URI; the app listens there")
	text(&c.Inbox, "inbox", "STILE_INBOX", "", "address of a development inbox to link to")
	secret := flag.String("client-secret", "", "its secret; none for a public client [STILE_CLIENT_SECRET]")
	flag.Parse()
	if c.ClientSecret = *secret; c.ClientSecret == "" {
		c.ClientSecret = os.Getenv("STILE_CLIENT_SECRET") // not as a default, which -help would print
	}
	if err := run(c); err != nil {
		log.Fatal("demo: ", err)
	}
}

func run(c demo.Config) error {
	handler, err := demo.New(c)
	if err != nil {
		return err
	}
	uri, err := url.Parse(c.RedirectURI)
	if err != nil {
		return err
	}
	fmt.Printf("Open %s://%s\n", uri.Scheme, uri.Host)
	server := &http.Server{Addr: uri.Host, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}
