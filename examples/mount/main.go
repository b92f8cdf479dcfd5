// Command mount is an app that people sign up for and sign in to: the pages of
// package signin, mounted beside the app's own.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/signin"
)

func main() {
	const uri = "http://localhost:8080/login/callback"
	client, err := idx.New(idx.Config{
		Issuer:   "http://localhost:9000/oauth2/default",
		ClientID: os.Getenv("CLIENT_ID"), ClientSecret: os.Getenv("CLIENT_SECRET"), RedirectURI: uri,
	})
	check(err)
	pages, err := signin.New(client, signin.Options{RedirectURI: uri, AppName: "Acme"})
	check(err)
	http.Handle("/login/", pages)
	http.Handle("/", pages.Require(http.HandlerFunc(home)))
	check(http.ListenAndServe("localhost:8080", nil))
}

// home is the app's own; only signed-in people get here.
func home(w http.ResponseWriter, r *http.Request) {
	who, _ := signin.User(r.Context())
	fmt.Fprintf(w, "Hello %s, you are signed in as %s.\n", who.GivenName, who.Email)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
