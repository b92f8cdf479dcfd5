package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/stile-id/stile/internal/webpush"
	"github.com/stile-id/stile/internal/webpush/webpushtest"
	"github.com/stile-id/stile/stiletest"
)

// wakeKey is one of `stile web-push-key`, for tests alone.
const wakeKey = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"

// subscribes has the browser's subscriptions be those of the test's push service: its
// own is its maker's, on a network that tests do not ask. All else of waking is real.
func (p *person) subscribes(subscription map[string]any) {
	p.t.Helper()
	data, err := json.Marshal(subscription)
	if err != nil {
		p.t.Fatal(err)
	}
	p.atEachPage(fmt.Sprintf(`if (window.PushManager) {
		const bytes = (s) => Uint8Array.from(atob(s.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0)).buffer;
		const of = (key) => key && {
			options: { applicationServerKey: bytes(key) }, toJSON: () => (%s),
			unsubscribe: async () => (localStorage.removeItem("test subscribed"), true),
		};
		PushManager.prototype.getSubscription = async () => of(localStorage.getItem("test subscribed"));
		PushManager.prototype.subscribe = async (o) => {
			if (!o.userVisibleOnly) throw new Error("not visible");
			localStorage.setItem("test subscribed", o.applicationServerKey);
			return of(o.applicationServerKey);
		};
	}`, data))
}

// notifies decides whether pages may show notifications, and puts that back.
func (p *person) notifies(setting browser.PermissionSetting) {
	p.t.Helper()
	of := chromedp.FromContext(p.ctx).BrowserContextID
	set := func(s browser.PermissionSetting) error {
		_, err := chromedp.CallBrowser(p.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: "notifications"}, Setting: s, Origin: p.site.engine, BrowserContextID: of,
		})
		return err
	}
	if err := set(setting); err != nil {
		p.t.Fatal(err)
	}
}

// workers tells the registrations of service workers as they come.
func (p *person) workers() <-chan *serviceworker.Registration {
	p.t.Helper()
	out := make(chan *serviceworker.Registration, 100)
	if err := chromedp.Listen(p.ctx, func(ev any) {
		if e, ok := ev.(*serviceworker.EventWorkerRegistrationUpdated); ok {
			for _, r := range e.Registrations {
				out <- r
			}
		}
	}); err != nil {
		p.t.Fatal(err)
	}
	p.do(command(serviceworker.Enable, cdp.Empty{}))
	return out
}

func next[T any](p *person, from <-chan T) (v T) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	select {
	case v = <-from:
	case <-ctx.Done():
		p.t.Fatalf("nothing came\n%s", p.where())
	}
	return v
}

// looks takes pictures of the phone's page, and has axe look at it.
func (p *person) looks(name string) {
	p.t.Helper()
	p.pictures("phone's page, " + name)
	for _, l := range []look{{width: 1280, dark: true}, {width: 320}} {
		p.show(l)
		p.accessible()
	}
}

// opensOnPress has the worker take a press on its notification, and tells what it then
// opens, or brings to the front. The press is made up, since no test can reach a
// notification; and what a worker may open, browsers decide by presses of their own.
func (p *person) opensOnPress() string {
	p.t.Helper()
	at, all := -1, []*target.Info(nil)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(patience); at < 0; <-again.C { // one that has slept is started anew
		var err error
		if all, err = chromedp.Targets(p.ctx); err != nil {
			p.t.Fatal(err)
		}
		at = slices.IndexFunc(all, func(i *target.Info) bool {
			return i.Type == "service_worker" && i.URL == p.site.engine+"/phone/worker.js"
		})
		if at < 0 && time.Now().After(end) {
			p.t.Fatal("there is no worker")
		}
	}
	ctx, leave := chromedp.NewContext(p.ctx, chromedp.WithTargetID(all[at].TargetID))
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(async () => {
		const done = [], waits = [];
		self.clients.openWindow = async (url) => { done.push("opens " + url); };
		WindowClient.prototype.focus = async function () { done.push("shows " + new URL(this.url).pathname); };
		let notification;
		while (!([notification] = await self.registration.getNotifications(), notification)) await new Promise((r) => setTimeout(r, 20));
		const press = new NotificationEvent("notificationclick", { notification });
		Object.defineProperty(press, "waitUntil", { value: (p) => waits.push(p) }); // which takes only the browser's own
		self.dispatchEvent(press);
		await Promise.all(waits);
		return [...done, (await self.registration.getNotifications()).length + " left"].join(", ");
	})()`, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatal(err)
	}
	return got
}

// A phone that wants to be woken hands its subscription over; a request comes through
// the push service to the worker, which shows it, and the page answers.
func TestAPhoneIsWoken(t *testing.T) {
	service := webpushtest.New(t)
	s := stage(t, stiletest.WebPush(wakeKey, service.Client()))
	p, phone, address := newPerson(t, s, desk), newPerson(t, s, look{width: 320}), newAddress()
	subscription, path := service.Subscribe(t)
	phone.subscribes(subscription)
	phone.notifies("granted")
	p.enter(p.begin(address).Code).at("select-authenticator").press(action("submit")).at("verify-set-up")
	phone.adds(eval[string](p, `document.getElementById("here").href`))
	p.at("select-authenticator").press(action("skip")).at("home")
	p.signOut()

	registered := phone.workers()
	phone.says("Wake this phone when a request comes")
	phone.looks("to be woken")
	phone.click("#wake-on")
	phone.wait(`!document.getElementById("woken").hidden`)
	phone.looks("woken")
	phone.says("This phone is woken when a request comes")
	worker := next(phone, registered)
	if worker.ScopeURL != s.engine+"/phone" {
		t.Errorf("the worker is for %s", worker.ScopeURL)
	}
	phone.reload()
	phone.at("phone").wait(`!document.getElementById("wake-off").hidden`)

	phone.open("about:blank")
	p.open(p.site.home+"/login/").at("sign-in").put("identifier", address).press(action("next")).at("email-code")
	p.press(`a[href*="view=list"]`).at("choose-authenticator")
	p.click("#authenticator-okta_verify")
	p.press(action("submit")).at("verify-method").press(action("push")).at("verify-push")
	pushed := next(p, service.Pushes)
	if pushed.Path != path {
		t.Errorf("%+v", pushed)
	}
	push := func() {
		phone.do(command(serviceworker.DeliverPushMessage, serviceworker.DeliverPushMessageParams{
			Origin: s.engine, RegistrationID: worker.RegistrationID, Data: pushed.Text,
		}))
	}
	push()
	if got := phone.opensOnPress(); got != "opens /phone, 0 left" {
		t.Errorf("a press with no page open: %s", got)
	}
	push()
	phone.open(s.engine + "/phone").at("phone")
	phone.wait(`!!document.querySelector(".request")`)
	phone.wait(`navigator.serviceWorker.getRegistration("/phone").then((r) => r.getNotifications()).then((n) => n.length === 1 &&
		n[0].title === "Is this you?" && n[0].body.startsWith("Acme Web: somebody signs in") && n[0].tag === "request")`)
	if got := phone.opensOnPress(); got != "shows /phone, 0 left" {
		t.Errorf("a press with the page open: %s", got)
	}
	push()
	phone.wait(`navigator.serviceWorker.getRegistration("/phone").then((r) => r.getNotifications()).then((n) => n.length === 1)`)
	phone.pick(p.number(), true)
	phone.wait(`!document.getElementById("notice").hidden`)
	phone.says("Approved.")
	p.at("home").isIn(address)
	phone.wait(`navigator.serviceWorker.getRegistration("/phone").then((r) => r.getNotifications()).then((n) => n.length === 0)`)

	phone.click("#wake-off")
	phone.wait(`!document.getElementById("wake-on").hidden`)
	if eval[bool](phone, `localStorage.getItem("test subscribed") !== null`) {
		t.Error("the browser is subscribed still")
	}
	phone.notifies("denied")
	phone.reload()
	phone.at("phone").wait(`!document.getElementById("blocked").hidden`)
	phone.says("Notifications of this page are blocked")
	phone.looks("blocked")
}

// A browser that is subscribed for a key of before subscribes anew when the page is
// opened, and hands that over: nobody has to press anything.
func TestAPhoneSubscribesForANewKey(t *testing.T) {
	service := webpushtest.New(t)
	s := stage(t, stiletest.WebPush(wakeKey, service.Client()))
	p, phone, address := newPerson(t, s, desk), newPerson(t, s, look{width: 320}), newAddress()
	subscription, _ := service.Subscribe(t)
	phone.subscribes(subscription)
	phone.notifies("granted")
	p.enter(p.begin(address).Code).at("select-authenticator").press(action("submit")).at("verify-set-up")
	phone.adds(eval[string](p, `document.getElementById("here").href`))
	phone.wait(`!document.getElementById("wake-on").hidden`)
	phone.wait(`navigator.serviceWorker.register("/phone/worker.js", { scope: "/phone" }).then((r) => !!r)`)
	before, err := webpush.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	phone.wait(fmt.Sprintf(`(localStorage.setItem("test subscribed", %q), true)`, before.Public()))
	phone.reload()
	phone.at("phone").wait(`!document.getElementById("woken").hidden`)
	if !eval[bool](phone, `localStorage.getItem("test subscribed") === document.documentElement.dataset.wake`) {
		t.Error("the browser is subscribed for the key of before still")
	}
}

// Without a key of the operator, or in a browser that has no push messages, as Safari
// of a phone outside the home screen, nothing is offered.
func TestWakingIsOfferedWhereItWorks(t *testing.T) {
	for name, c := range map[string]struct {
		options []stiletest.Option
		script  string
	}{
		"no key":       {},
		"no push":      {[]stiletest.Option{stiletest.WebPush(wakeKey, nil)}, "delete window.PushManager"},
		"no workers":   {[]stiletest.Option{stiletest.WebPush(wakeKey, nil)}, "delete Navigator.prototype.serviceWorker"},
		"all of it is": {[]stiletest.Option{stiletest.WebPush(wakeKey, nil)}, "0"},
	} {
		s := stage(t, c.options...)
		p, phone, address := newPerson(t, s, desk), newPerson(t, s, look{width: 320, dark: true}), newAddress()
		phone.atEachPage(c.script)
		phone.notifies("granted")
		p.enter(p.begin(address).Code).at("select-authenticator").press(action("submit")).at("verify-set-up")
		phone.adds(eval[string](p, `document.getElementById("here").href`))
		phone.wait(`!document.getElementById("waiting").hidden`)
		if got := eval[bool](phone, `!document.getElementById("wake").hidden`); got != (name == "all of it is") {
			t.Errorf("%s: offered %v", name, got)
		}
	}
}
