package push

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"image/png"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"

	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/oath"
	"github.com/stile-id/stile/internal/problem"
)

func newPush(t *testing.T, texts bool) (*Authenticator, *time.Time) {
	t.Helper()
	keys, err := keyring.New(keyring.Generate())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	c := Config{Keyring: keys, Now: func() time.Time { return now }, PublicURL: "https://id.example.com/"}
	if texts {
		c.Number = func(typed string) (string, string, bool) {
			return "+15555550100", "US", strings.Contains(typed, "0100")
		}
	}
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a, &now
}

func subject(details ...string) authenticator.Subject {
	s := authenticator.Subject{Transaction: "tx1", Challenge: "ch1", Purpose: authenticator.SignUp, Details: authenticator.Input{}}
	for i := 0; i < len(details); i += 2 {
		s.Details[details[i]] = details[i+1]
	}
	return s
}

func TestNewChecksItsConfiguration(t *testing.T) {
	keys, err := keyring.New(keyring.Generate())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"no keys": {Now: time.Now, PublicURL: "https://id.example.com"}, "no clock": {Keyring: keys, PublicURL: "https://id.example.com"},
		"no URL": {Keyring: keys, Now: time.Now}, "a path alone": {Keyring: keys, Now: time.Now, PublicURL: "/x"},
		"a query": {Keyring: keys, Now: time.Now, PublicURL: "https://id.example.com?x"},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestAUTH_A22_QRCode(t *testing.T) {
	a, now := newPush(t, false)
	p, err := a.BeginEnroll(context.Background(), subject())
	if err != nil || !p.Elsewhere || len(p.Fields) != 0 || len(p.Effects) != 0 || !p.ExpiresAt.Equal(now.Add(15*time.Minute)) {
		t.Fatalf("%+v, %v", p, err)
	}
	link := p.Public["stile"].(map[string]any)["link"].(string)
	token, ok := strings.CutPrefix(link, "https://id.example.com/auth/push/link?t=")
	if l, genuine := a.ReadLink(token); !ok || !genuine || l.Transaction != "tx1" || l.Challenge != "ch1" || !l.ExpiresAt.Equal(p.ExpiresAt) {
		t.Errorf("the link is %s", link)
	}
	code := p.Public["qrcode"].(map[string]any)
	data, ok := strings.CutPrefix(code["href"].(string), "data:image/png;base64,")
	picture, err := base64.StdEncoding.DecodeString(data)
	if !ok || err != nil || code["method"] != "embedded" || code["type"] != "image/png" {
		t.Fatalf("%v %v", code, err)
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		t.Errorf("no picture: %v", err)
	}
	want, err := qr.Encode(link, qr.L)
	if err != nil {
		t.Fatal(err)
	}
	want.Scale = 6
	if !bytes.Equal(picture, want.PNG()) {
		t.Error("the picture is not that of the link")
	}
}

func TestReadLink(t *testing.T) {
	a, now := newPush(t, false)
	token := a.token(Link{"tx1", "ch1", *now})
	other, _ := newPush(t, false)
	for _, bad := range []string{
		"", ".", "...", token[:len(token)-1], token + "A", token + ".", strings.Replace(token, "tx1", "tx2", 1), strings.Replace(token, "ch1", "ch2", 1),
		strings.Replace(token, "ch1", "ch1.x", 1), strings.ToUpper(token), other.token(Link{"tx1", "ch1", *now}), strings.Repeat("a", 1000),
		strings.Replace(token, "."+strings.Split(token, ".")[2]+".", ".zzzzzz.", 1), strings.Replace(token, "tx1.ch1", "tx1ch1.", 1),
	} {
		if l, ok := a.ReadLink(bad); ok {
			t.Errorf("%q is taken for %+v", bad, l)
		}
	}
}

func TestAUTH_A23_A24_Channels(t *testing.T) {
	a, _ := newPush(t, false)
	texting, _ := newPush(t, true)
	if n := len(a.Channels(authenticator.Subject{})); n != 2 {
		t.Errorf("%d channels without texts", n)
	}
	if n := len(texting.Channels(authenticator.Subject{})); n != 3 {
		t.Errorf("%d channels with texts", n)
	}
	begin := func(a *Authenticator, details ...string) (authenticator.Prompt, error) {
		return a.BeginEnroll(context.Background(), subject(details...))
	}
	var wanted *authenticator.Wanted
	if _, err := begin(a, "channel", "email"); !errors.As(err, &wanted) || !wanted.Channel || wanted.Fields[0].Name != "email" || wanted.Public["selectedChannel"] != "email" {
		t.Errorf("email: %v", err)
	}
	if _, err := begin(texting, "channel", "sms"); !errors.As(err, &wanted) || wanted.Fields[0].Name != "phoneNumber" {
		t.Errorf("sms: %v", err)
	}
	for _, details := range [][]string{{"channel", "sms"}, {"channel", "fax"}, {"channel", "email", "email", "nobody"}} {
		var rejected *authenticator.Rejected
		if _, err := begin(a, details...); !errors.As(err, &rejected) || len(rejected.Messages) != 1 {
			t.Errorf("%v: %v", details, err)
		}
	}
	for _, number := range []string{"5551234", "incorrectnumber"} {
		var rejected *authenticator.Rejected
		if _, err := begin(texting, "channel", "sms", "phoneNumber", number); !errors.As(err, &rejected) || rejected.Messages[0].Field != "phoneNumber" {
			t.Errorf("%s: %v", number, err)
		}
	}
	p, err := begin(texting, "channel", "sms", "phoneNumber", "+1 (555) 555-0100")
	if err != nil || p.Public["phoneNumber"] != "+1 (555) 555-0100" || p.Public["qrcode"] != nil || p.Public["stile"] != nil || !p.Elsewhere {
		t.Fatalf("sms: %+v, %v", p, err)
	}
	if text := p.Effects[0].Text; text.To != "+15555550100" || text.Code != "" || !text.Enrolling || !text.ExpiresAt.Equal(p.ExpiresAt) || !strings.Contains(text.Link, "/auth/push/link?t=") {
		t.Errorf("%+v", text)
	}
	p, err = begin(a, "channel", "email", "email", "Ada@Example.com")
	if err != nil || p.Public["email"] != "Ada@Example.com" || p.Public["stile"] != nil {
		t.Fatalf("email: %+v, %v", p, err)
	}
	if mail := p.Effects[0].Mail; mail.Template != "device-link" || mail.FirstName != "" || mail.Code != "" || !mail.ExpiresAt.Equal(p.ExpiresAt) {
		t.Errorf("%+v", mail)
	}
}

func TestSEC_S52_WindowAndReplay(t *testing.T) {
	a, now := newPush(t, false)
	secret := oath.Secret("12345678901234567890")
	key := `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	s := subject("methodType", "totp")
	s.Purpose = authenticator.SignIn
	s.Enrolled = []authenticator.Credential{{ID: "pfd1", Data: encode(device{Key: []byte(key), Secret: secret})}, {ID: "pfd2", Data: encode(device{Key: []byte(key), Secret: oath.Secret("another secret of twenty")})}}
	p, err := a.BeginVerify(context.Background(), s)
	if err != nil || p.Elsewhere || p.Fields[0].Name != "totp" {
		t.Fatalf("%+v, %v", p, err)
	}
	try := func(n int64) (authenticator.Proof, error) {
		return a.FinishVerify(context.Background(), s, p, authenticator.Input{"totp": secret.Code(oath.StepOf(*now) + n)})
	}
	for n, right := range map[int64]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
		shown, err := try(n)
		if (err == nil) != right {
			t.Errorf("the code of %d periods on: %v", n, err)
		}
		if right && shown.Credential.ID != "pfd1" {
			t.Errorf("%+v", shown)
		}
	}
	shown, err := try(0)
	if err != nil {
		t.Fatal(err)
	}
	s.Enrolled[0] = shown.Credential
	for n, right := range map[int64]bool{-1: false, 0: false, 1: true} {
		_, err := try(n)
		var wrong *authenticator.Wrong
		if (err == nil) != right || !right && (!errors.As(err, &wrong) || wrong.Message.Key != "authfactor.challenge.soft_token.used_passcode") {
			t.Errorf("after the code of now, that of %d periods on: %v", n, err)
		}
	}
	s.Purpose = authenticator.SignInUnknown
	if _, err := try(1); !errors.Is(err, authenticator.ErrWrong) {
		t.Errorf("for nobody: %v", err)
	}
	var rejected *authenticator.Rejected
	if _, err := a.FinishVerify(context.Background(), s, p, authenticator.Input{"passcode": "123456"}); !errors.As(err, &rejected) ||
		rejected.Messages[0].Field != "totp" || rejected.Messages[0].Class != problem.ClassError {
		t.Errorf("A-26: %v", err)
	}
}

func TestAUTH_A28_ThreeNumbers(t *testing.T) {
	a, now := newPush(t, false)
	places := map[int]bool{}
	for range 200 {
		p, err := a.BeginVerify(context.Background(), subject("methodType", "push"))
		if err != nil || p.Method != Approve || !p.ExpiresAt.Equal(now.Add(5*time.Minute)) {
			t.Fatalf("%+v, %v", p, err)
		}
		push, right := p.Effects[0].Push, p.Public["correctAnswer"].(string)
		if strings.Contains(string(push.Data), `"number"`) || len(right) != 2 {
			t.Fatalf("%s %s", push.Data, right)
		}
		_, list, _ := strings.Cut(string(push.Data), `"numbers":["`)
		list, _, _ = strings.Cut(list, `"]`)
		numbers := strings.Split(list, `","`)
		if len(numbers) != 3 || numbers[0] == numbers[1] || numbers[1] == numbers[2] {
			t.Fatalf("%v", numbers)
		}
		for i, n := range numbers {
			if n == right {
				places[i] = true
			}
		}
	}
	if len(places) != 3 {
		t.Errorf("the right number stands at %v", places)
	}
}

func TestWhatWakesADevice(t *testing.T) {
	a, _ := newPush(t, false)
	for _, wakes := range []bool{false, true} {
		a.wakes = wakes
		for _, s := range []authenticator.Subject{subject("methodType", "push"), {Details: map[string]string{"methodType": "push"}}} {
			p, err := a.BeginVerify(context.Background(), s)
			if err != nil || p.Effects[0].Push.Wakes != wakes {
				t.Errorf("%+v, %v", p.Effects, err)
			}
		}
	}
	key := `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	c := authenticator.Credential{Data: encode(device{Key: []byte(key), Secret: oath.Secret("12345678901234567890")})}
	given, err := Wake(c, []byte(`{"endpoint":"https://push.example.com/x"}`))
	if err != nil || WokenBy(c) != nil || string(WokenBy(given)) != `{"endpoint":"https://push.example.com/x"}` {
		t.Errorf("handed over: %s, %v", WokenBy(given), err)
	}
	if none, err := Wake(given, nil); err != nil || WokenBy(none) != nil {
		t.Errorf("taken back: %s, %v", WokenBy(none), err)
	}
}
