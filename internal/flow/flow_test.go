package flow

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
)

var update = flag.Bool("update", false, "rewrite docs/flows.md")

func TestDiagramIsCurrent(t *testing.T) {
	const file = "../../docs/flows.md"
	if *update {
		if err := os.WriteFile(file, []byte(Diagram()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Diagram(), string(have)); diff != "" {
		t.Errorf("docs/flows.md is out of date; run make generate:\n%s", diff)
	}
}

const ada = "ada@example.com"

func TestSignUpThatSkipsTheRest(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	if got, want := names(v.last), "identify select-enroll-profile recover cancel"; got != want {
		t.Fatalf("IDX_C34 first offers %q, want %q", got, want)
	}
	v.signUp(ada)
	if got, want := names(v.last), "enroll-authenticator select-authenticator-enroll resend cancel"; got != want {
		t.Fatalf("IDX_C36 offers %q, want %q", got, want)
	}
	if len(r.store.users) != 0 {
		t.Fatal("SEC_S30: a user exists before the address is proven")
	}
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if got, want := names(v.last), "select-authenticator-enroll skip cancel"; got != want {
		t.Fatalf("IDX_C39 offers %q, want %q", got, want)
	}
	if len(v.last.Choices) != 1 || v.last.Choices[0].Key != "okta_password" {
		t.Fatalf("choices %v", v.last.Choices)
	}
	v.answer("skip")
	if v.last.Stage != Success || v.last.Code == "" {
		t.Fatalf("stage %s, code %q", v.last.Stage, v.last.Code)
	}
	res, err := r.Finished(context.Background(), v.last.Code)
	if err != nil {
		t.Fatal(err)
	}
	if res.UserID != v.last.User.ID || res.Redeemed {
		t.Fatalf("result %+v", res)
	}
}

func TestSEC_S24_RepetitionOfTheWinningAnswer(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.signUp(ada)
	code := r.code(ada)
	v.answer("enroll-authenticator", "credentials.passcode", code)
	before := r.store.commits
	again := v.answer("enroll-authenticator", "credentials.passcode", code)
	if again.Kind != problem.None || again.Stage != ChooseEnroll || r.store.commits != before {
		t.Fatalf("repeated at once: kind %v, stage %s, %d new commits", again.Kind, again.Stage, r.store.commits-before)
	}
	first := v.answer("skip").Code
	if second := v.answer("skip").Code; second != first {
		t.Fatal("the repeated skip has another interaction code")
	}
	r.pass(2 * time.Minute)
	if late := v.answer("skip"); key(late) != "errors.E0000079" {
		t.Fatalf("after the window: %q", key(late))
	}
}

func TestD8_KnownAddressBecomesSignIn(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	v.answer("skip")
	first := v.last.User.ID

	w := r.begin()
	got := w.signUp("ADA@example.com")
	fresh := r.begin().signUp("bob@example.com")
	if names(got) != names(fresh) || got.User.FirstName != "Ada" || got.User.ID == first {
		t.Fatal("SEC_S41: the known address shows")
	}
	mails := r.post.sent(ada)
	if tpl := mails[len(mails)-1].Template; tpl != "sign-up-known" {
		t.Fatalf("UX_P2_8 mail %q", tpl)
	}
	w.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if w.last.Stage != Success || w.last.User.ID != first || len(r.store.users) != 1 {
		t.Fatalf("stage %s, user %s, want success of %s", w.last.Stage, w.last.User.ID, first)
	}
}

func TestDisclose(t *testing.T) {
	org := emailAndPassword()
	org.Enumeration = policy.Disclose
	r := newRig(t, org)
	v := r.begin()
	if got := v.answer("identify", "identifier", ada); key(got) != "idx.unknown.user" || got.Kind != problem.None || got.Stage != Identify {
		t.Fatalf("E15: %q kind %v", key(got), got.Kind)
	}
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	w := r.begin()
	if got := w.signUp(ada); key(got) != "registration.error.notUniqueWithinOrg" || got.Stage != Profile {
		t.Fatalf("IDX_C46 E01: %q at %s", key(got), got.Stage)
	}
}

func TestSignInByEmail(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	v.answer("skip")

	in, out := r.begin(), r.begin()
	known, unknown := in.answer("identify", "identifier", ada), out.answer("identify", "identifier", "bob@example.com")
	if names(known) != "challenge-authenticator select-authenticator-authenticate resend cancel" {
		t.Fatalf("IDX_C51 offers %q", names(known))
	}
	ignore := cmp.FilterPath(func(p cmp.Path) bool {
		switch p.Last().String() {
		case ".StateHandle", ".ID", ".EnrollmentID", ".Identifier", ".Profile":
			return true
		}
		return false
	}, cmp.Ignore())
	if diff := cmp.Diff(known, unknown, ignore); diff != "" {
		t.Errorf("SEC_S41 known and unknown differ:\n%s", diff)
	}
	if got := in.answer("challenge-authenticator", "credentials.passcode", ""); got.Kind != problem.None || len(got.Messages) != 0 {
		t.Errorf("D24: an empty code answers %v %v", got.Kind, got.Messages)
	}
	out.answer("challenge-authenticator", "credentials.passcode", r.code("bob@example.com"))
	if key(out.last) != "api.authn.error.PASSCODE_INVALID" {
		t.Errorf("an unknown address was accepted: %q at %s", key(out.last), out.last.Stage)
	}
	in.answer("challenge-authenticator", "credentials.passcode", r.code(ada))
	if in.last.Stage != Success { // D26: no optional enrollment at an ordinary sign-in
		t.Errorf("stage %s", in.last.Stage)
	}
}

func TestSEC_S03_S04_WrongCodes(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.signUp(ada)
	for round := range 3 {
		good := r.code(ada)
		for try := range 5 {
			got := v.answer("enroll-authenticator", "credentials.passcode", "999999")
			if last := round == 2 && try == 4; last != (got.Stage == Terminal) {
				t.Fatalf("round %d try %d: stage %s", round, try, got.Stage)
			}
		}
		if round < 2 {
			if got := v.answer("enroll-authenticator", "credentials.passcode", good); key(got) != "api.authn.error.PASSCODE_INVALID" {
				t.Fatalf("the right code after five wrong ones: %q at %s", key(got), got.Stage)
			}
			r.pass(time.Minute)
			v.answer("resend")
		}
	}
	if key(v.last) != "authfactor.challenge.suspended_factor" || len(r.store.users) != 0 {
		t.Fatalf("E09: %q", key(v.last))
	}
}

func TestSEC_S03_ParallelGuessesAreEachCounted(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.signUp(ada)
	good := r.code(ada)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { _, _ = v.try("enroll-authenticator", "credentials.passcode", "999999") })
	}
	wg.Wait()
	got := v.answer("enroll-authenticator", "credentials.passcode", good)
	if key(got) != "api.authn.error.PASSCODE_INVALID" {
		t.Fatalf("after 50 parallel guesses the code still works: %s", got.Stage)
	}
	failures := 0
	for _, e := range r.store.audit {
		if e.Outcome == "FAILURE" {
			failures++
		}
	}
	if failures != 5 {
		t.Fatalf("%d guesses were evaluated, want 5", failures)
	}
}

func TestREL_R02_ParallelSignUpsWithOneAddress(t *testing.T) {
	r := newRig(t, emailAndPassword())
	r.limits.Rules.AddressMails = nil
	const n = 100
	visits := make([]*visit, n)
	codes := make([]string, n)
	for i := range visits {
		visits[i] = r.begin()
		visits[i].signUp(ada)
		codes[i] = r.code(ada)
	}
	var wg sync.WaitGroup
	users := make([]string, n)
	for i, v := range visits {
		wg.Go(func() {
			got, err := v.try("enroll-authenticator", "credentials.passcode", codes[i])
			if err != nil {
				t.Error(err)
				return
			}
			users[i] = got.User.ID
		})
	}
	wg.Wait()
	if len(r.store.users) != 1 {
		t.Fatalf("%d users", len(r.store.users))
	}
	for _, u := range users {
		if u != users[0] {
			t.Fatalf("transactions ended with users %s and %s", users[0], u)
		}
	}
}

func TestResend(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.signUp(ada)
	first := r.code(ada)
	if got := v.answer("resend"); got.Kind != problem.Throttled || got.RetryAfter != 30*time.Second {
		t.Fatalf("IDX_C66 SEC_S10 early resend: %v after %s", got.Kind, got.RetryAfter)
	}
	if got := v.answer("select-authenticator-enroll", "authenticator.id", "autokta_email"); got.Stage != Enroll || len(r.post.sent(ada)) != 1 {
		t.Fatalf("IDX_C37: choosing again sent a mail")
	}
	r.pass(31 * time.Second)
	v.answer("resend")
	r.pass(61 * time.Second)
	v.answer("resend")
	if n := len(r.post.sent(ada)); n != 3 {
		t.Fatalf("%d mails", n)
	}
	if got := v.answer("enroll-authenticator", "credentials.passcode", first); got.Stage != ChooseEnroll {
		t.Fatalf("UX_P3_7: the first code after two resends: %s", key(got))
	}
}

func TestUX_M4_NoAccountMailOnceADay(t *testing.T) {
	r := newRig(t, emailAndPassword())
	for range 3 {
		if got := r.begin().answer("identify", "identifier", ada); got.Stage != Challenge {
			t.Fatalf("stage %s", got.Stage)
		}
	}
	if n := len(r.post.sent(ada)); n != 1 {
		t.Fatalf("%d mails in a day", n)
	}
	if n := len(r.store.messages); n != 3 {
		t.Fatalf("SEC_S42: %d rows for three answers", n)
	}
}

func TestD23_CancelKillsTheCodeAndKeepsTheInteraction(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.signUp(ada)
	old := r.code(ada)
	if got := v.answer("cancel"); got.Stage != Identify || got.StateHandle != v.handle.State {
		t.Fatalf("IDX_C71 IDX_C29: %s", got.Stage)
	}
	v.signUp("ada@example.org")
	if got := v.answer("enroll-authenticator", "credentials.passcode", old); key(got) != "api.authn.error.PASSCODE_INVALID" {
		t.Fatalf("UX_P3_10: the other address's code gives %q at %s", key(got), got.Stage)
	}
}

func TestSEC_S04_CancelGivesNoGuessesBack(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	for range 20 {
		if v.last.Stage == Terminal {
			break
		}
		v.signUp(ada)
		for range 4 { // one less than would kill the challenge
			if v.answer("enroll-authenticator", "credentials.passcode", "999999").Stage == Terminal {
				break
			}
		}
		r.pass(time.Minute)
		if v.last.Stage != Terminal {
			v.answer("cancel")
		}
	}
	wrong := 0
	for _, e := range r.store.audit {
		if e.Outcome == "FAILURE" {
			wrong++
		}
	}
	if v.last.Stage != Terminal || wrong != 15 {
		t.Fatalf("%d wrong answers, then %s", wrong, v.last.Stage)
	}
}

func TestSEC_S10_S11_CancelGivesNoMailsBack(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.signUp(ada)
	v.answer("cancel")
	if got := v.signUp(ada); got.Kind != problem.Throttled || got.RetryAfter != 30*time.Second {
		t.Fatalf("again at once: %v after %s", got.Kind, got.RetryAfter)
	}
	r.pass(31 * time.Second)
	if got := v.answer("enroll-profile", "userProfile.firstName", "A", "userProfile.lastName", "L", "userProfile.email", ada); got.Stage != Enroll {
		t.Fatalf("half a minute later: %s %s", got.Stage, key(got))
	}
	for i := range 10 {
		v.answer("cancel")
		v.signUp(fmt.Sprintf("p%d@example.com", i)) // other addresses need no wait
	}
	if n := len(r.post.mails); n != 1+DefaultLimits().Rules.Resends {
		t.Fatalf("%d mails out of one transaction", n)
	}
}

func TestSuspendedAccount(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.signUp(ada)
	late := r.begin()
	late.signUp(ada)
	lateCode := r.code(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.post.sent(ada)[0].Code)
	for id, a := range r.store.users {
		a.Status = directory.Disabled
		r.store.users[id] = a
	}
	w := r.begin()
	got := w.signUp(ada)
	if fresh := r.begin().signUp("bob@example.com"); names(got) != names(fresh) {
		t.Fatalf("SEC_S41: a suspended address shows: %q", names(got))
	}
	if got := w.answer("enroll-authenticator", "credentials.passcode", r.code(ada)); key(got) != "api.authn.error.PASSCODE_INVALID" {
		t.Fatalf("a suspended person gets on: %q at %s", key(got), got.Stage)
	}
	if got := late.answer("enroll-authenticator", "credentials.passcode", lateCode); got.Stage != Terminal || key(got) != "security.access_denied" {
		t.Fatalf("an older transaction takes the suspended account: %q at %s", key(got), got.Stage)
	}
}

func TestEnrollmentThatAnotherTabMade(t *testing.T) {
	org := emailAndPassword()
	org.Require("okta_password")
	r := newRig(t, org)
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	v.answer("select-authenticator-enroll", "authenticator.id", "autokta_password")
	code := r.code(ada)
	for id, a := range r.store.users { // what the other tab stored
		a.Enrollments = append(a.Enrollments, directory.Enrollment{ID: "lae1", UserID: id, Authenticator: "okta_password"})
		r.store.users[id] = a
	}
	got := v.answer("enroll-authenticator", "credentials.passcode", code)
	if key(got) != "errors.E0000079" || got.Stage != Success {
		t.Fatalf("%q at %s: what was given here is not the password", key(got), got.Stage)
	}
}

func TestHandles(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	good := v.handle.State
	for i := range len(good) {
		for _, bad := range []string{
			good[:i] + string(good[i]^1) + good[i+1:], // flipped
			good[:i],        // cut
			good + good[i:], // padded
		} {
			if bad == good {
				continue
			}
			_, err := r.Introspect(context.Background(), Handle{State: bad}, Browser{})
			if problem.KindOf(err) != problem.Expired {
				t.Fatalf("SEC_S20: %q was answered with %v", bad, err)
			}
		}
	}
	if _, err := r.Introspect(context.Background(), Handle{Interaction: good}, Browser{}); problem.KindOf(err) != problem.Expired {
		t.Fatalf("SEC_S20: a state handle passed for an interaction handle: %v", err)
	}
	r.pass(Life)
	if _, err := r.Introspect(context.Background(), v.handle, Browser{}); problem.KindOf(err) != problem.Expired {
		t.Fatalf("D7 IDX_C79: an hour later: %v", err)
	}
}

func TestInteractionCode(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	first := v.answer("skip").Code
	r.pass(codeLife)
	if _, err := r.Finished(ctx, first); problem.KindOf(err) != problem.Invalid {
		t.Fatalf("IDX_C74 SEC_S27: a minute later: %v", err)
	}
	again, err := r.Introspect(ctx, v.handle, Browser{})
	if err != nil || again.Code == "" || again.Code == first {
		t.Fatalf("no fresh code: %v %v", again, err)
	}
	poll, err := r.Poll(ctx, v.handle, Browser{})
	if err != nil || key(poll) != "idx.transferred.to.new.tab" || poll.Code != "" || len(poll.Offers) != 0 {
		t.Fatalf("IDX_C62: %+v %v", poll, err)
	}
	spend := func() error {
		res, err := r.Finished(ctx, again.Code)
		if err != nil {
			return err
		}
		if res.Redeemed {
			return problem.New(problem.Stale, "", "redeemed")
		}
		return r.store.InTx(ctx, true, func(tx Tx) error { return r.Spend(tx, res, "grant") })
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 20 {
		wg.Go(func() {
			if spend() == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Fatalf("SEC_S27: %d redemptions", won)
	}
	if got, err := r.Introspect(ctx, v.handle, Browser{}); err != nil || key(got) != "idx.transferred.to.new.tab" {
		t.Fatalf("after redemption: %v %v", got, err)
	}
}

func TestSignUpClosed(t *testing.T) {
	org := emailAndPassword()
	org.CloseSignUp()
	v := newRig(t, org).begin()
	if names(v.last) != "identify recover cancel" {
		t.Fatalf("IDX_C34 offers %q", names(v.last))
	}
	got := v.answer("select-enroll-profile")
	if key(got) != "oie.registration.is.not.enabled" || got.Kind != problem.Forbidden || names(got) != "cancel" {
		t.Fatalf("IDX_C48 E19: %q %v %q", key(got), got.Kind, names(got))
	}
}

func TestRequiredAuthenticatorCannotBeSkipped(t *testing.T) {
	org := emailAndPassword()
	org.Require("okta_password")
	r := newRig(t, org)
	v := r.begin()
	v.signUp(ada)
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if names(v.last) != "select-authenticator-enroll cancel" {
		t.Fatalf("IDX_C41 offers %q", names(v.last))
	}
	if got := v.answer("skip"); key(got) != "errors.E0000079" || got.Stage != ChooseEnroll {
		t.Fatalf("IDX_C41 SEC_S55: skip gives %q at %s", key(got), got.Stage)
	}
	v.answer("select-authenticator-enroll", "authenticator.id", "autokta_password")
	v.answer("enroll-authenticator", "credentials.passcode", r.code(ada))
	if v.last.Stage != Success {
		t.Fatalf("IDX_C42 stage %s", v.last.Stage)
	}
}

func TestBadProfile(t *testing.T) {
	r := newRig(t, emailAndPassword())
	v := r.begin()
	v.answer("select-enroll-profile")
	got := v.answer("enroll-profile")
	var fields []string
	for _, m := range got.Messages {
		fields = append(fields, m.Field+" "+m.Key)
	}
	want := []string{
		"userProfile.firstName model.validation.field.blank",
		"userProfile.lastName model.validation.field.blank",
		"userProfile.email model.validation.field.blank",
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("IDX_C45 E03:\n%s", diff)
	}
	got = v.answer("enroll-profile", "userProfile.firstName", "A", "userProfile.lastName", "L", "userProfile.email", "no at")
	if len(got.Messages) != 2 || got.Messages[0].Key != "registration.error.invalidLoginEmail" {
		t.Errorf("IDX_C47 E02: %v", got.Messages)
	}
	if got.Stage != Profile {
		t.Errorf("stage %s", got.Stage)
	}
}

func FuzzHandle(f *testing.F) {
	r := newRig(f, emailAndPassword())
	good := r.begin().handle.State
	for _, s := range []string{good, "", "02.id.", "ih." + good[6:], good[:len(good)-1], good + "=", "02.id.tx\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := r.Introspect(context.Background(), Handle{State: s}, Browser{})
		if s == good {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		if problem.KindOf(err) != problem.Expired || v != nil {
			t.Fatalf("SEC_S20: %q gives %v, %v", s, v, err)
		}
		if _, err := r.Introspect(context.Background(), Handle{Interaction: s}, Browser{}); problem.KindOf(err) != problem.Expired && s != "" {
			t.Fatalf("SEC_S20: %q as an interaction handle gives %v", s, err)
		}
		if _, err := r.Finished(context.Background(), s); problem.KindOf(err) != problem.Invalid {
			t.Fatalf("SEC_S20: %q as a code gives %v", s, err)
		}
	})
}
