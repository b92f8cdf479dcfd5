package idx_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/url"

	"github.com/stile-id/stile/idx"
)

// guideClient is a client of an engine that plays the guide's sign-up.
func guideClient() (*idx.Client, func()) {
	e := newEngine(signUp())
	c, err := idx.New(idx.Config{
		Issuer:       e.Issuer,
		ClientID:     "0oa1acmeweb0000000",
		ClientSecret: "the secret that the engine gave",
		RedirectURI:  "https://app.example.org/login/callback",
		Now:          e.config().Now,
	})
	if err != nil {
		log.Fatal(err)
	}
	return c, e.Close
}

// Step 1: the sign-in page has a Sign up link where sign-up is allowed.
func ExampleClient_Start() {
	client, stop := guideClient()
	defer stop()

	tx, err := client.Start(context.Background(), idx.StartOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tx.Status, tx.NextStep.Name)
	fmt.Println("sign-up link:", tx.HasFeature(idx.FeatureRegistration))
	// Output:
	// PENDING identify
	// sign-up link: true
}

// Step 2: without a profile, Register shows what the sign-up page asks for.
func ExampleClient_Register_page() {
	client, stop := guideClient()
	defer stop()

	tx, err := client.Register(context.Background(), idx.Profile{})
	if err != nil {
		log.Fatal(err)
	}
	for _, in := range tx.NextStep.Inputs {
		fmt.Println(in.Name, in.Label, in.Required)
	}
	// Output:
	// firstName First name true
	// lastName Last name true
	// email Email true
}

// Steps 3 and 4: the profile is sent, and the engine mails a code and a link.
func ExampleClient_Register() {
	client, stop := guideClient()
	defer stop()

	tx, err := client.Register(context.Background(), idx.Profile{
		FirstName: "John",
		LastName:  "Doe",
		Email:     "john.doe@example.org",
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range tx.Messages { // a mistake in the form, for example
		fmt.Println(m.Field, m.Text)
	}
	fmt.Println(tx.Status, tx.NextStep.Name, tx.NextStep.Type, tx.NextStep.Authenticator.Key)
	// Output:
	// PENDING enroll-authenticator email okta_email
}

// Step 4: the person types the code. Step 5: what else may be set up is listed.
func ExampleClient_Proceed() {
	client, stop := guideClient()
	defer stop()
	ctx := context.Background()

	tx, err := client.Register(ctx, idx.Profile{FirstName: "John", LastName: "Doe", Email: "john.doe@example.org"})
	if err != nil {
		log.Fatal(err)
	}
	tx, err = client.Proceed(ctx, tx, idx.Input{VerificationCode: "726009"})
	if err != nil {
		log.Fatal(err)
	}
	for _, o := range tx.NextStep.Options {
		fmt.Println(o.Label, o.Value)
	}
	fmt.Println("Skip button:", tx.NextStep.CanSkip)
	// Output:
	// Okta Verify okta_verify
	// Password okta_password
	// Skip button: true
}

// Step 4, by the link in the mail: the engine sends the browser to the app's
// callback with otp and state.
func ExampleClient_HandleCallback() {
	client, stop := guideClient()
	defer stop()
	ctx := context.Background()

	tx, err := client.Register(ctx, idx.Profile{FirstName: "John", LastName: "Doe", Email: "john.doe@example.org"})
	if err != nil {
		log.Fatal(err)
	}
	elsewhere := url.Values{"otp": {"726009"}, "state": {tx.State()}}
	_, err = client.HandleCallback(ctx, nil, elsewhere) // this browser began nothing
	var other *idx.CallbackError
	if errors.As(err, &other) {
		fmt.Println("show the code, to be typed where it began:", other.Code)
	}
	// Output:
	// show the code, to be typed where it began: 726009
}

// Step 6: the person presses Skip and is signed in.
func ExampleClient_Proceed_skip() {
	client, stop := guideClient()
	defer stop()
	ctx := context.Background()

	tx, err := client.Register(ctx, idx.Profile{FirstName: "John", LastName: "Doe", Email: "john.doe@example.org"})
	if err == nil {
		tx, err = client.Proceed(ctx, tx, idx.Input{VerificationCode: "726009"})
	}
	if err == nil {
		tx, err = client.Proceed(ctx, tx, idx.Input{Skip: true})
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tx.Status, tx.Tokens.AccessToken.TokenType, tx.Tokens.IDToken.Claims.Email)
	// Output:
	// SUCCESS Bearer john.doe@example.org
}

// An app without state keeps the transaction in a cookie that only its owner reads.
func ExampleTransaction_MarshalText() {
	client, stop := guideClient()
	defer stop()
	ctx := context.Background()

	tx, err := client.Start(ctx, idx.StartOptions{})
	if err != nil {
		log.Fatal(err)
	}
	text, err := tx.MarshalText()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("fits a cookie:", len(text) < 1000)

	var later idx.Transaction // in the next request
	if err := later.UnmarshalText(text); err != nil {
		log.Fatal(err)
	}
	fmt.Println("same flow:", later.State() == tx.State())
	// Output:
	// fits a cookie: true
	// same flow: true
}

// The JSON form is the guide's.
func ExampleTransaction_MarshalJSON() {
	tx := idx.Transaction{
		Status: idx.StatusPending,
		NextStep: &idx.NextStep{
			Name: "select-authenticator-enroll",
			Options: []idx.Option{
				{Label: "Okta Verify", Value: "okta_verify"},
				{Label: "Password", Value: "okta_password"},
			},
			CanSkip: true,
		},
	}
	b, err := json.MarshalIndent(tx, "", "  ")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(b))
	// Output:
	// {
	//   "status": "PENDING",
	//   "nextStep": {
	//     "name": "select-authenticator-enroll",
	//     "options": [
	//       {
	//         "label": "Okta Verify",
	//         "value": "okta_verify"
	//       },
	//       {
	//         "label": "Password",
	//         "value": "okta_password"
	//       }
	//     ],
	//     "canSkip": true
	//   }
	// }
}

// People see and change their own account with the app's access token. What needs a
// newer proof says so; sign in with its StartOptions and make the call again.
func ExampleClient_Account() {
	var (
		client *idx.Client // with idx.ScopeSessionsManage and idx.ScopeProfileManage
		token  string
	)
	ctx := context.Background()
	account := client.Account(token)
	devices, err := account.Devices(ctx)
	for _, d := range devices {
		fmt.Println(d.Browser, d.System, d.LastSeenAt, d.Current)
	}
	_, err = account.RequestDeletion(ctx)
	if up := (*idx.StepUpError)(nil); errors.As(err, &up) {
		tx, err := client.Start(ctx, up.StartOptions())
		fmt.Println(tx.NextStep.Name, err)
	}
}
