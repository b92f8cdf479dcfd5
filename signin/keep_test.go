package signin_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/idx"
)

// A lasting jar knows which of its cookies outlive the browser.
type lasting struct {
	*cookiejar.Jar

	mu    sync.Mutex
	lives map[string]time.Duration // by name; 0: until the browser is closed
}

func (j *lasting) SetCookies(u *url.URL, all []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range all {
		j.lives[c.Name] = time.Duration(c.MaxAge) * time.Second
		c.MaxAge = min(c.MaxAge, 0) // the test moves the time
	}
	j.Jar.SetCookies(u, all)
}

// life is how long the session's cookie lasts; -1: there is none.
func (b *browser) life() time.Duration {
	j := b.http.Jar.(*lasting)
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range b.cookies() {
		if strings.HasSuffix(c.Name, "-s") {
			return j.lives[c.Name].Round(time.Minute)
		}
	}
	return -1
}

// closed is the browser opened again after it was closed for d.
func (l *real) closed(b *browser, d time.Duration) {
	l.t.Helper()
	old := b.http.Jar.(*lasting)
	u, err := url.Parse(l.url)
	if err != nil {
		l.t.Fatal(err)
	}
	all := slices.DeleteFunc(b.cookies(), func(c *http.Cookie) bool { return old.lives[c.Name] < max(d, time.Second) })
	l.keeping(b)
	j := b.http.Jar.(*lasting)
	for _, c := range all {
		j.lives[c.Name] = old.lives[c.Name] - d
	}
	j.Jar.SetCookies(u, all)
	l.eng.Clock.Advance(d)
}

func (l *real) keeping(b *browser) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	b.http.Jar = &lasting{Jar: jar, lives: map[string]time.Duration{}}
	return b
}

const day = 24 * time.Hour

// Who ticks Keep me signed in is signed in still when the browser is opened again:
// for two weeks from each visit at most, and for thirty days in all (SEC S-65).
func TestSEC_S65_KeepMeSignedIn(t *testing.T) {
	l := ownable(t, ownScopes)
	l.account(ada, "")
	signIn := func(b *browser, ticked string) {
		t.Helper()
		v := b.get("/login/").is("sign-in")
		if tag := v.tag("keep"); tag == "" || strings.Contains(tag, "checked") {
			t.Errorf("the box: %q", tag)
		}
		v.press("next", "identifier", ada, "keep", ticked).is("email-code").press("continue", "verificationCode", l.code(ada)).isApp()
	}

	b := l.keeping(l.browser())
	signIn(b, "")
	if got := b.life(); got != 0 {
		t.Errorf("without a tick it lasts %v", got)
	}
	l.closed(b, time.Minute)
	signIn(b, "true")
	if got := b.life(); got != 14*day {
		t.Errorf("with a tick it lasts %v", got)
	}
	for range 4 { // the engine's refresh tokens end after seven days without use
		l.closed(b, 6*day)
		b.get("/").isApp()
	}
	if got := b.life(); got != 6*day {
		t.Errorf("after 24 days it lasts %v", got)
	}
	// A new proof of the same person takes nothing away, and does not ask again.
	v := b.get("/login/?max_age=1").is("sign-in")
	if v.tag("keep") != "" {
		t.Error("who is signed in is asked again")
	}
	v.press("next", "identifier", ada).is("email-code").press("continue", "verificationCode", l.code(ada)).isApp()
	if got := b.life(); got != 6*day {
		t.Errorf("after a new proof it lasts %v", got)
	}
	l.eng.Clock.Advance(6*day - time.Minute)
	b.get("/").isApp()
	l.eng.Clock.Advance(time.Minute)
	b.get("/").is("sign-in")

	if got := b.life(); got >= 0 {
		t.Error("the cookie is there still")
	}
}

// The box is where it can be kept: where the engine takes it and there is a refresh token.
func TestKeepMeSignedInOffered(t *testing.T) {
	l := ownable(t, []string{"openid", "profile", "email", idx.ScopeProfileManage})
	l.account(ada, "")
	b := l.keeping(l.browser())
	v := b.get("/login/").is("sign-in")
	if v.tag("keep") != "" {
		t.Error("it is there, without refresh tokens")
	}
	v.forge("next", "identifier", ada, "keep", "true").press("continue", "verificationCode", l.code(ada)).isApp()
	if got := b.life(); got != 0 {
		t.Errorf("it lasts %v", got)
	}
}

// What is ticked while a code waits holds for the sign-in that it ends in.
func TestKeepMeSignedInTickedLater(t *testing.T) {
	l := ownable(t, ownScopes)
	l.account(ada, "")
	b := l.keeping(l.browser())
	form := b.get("/login/")
	form.press("next", "identifier", ada).is("email-code")
	n := len(l.eng.Mails(t, ada))
	v := form.press("next", "identifier", ada, "keep", "true").is("email-code")
	if got := len(l.eng.Mails(t, ada)); got != n {
		t.Errorf("%d mails, then %d", n, got)
	}
	v.press("continue", "verificationCode", l.code(ada)).isApp()
	if got := b.life(); got != 14*day {
		t.Errorf("it lasts %v", got)
	}
}
