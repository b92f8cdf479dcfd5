package deviceapi_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/stile-id/stile/idx"
	"github.com/stile-id/stile/stiletest"
)

// shown signs somebody up as far as the link for their phone.
func shown(t *testing.T, e *stiletest.Engine, address string) (tx *idx.Transaction, link string) {
	t.Helper()
	ctx := t.Context()
	tx, err := e.Client.Register(ctx, idx.Profile{FirstName: "Ada", LastName: "Lovelace", Email: address})
	if err == nil {
		tx, err = e.Client.Proceed(ctx, tx, idx.Input{VerificationCode: e.Code(t, address)})
	}
	if err == nil {
		tx, err = e.Client.Proceed(ctx, tx, idx.Input{Authenticator: "okta_verify"})
	}
	if err != nil {
		t.Fatal(err)
	}
	own, _ := tx.NextStep.Authenticator.Context["stile"].(map[string]any)
	return tx, own["link"].(string)
}

// signedUp makes somebody with a phone.
func signedUp(t *testing.T, e *stiletest.Engine, address string, more ...idx.Input) *stiletest.Phone {
	t.Helper()
	ctx := t.Context()
	tx, link := shown(t, e, address)
	p := e.Phone(t, link)
	tx, err := e.Client.Poll(ctx, tx)
	if err == nil && tx.NextStep != nil {
		tx, err = e.Client.Proceed(ctx, tx, idx.Input{Skip: true})
	}
	if err != nil || tx.Status != idx.StatusSuccess {
		t.Fatalf("%+v, %v", tx, err)
	}
	e.Clock.Advance(time.Hour)
	return p
}

func errorOf(t *testing.T, body []byte) string {
	t.Helper()
	var out struct{ Error string }
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return out.Error
}

func TestRename(t *testing.T) {
	e := stiletest.Start(t)
	p := signedUp(t, e, "ada@example.com")
	status, body := p.Send(t, "/device/v1/rename", nil, map[string]any{"name": "  Ada's phone "})
	if status != 200 || !strings.Contains(string(body), `"name":"Ada's phone"`) {
		t.Fatalf("%d %s", status, body)
	}
	_, body = p.Send(t, "/device/v1/requests", nil, nil)
	if !strings.Contains(string(body), `"name":"Ada's phone"`) || !strings.Contains(string(body), `"account":"ada@example.com"`) {
		t.Errorf("%s", body)
	}
	for _, name := range []string{"", " ", strings.Repeat("x", 51), "a\u202eb", "a\nb"} {
		if status, body = p.Send(t, "/device/v1/rename", nil, map[string]any{"name": name}); status != 400 || errorOf(t, body) != "invalid_name" {
			t.Errorf("%q: %d %s", name, status, body)
		}
	}
}

func TestLeave(t *testing.T) {
	e := stiletest.Start(t)
	p := signedUp(t, e, "ada@example.com")
	if status, body := p.Send(t, "/device/v1/leave", nil, nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if mail := e.Mail(t, "ada@example.com"); !strings.Contains(mail.Text, "Okta Verify") {
		t.Errorf("the person is not told: %s", mail.Text)
	}
	for _, path := range []string{"requests", "answer", "rename", "leave"} {
		if status, body := p.Send(t, "/device/v1/"+path, nil, nil); status != 404 || errorOf(t, body) != "unknown_device" {
			t.Errorf("%s after that: %d %s", path, status, body)
		}
	}
}

// What is required, or the last way to sign in, stays (UX P7.3).
func TestLeaveWhatMustStay(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org("enrollment: [{name: default, authenticators: [{key: okta_email, need: required}, {key: okta_verify, need: required}]}]\n"))
	p := signedUp(t, e, "ada@example.com")
	status, body := p.Send(t, "/device/v1/leave", nil, nil)
	if status != 403 || errorOf(t, body) != "required" {
		t.Errorf("%d %s", status, body)
	}
	p.Requests(t)
}

func TestRequestsOfADeviceAreBounded(t *testing.T) {
	e := stiletest.Start(t, stiletest.ProductionLimits())
	p := signedUp(t, e, "ada@example.com")
	last := 0
	for n := 0; n < 40 && last != http.StatusTooManyRequests; n++ {
		last, _ = p.Send(t, "/device/v1/requests", nil, nil)
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("forty at once: %d", last)
	}
	e.Clock.Advance(time.Minute)
	p.Requests(t)
}

func TestBodies(t *testing.T) {
	e := stiletest.Start(t)
	for name, c := range map[string]struct {
		kind, body string
		want       int
	}{
		"JSON": {"application/json", "{}", 415}, "no type": {"", "x", 415}, "no statement": {"application/jose", "x", 401},
		"empty": {"application/jose", "", 401}, "too long": {"application/jose", strings.Repeat("a", 5<<10), 413},
	} {
		res, err := http.Post(e.URL+"/device/v1/requests", c.kind, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", name, res.StatusCode, c.want)
		}
	}
	res, err := http.Get(e.URL + "/device/v1/requests")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", res.StatusCode)
	}
}

func TestPagesOfThePhone(t *testing.T) {
	e := stiletest.Start(t)
	get := func(path string) (*http.Response, string) {
		t.Helper()
		res, err := http.Get(e.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	for path, want := range map[string]struct {
		status int
		says   string
	}{"/phone": {200, "On your phone"}, "/auth/push/link": {400, "not complete"}, "/auth/push/link?t=x": {400, "not complete"}} {
		res, body := get(path)
		if res.StatusCode != want.status || !strings.Contains(body, want.says) {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
		csp := res.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") || strings.Contains(body, "<script>") || strings.Contains(body, " style=") || strings.Contains(body, " onclick") {
			t.Errorf("%s: %s", path, csp)
		}
		for _, asset := range []string{"phone.js", "phone.css"} {
			_, rest, ok := strings.Cut(body, "/phone/"+asset)
			query, _, _ := strings.Cut(rest, `"`)
			res, _ := get("/phone/" + asset + query)
			if !ok || res.StatusCode != 200 || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %d %s", asset, res.StatusCode, res.Header.Get("Cache-Control"))
			}
		}
	}
	res, body := get("/phone/manifest.webmanifest")
	var m struct {
		StartURL string `json:"start_url"`
		Icons    []struct{ Src string }
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil || res.Header.Get("Content-Type") != "application/manifest+json" || m.StartURL != "/phone" || len(m.Icons) != 2 {
		t.Fatalf("%s %v", body, err)
	}
	for _, icon := range m.Icons {
		if res, _ := get(icon.Src); res.StatusCode != 200 || res.Header.Get("Content-Type") != "image/png" {
			t.Errorf("%s: %d", icon.Src, res.StatusCode)
		}
	}
}

// The web app has the brand's name and colour: page, icon and what a phone installs.
func TestUX_G27_PhoneOfABrand(t *testing.T) {
	e := stiletest.Start(t, stiletest.Org("brand: {name: Acme, color: '#ffe100'}\n"))
	get := func(path string) (*http.Response, []byte) {
		t.Helper()
		res, err := http.Get(e.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, body
	}
	res, page := get("/phone")
	_, style, _ := strings.Cut(string(page), "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	if !strings.HasPrefix(style, ":root{--accent:#ffe100;--on-accent:#000000;") || !strings.Contains(string(page), "<bdi>Acme</bdi>") ||
		!strings.HasSuffix(res.Header.Get("Content-Security-Policy"), " 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("%q %v", style, res.Header)
	}
	if _, manifest := get("/phone/manifest.webmanifest"); !strings.Contains(string(manifest), `"theme_color":"#ffe100"`) {
		t.Errorf("%s", manifest)
	}
	_, body := get("/phone/icon-192.png")
	icon, err := png.Decode(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if ground := color.NRGBAModel.Convert(icon.At(0, 0)); ground != (color.NRGBA{0xff, 0xe1, 0, 0xff}) {
		t.Errorf("the icon's ground is %v", ground)
	}
	if post := color.NRGBAModel.Convert(icon.At(14*4, 20*4)); post != (color.NRGBA{0, 0, 0, 0xff}) {
		t.Errorf("the icon's post is %v", post)
	}
}

// The answer to an enrolment may be lost: it comes again to the same key while the
// link is good, and to nobody and at no time else.
func TestSEC_S51_EnrolmentSaidAgain(t *testing.T) {
	e := stiletest.Start(t)
	const address, path = "ada@example.com", "/device/v1/enroll"
	_, handed := shown(t, e, address)
	link, _ := url.Parse(handed)
	statement := func(key *ecdsa.PrivateKey) string {
		t.Helper()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("stile-device+jwt"))
		if err != nil {
			t.Fatal(err)
		}
		claims, err := json.Marshal(map[string]any{
			"htm": "POST", "htu": e.URL + path, "iat": e.Clock.Now().Unix(), "jti": rand.Text(), "token": link.Query().Get("t"), "name": "Phone",
		})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p, said := e.NewPhone(t), statement(key)
	status, first := p.Post(t, path, said)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, first)
	}
	tells := func(what, said string, want int, wrong string) {
		t.Helper()
		status, body := p.Post(t, path, said)
		if status != want || want == http.StatusOK && !bytes.Equal(body, first) || want != http.StatusOK && errorOf(t, body) != wrong {
			t.Errorf("%s: %d %s", what, status, body)
		}
	}
	tells("the same statement", said, http.StatusOK, "")
	tells("a new one of the same key", statement(key), http.StatusOK, "")
	tells("another key", statement(other), http.StatusGone, "gone")
	e.Clock.Advance(2 * time.Minute)
	tells("the same statement, later", said, http.StatusUnauthorized, "wrong_time")
	tells("a new one, later", statement(key), http.StatusOK, "")
	e.Clock.Advance(14 * time.Minute)
	tells("after the link's end", statement(key), http.StatusGone, "gone")
}
