package signin_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestUX_P7_2_SignOutOneDevice(t *testing.T) {
	l := ownable(t, ownScopes)
	b, other := l.owner(ada), l.browser()
	other.begin(ada).press("continue", "verificationCode", l.code(ada)).isApp(ada)
	v := b.get("/login/profile").is("profile")
	if n := strings.Count(v.html, `value="end-device"`); n != 1 {
		t.Fatalf("%d other devices", n)
	}
	after := v.press("end-device").is("profile").says("Signed out there.")
	if after.has("end-device") {
		t.Error("it is listed still")
	}
	b.get("/").isApp(ada)
	other.get("/login/profile").is("sign-in")
	other.get("/").is("sign-in")
	v.forge("end-device", "device", "nothing").is("profile") // it has ended by itself
}

func TestUX_P7_2_SignOutEverywhere(t *testing.T) {
	l := ownable(t, ownScopes)
	b, other := l.owner(ada), l.browser()
	other.begin(ada).press("continue", "verificationCode", l.code(ada)).isApp(ada)
	b.get("/login/profile").press("end-all").is("signed-out")
	b.get("/").is("sign-in")
	// The other browser's app asks again within a minute.
	l.eng.Clock.Advance(61 * time.Second)
	other.get("/").is("sign-in")
}

// A proof that is too old is asked for before anything is typed; one that grows old
// under the form is asked for then, and what was typed is there again.
func TestUX_P7_3_FreshProof(t *testing.T) {
	l := ownable(t, ownScopes)
	b := l.owner(ada)
	l.eng.Clock.Advance(16 * time.Minute)
	v := b.get("/login/profile").is("profile").follow("Change email").proves(l, ada).is("profile-email")
	b.get("/login/profile/name").is("profile-name") // as new for this
	back := b.get("/login/?max_age=300&newer_than=1&return_to=%2Flogin%2Fprofile%2Femail").is("already-signed-in")
	back.follow("Continue").is("profile-email")

	l.eng.Clock.Advance(6 * time.Minute)
	v = v.press("save", "email", "countess@example.com").proves(l, ada).is("profile-email")
	if v.value("email") != "countess@example.com" {
		t.Errorf("UX G24: %q", v.value("email"))
	}
	v.press("save").is("profile-code")

	l.eng.Clock.Advance(16 * time.Minute)
	v = b.get("/login/profile/name").proves(l, ada).is("profile-name")
	l.eng.Clock.Advance(16 * time.Minute)
	v = v.press("save", "firstName", "Augusta").proves(l, ada).is("profile-name")
	if v.value("firstName") != "Augusta" {
		t.Errorf("UX G24: %q", v.value("firstName"))
	}
	v.press("save").is("profile").says("Augusta Lovelace")

	// This browser is one device, however often it has proven itself.
	if v := b.get("/login/profile"); v.has("end-device") {
		t.Error("the sign-ins before are listed as devices")
	}
	l.eng.Clock.Advance(6 * time.Minute)
	v = b.get("/login/profile/delete").proves(l, ada).is("profile-delete")
	l.eng.Clock.Advance(6 * time.Minute)
	v.press("delete").proves(l, ada).is("profile-delete").press("delete").is("profile").says("Your account will be deleted on")
}

func TestUX_P7_5_DeleteAndKeep(t *testing.T) {
	l := ownable(t, ownScopes)
	b := l.owner(ada)
	v := b.get("/login/profile").follow("Delete my account").is("profile-delete").says("deleted in 7 days", "mail you")
	v = v.press("delete").is("profile").says("Your account will be deleted on", "by the link that we mailed you", "Keep my account").saysNot("Delete my account")
	b.get("/login/profile/delete").is("profile")
	if m := l.eng.Mail(t, ada); !strings.Contains(m.Link, "/account/keep/") {
		t.Errorf("%q %q", m.Subject, m.Link)
	}
	v.press("keep").is("profile").says("Your account stays.", "Delete my account").saysNot("will be deleted")
}

func TestUX_P7_5_DownloadMyData(t *testing.T) {
	l := ownable(t, ownScopes)
	b := l.owner(ada)
	v := b.get("/login/profile").follow("Download my data").is("profile-data").follow("Download")
	var doc struct{ User struct{ Email string } }
	if err := json.Unmarshal([]byte(v.html), &doc); err != nil || doc.User.Email != ada {
		t.Errorf("%v %.200s", err, v.html)
	}
	if got := v.header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment") {
		t.Errorf("Content-Disposition %q", got)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := v.header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	l.eng.Clock.Advance(16 * time.Minute)
	if v = b.get("/login/profile/data.json").proves(l, ada); v.page() != "profile-data" {
		t.Errorf("a file after sign-in: %s", v.url)
	}
}

// Nobody's page but our own changes anything, and looking does not (UX G5).
func TestUX_G5_Profile(t *testing.T) {
	l := ownable(t, ownScopes)
	b := l.owner(ada)
	for _, page := range []string{"", "/name", "/email", "/password", "/delete"} {
		b.get("/login/profile" + page)
		b.send(http.MethodHead, "/login/profile"+page, nil)
		r, err := http.NewRequest(http.MethodPost, l.url+"/login/profile"+page, strings.NewReader(url.Values{
			"action": {"end-all"}, "email": {"eve@example.com"}, "firstName": {"Eve"}, "password": {right},
		}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		res, err := b.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("POST %s from another site: %d", page, res.StatusCode)
		}
	}
	b.get("/login/profile").is("profile").says("Ada Lovelace", ada, "Set a password", "Delete my account")
	if n := len(l.eng.Mails(t, "eve@example.com")); n > 0 {
		t.Errorf("%d mails", n)
	}
}

// Two tabs, and the back button.
func TestProfile_TwoTabs(t *testing.T) {
	l := ownable(t, ownScopes)
	b := l.owner(ada)
	one, two := b.get("/login/profile/name"), b.get("/login/profile/name")
	one = one.press("save", "firstName", "").is("profile-name").says("Enter your first name")
	two.press("save", "firstName", "Augusta", "lastName", "King").is("profile").says("Augusta King")
	one.press("save", "firstName", "Ada").is("profile").says("Ada Lovelace")
	two.press("save", "firstName", "Augusta").is("profile") // back, and once more

	set := b.get("/login/profile/password")
	set.press("save", "password", right).is("profile")
	set.press("save", "password", fresh).is("sign-in") // from before: it is a change by now, which asks for a proof
	b.get("/").isApp(ada)

	// Another person at the same browser sees nothing that the first has typed.
	b = l.owner("eve@example.com")
	typed := b.get("/login/profile/name").is("profile-name").press("save", "firstName", "", "lastName", "of the first")
	b.get("/login/sign-out").press("sign-out")
	l.account("bob@example.com", "")
	b.begin("bob@example.com").press("continue", "verificationCode", l.code("bob@example.com")).isApp("bob@")
	if v := b.get(typed.url.RequestURI()).is("profile-name"); strings.Contains(v.html, "of the first") {
		t.Error("it is shown to somebody else")
	}
}

// A sign-in from before the app asked for the scopes leads through another one.
func TestProfile_OlderSignIn(t *testing.T) {
	l := ownable(t, []string{"openid", "profile", "email"})
	b := l.owner(ada)
	l.grow(ownScopes)
	l.eng.Clock.Advance(time.Minute)
	b.get("/login/profile").proves(l, ada).is("profile")
}
