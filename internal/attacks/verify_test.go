package attacks

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/stiletest"
)

func phoneBy(details ...string) map[string]any {
	a := map[string]any{"id": "aut1oktaverify000000"}
	for i := 0; i < len(details); i += 2 {
		a[details[i]] = details[i+1]
	}
	return map[string]any{"authenticator": a}
}

// shown is what a document says of the phone in hand.
func shown(t *testing.T, a answer) (link, number string) {
	t.Helper()
	var d struct {
		CurrentAuthenticator struct {
			Value struct {
				ContextualData struct {
					CorrectAnswer string
					Stile         struct{ Link string }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(a.body), &d); err != nil {
		t.Fatal(err)
	}
	c := d.CurrentAuthenticator.Value.ContextualData
	return c.Stile.Link, c.CorrectAnswer
}

// adding is a sign-up that waits for its phone.
func adding(t *testing.T, e *stiletest.Engine, address string) (w *wire, link string) {
	t.Helper()
	w = begin(t, e)
	w.enrolled(address)
	w.answer("challenge/answer", passcode(e.Code(t, address)))
	link, _ = shown(t, w.answer("credential/enroll", phoneBy()))
	if link == "" {
		t.Fatal("no link")
	}
	return w, link
}

func hasPhone(t *testing.T, e *stiletest.Engine, address string) *stiletest.Phone {
	t.Helper()
	w, link := adding(t, e, address)
	p := e.Phone(t, link)
	done := w.answer("challenge/poll", nil)
	if done.has("skip") {
		done = w.answer("skip", nil)
	}
	if done.code() == "" {
		t.Fatalf("no code: %s", done.body)
	}
	e.Clock.Advance(time.Hour)
	return p
}

// pushed is a sign-in that asks the phone.
func pushed(t *testing.T, e *stiletest.Engine, address string) (w *wire, a answer) {
	t.Helper()
	w = begin(t, e)
	w.answer("identify", map[string]any{"identifier": address})
	return w, w.answer("challenge", phoneBy("methodType", "push"))
}

// A QR code that a stranger has scanned: whoever comes first is the one phone, the
// second is told, and nothing that the link gives signs anybody in.
func TestAUTH_A22_A25_QRScannedByAStranger(t *testing.T) {
	e := stiletest.Start(t)
	w, link := adding(t, e, "ada@example.com")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var status []int
	var bodies []string
	for range 8 {
		p := e.NewPhone(t)
		wg.Go(func() {
			s, b := p.Enroll(t, link, "Phone")
			mu.Lock()
			defer mu.Unlock()
			status, bodies = append(status, s), append(bodies, string(b))
		})
	}
	wg.Wait()
	slices.Sort(status)
	if status[0] != http.StatusOK || status[1] != http.StatusGone || status[7] != http.StatusGone {
		t.Fatalf("eight phones at once: %v", status)
	}
	for _, b := range bodies {
		if strings.Contains(b, "ih.") || strings.Contains(b, "ic.") || strings.Contains(b, "02.id.") {
			t.Errorf("a phone is given a handle or a code: %s", b)
		}
	}
	if s, _ := e.NewPhone(t).Enroll(t, link, "Phone"); s != http.StatusGone {
		t.Errorf("one more: %d", s)
	}
	if done := w.answer("skip", nil); done.code() == "" {
		t.Errorf("the person does not go on: %s", done.body)
	}

	for name, end := range map[string]func(*wire){
		"canceled":  func(w *wire) { w.answer("cancel", nil) },
		"skipped":   func(w *wire) { w.answer("skip", nil) },
		"put aside": func(w *wire) { w.answer("credential/enroll", phoneBy("channel", "email")) },
		"too old":   func(*wire) { e.Clock.Advance(15*time.Minute + time.Second) },
	} {
		w, link := adding(t, e, strings.ReplaceAll(name, " ", "-")+"@example.com")
		end(w)
		if s, b := e.NewPhone(t).Enroll(t, link, "Phone"); s != http.StatusGone {
			t.Errorf("%s: %d %s", name, s, b)
		}
	}
	_, link = adding(t, e, "cut@example.com")
	for _, other := range []string{link[:len(link)-1], link + "A", strings.Replace(link, "?t=", "?t=x", 1), strings.Replace(link, ".ch", ".cH", 1)} {
		if s, _ := e.NewPhone(t).Enroll(t, other, "Phone"); s != http.StatusGone {
			t.Errorf("%s: %d", other, s)
		}
	}
}

// What is signed with a key is good for the person of that key, for one address, for
// a minute, and where it answers, once.
func TestAUTH_A27_StatementsOfDevices(t *testing.T) {
	e := stiletest.Start(t)
	ada, eve := hasPhone(t, e, "ada@example.com"), hasPhone(t, e, "eve@example.com")
	w, a := pushed(t, e, "ada@example.com")
	_, number := shown(t, a)
	asked := ada.Requests(t)
	if len(asked) != 1 || len(eve.Requests(t)) != 0 {
		t.Fatalf("ada is asked %v, eve %v", asked, eve.Requests(t))
	}
	approve := map[string]any{"request": asked[0].ID, "approve": true, "number": number}
	refused := func(name string, want int, status int, body []byte) {
		t.Helper()
		if status != want {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	s, b := eve.Send(t, "/device/v1/answer", nil, approve)
	refused("a device key of another user", http.StatusGone, s, b)
	s, b = eve.Send(t, "/device/v1/answer", map[string]any{"kid": ada.Device}, approve)
	refused("under the other's name", http.StatusUnauthorized, s, b)
	adas, _, _ := strings.Cut(ada.Device, ".")
	_, evesEnrollment, _ := strings.Cut(eve.Device, ".")
	s, b = eve.Send(t, "/device/v1/answer", map[string]any{"kid": adas + "." + evesEnrollment}, approve)
	refused("a device of eve at the account of ada", http.StatusNotFound, s, b)
	for name, change := range map[string]map[string]any{
		"too old":         {"iat": e.Clock.Now().Add(-61 * time.Second).Unix()},
		"too new":         {"iat": e.Clock.Now().Add(62 * time.Second).Unix()},
		"another address": {"htu": e.URL + "/device/v1/requests"},
		"another host":    {"htu": "https://id.example.com/device/v1/answer"},
		"another method":  {"htm": "GET"},
		"no id":           {"jti": ""},
	} {
		claims := map[string]any{}
		for k, v := range approve {
			claims[k] = v
		}
		for k, v := range change {
			claims[k] = v
		}
		s, b = ada.Send(t, "/device/v1/answer", nil, claims)
		refused(name, http.StatusUnauthorized, s, b)
	}
	for name, header := range map[string]map[string]any{
		"no signature":    {"alg": "none"},
		"a shared secret": {"alg": "HS256"},
		"another type":    {"typ": "dpop+jwt"},
		"a key beside":    {"kid": "x." + evesEnrollment},
	} {
		s, b = ada.Send(t, "/device/v1/answer", header, approve)
		if s == http.StatusOK {
			t.Errorf("%s: %d %s", name, s, b)
		}
	}
	statement := ada.Sign(t, "/device/v1/answer", nil, approve)
	parts := strings.Split(statement, ".")
	for name, text := range map[string]string{
		"cut": statement[:len(statement)-2], "without its signature": parts[0] + "." + parts[1] + ".", "padded": statement + strings.Repeat("A", 8<<10),
		"payload of another": parts[0] + "." + strings.Split(ada.Sign(t, "/device/v1/answer", nil, map[string]any{"request": asked[0].ID}), ".")[1] + "." + parts[2],
	} {
		if s, b = ada.Post(t, "/device/v1/answer", text); s < 400 || s >= 500 {
			t.Errorf("%s: %d %s", name, s, b)
		}
	}
	if poll := w.answer("challenge/poll", nil); poll.status != 200 {
		t.Fatalf("the sign-in does not wait any more: %s", poll.body)
	}

	if s, b = ada.Post(t, "/device/v1/answer", statement); s != 200 || !bytes.Contains(b, []byte("approved")) {
		t.Fatalf("the genuine one: %d %s", s, b)
	}
	s, b = ada.Post(t, "/device/v1/answer", statement)
	refused("replayed", http.StatusGone, s, b)
	if done := w.answer("challenge/poll", nil); done.code() == "" {
		t.Errorf("no code: %s", done.body)
	}
	_, a = pushed(t, e, "ada@example.com")
	s, b = ada.Post(t, "/device/v1/answer", statement)
	refused("replayed at the next sign-in", http.StatusGone, s, b)
	if list := ada.Requests(t); len(list) != 1 || a.status != 200 {
		t.Errorf("the next sign-in: %v", list)
	}
}

// The key of another person's device cannot be enrolled, whoever holds it.
func TestAUTH_A22_ADeviceKeyIsOnePersons(t *testing.T) {
	e := stiletest.Start(t)
	p := hasPhone(t, e, "ada@example.com")
	w, link := adding(t, e, "eve@example.com")
	device := p.Device
	if s, b := p.Enroll(t, link, "Phone"); s != http.StatusConflict {
		t.Fatalf("the same key at another account: %d %s", s, b)
	}
	if p.Device != device || len(p.Requests(t)) != 0 {
		t.Error("the device is ada's no more")
	}
	e.Phone(t, link)
	if done := w.answer("skip", nil); done.code() == "" {
		t.Errorf("no code: %s", done.body)
	}
}

// Many pushes: they are bounded, each takes one answer, and saying yes without the
// number that the browser shows is no yes.
func TestAUTH_A27_A28_PushFatigue(t *testing.T) {
	// Where the phone must be, the list comes first, and no mail is sent before.
	e := stiletest.Start(t, stiletest.ProductionLimits(), stiletest.Org(
		"enrollment: [{name: default, authenticators: [{key: okta_email, need: required}, {key: okta_verify, need: required}]}]\n"))
	e.Clock.Stop()
	ada := hasPhone(t, e, "ada@example.com")
	sent, throttled := 0, 0
	for range 8 {
		e.Clock.Advance(10 * time.Second)
		_, a := pushed(t, e, "ada@example.com")
		switch a.status {
		case http.StatusOK:
			sent++
		case http.StatusTooManyRequests:
			throttled++
		default:
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if sent != 3 || throttled != 5 {
		t.Errorf("within five minutes %d requests are sent and %d refused, want 3 and 5", sent, throttled)
	}
	list := ada.Requests(t)
	if len(list) != 3 {
		t.Fatalf("the phone is asked %d times", len(list))
	}
	for _, number := range []string{"", "0", "100", "abc"} {
		e.Clock.Advance(5 * time.Minute)
		w, a := pushed(t, e, "ada@example.com")
		_, right := shown(t, a)
		r := ada.Requests(t)[0]
		if !slices.Contains(r.Numbers, right) {
			t.Fatalf("the browser shows %s, the phone %v", right, r.Numbers)
		}
		if got := ada.Approve(t, r, number); got != "wrong" {
			t.Errorf("yes with the number %q: %s", number, got)
		}
		if got := ada.Approve(t, r, right); got != "gone" {
			t.Errorf("a second answer: %s", got)
		}
		if poll := w.answer("challenge/poll", nil); poll.status != 400 || poll.code() != "" {
			t.Errorf("after %q: %d %s", number, poll.status, poll.body)
		}
	}
	day := 0
	for range 60 {
		e.Clock.Advance(6 * time.Minute)
		if _, a := pushed(t, e, "ada@example.com"); a.status == http.StatusOK {
			day++
		}
	}
	if day > 20 || day < 10 {
		t.Errorf("%d requests in six hours", day)
	}
}

// An address without an account is asked alike, and nobody's phone hears of it.
func TestSEC_S42_PushToNobody(t *testing.T) {
	e := stiletest.Start(t)
	hasPhone(t, e, "ada@example.com")
	begin(t, e).signedUp("bob@example.com")
	shape := func(address string) string {
		w, a := pushed(t, e, address)
		var all []string
		for _, one := range []answer{a, w.answer("challenge/poll", nil), w.answer("challenge", phoneBy("methodType", "totp")),
			w.answer("challenge/answer", map[string]any{"credentials": map[string]any{"totp": "000000"}})} {
			var keep bytes.Buffer
			var d map[string]any
			if err := json.Unmarshal([]byte(one.body), &d); err != nil {
				t.Fatal(err)
			}
			walk(&keep, "", d)
			all = append(all, keep.String())
		}
		return strings.Join(all, "\n")
	}
	nobody := shape("nobody@example.com")
	for _, address := range []string{"ada@example.com", "bob@example.com"} {
		if got := shape(address); got != nobody {
			t.Errorf("%s looks like\n%s\nnobody like\n%s", address, got, nobody)
		}
	}
}

// walk writes the names of a document's members, without their values.
func walk(to *bytes.Buffer, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		var names []string
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			walk(to, at+"."+name, v[name])
		}
	case []any:
		for _, one := range v {
			walk(to, at+"[]", one)
		}
	default:
		to.WriteString(at + "\n")
	}
}

// Of many submissions of one code at the same time one is right.
func TestSEC_S52_OneCodeOnce(t *testing.T) {
	e := stiletest.Start(t)
	ada := hasPhone(t, e, "ada@example.com")
	const n = 20
	var tries []*wire
	for range n {
		w := begin(t, e)
		w.answer("identify", map[string]any{"identifier": "ada@example.com"})
		w.answer("challenge", phoneBy("methodType", "totp"))
		tries = append(tries, w)
	}
	code := ada.Code(0)
	var wg sync.WaitGroup
	in := make([]bool, n)
	for i, w := range tries {
		wg.Go(func() {
			in[i] = w.answer("challenge/answer", map[string]any{"credentials": map[string]any{"totp": code}}).code() != ""
		})
	}
	wg.Wait()
	right := 0
	for _, ok := range in {
		if ok {
			right++
		}
	}
	if right != 1 {
		t.Errorf("one code signs in %d times", right)
	}
}
