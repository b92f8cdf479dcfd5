package signin

import (
	"crypto/rand"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/idx"
)

// The forms that a flow begins with; they are at these addresses below the prefix.
const (
	signInForm  = ""
	signUpForm  = "sign-up"
	recoverForm = "recover"
	unlockForm  = "unlock"
)

// A flow is one run of a form and its steps in one browser tab. It lives in a sealed
// cookie of its own; addresses name it by its id, so tabs do not meet (UX G52).
type flow struct {
	ID string `json:"-"`

	Form     string            `json:"k,omitempty"`
	Begun    int64             `json:"b"`           // Unix seconds
	Ends     int64             `json:"e,omitempty"` // of the engine's transaction
	ReturnTo string            `json:"r,omitempty"`
	Lang     string            `json:"l,omitempty"`
	Typed    map[string]string `json:"t,omitempty"` // values by field, never a code or password
	Tx       string            `json:"x,omitempty"` // text of idx.Transaction; empty: not begun at the engine
	Token    string            `json:"o,omitempty"` // of the mail that it was begun from
	State    string            `json:"s,omitempty"` // names the transaction in callbacks

	Turn   int    `json:"n,omitempty"` // grows with each answer; a page that polls has an older one
	Notes  []note `json:"m,omitempty"` // to show on the next page
	At     string `json:"a,omitempty"` // the step that Notes belong to; empty: any
	Resent int64  `json:"d,omitempty"` // Unix seconds of the last resend
	Coded  bool   `json:"c,omitempty"` // a mailed code is waited for
	Done   bool   `json:"f,omitempty"` // signed in

	Filled   map[string]string `json:"i,omitempty"` // what was typed at the step, to be shown again with what is wrong
	Remember bool              `json:"p,omitempty"` // the address is to be filled in next time (UX P1.7)
	Keep     bool              `json:"y,omitempty"` // the person wants to stay signed in
	Asks     asks              `json:"q,omitzero"`  // what the app asks of the proof
	Who      string            `json:"w,omitempty"` // of a form of the profile: whose it is
}

const (
	flowLife = 24 * time.Hour // so that a tab left open overnight can start again filled in
	maxFlows = 5
	maxTyped = 300 // characters of one value
)

var flowID = regexp.MustCompile(`^[a-z2-7]{16}$`)

func newFlowID() string { return strings.ToLower(rand.Text()[:16]) }

// flow opens the flow of that id, if this browser has it.
func (v *visit) flow(id string) (*flow, bool) {
	if !flowID.MatchString(id) {
		return nil, false
	}
	f := &flow{ID: id}
	if v.get("f-"+id, f) != nil || v.now.Sub(time.Unix(f.Begun, 0)) > flowLife {
		return nil, false
	}
	return f, true
}

// flows opens all flows of this browser, the newest first.
func (v *visit) flows() []*flow {
	var all []*flow
	for _, c := range v.r.Cookies() {
		id, ok := strings.CutPrefix(c.Name, v.cookies.prefix+"f-")
		if !ok {
			continue
		}
		if f, ok := v.flow(id); ok {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b *flow) int { return int(b.Begun - a.Begun) })
	return all
}

// flowOf finds the flow that a callback's state names.
func (v *visit) flowOf(state string) *flow {
	if state == "" {
		return nil
	}
	for _, f := range v.flows() {
		if f.State == state {
			return f
		}
	}
	return nil
}

// save keeps f, and lets the oldest go where there are too many.
func (v *visit) save(f *flow) error {
	f.Turn++
	for _, values := range []map[string]string{f.Typed, f.Filled} {
		for name, s := range values {
			values[name] = clip(s, maxTyped)
		}
	}
	if err := v.put("f-"+f.ID, f, flowLife); err != nil {
		return err
	}
	others := slices.DeleteFunc(v.flows(), func(o *flow) bool { return o.ID == f.ID })
	for _, old := range others[min(len(others), maxFlows-1):] {
		v.remove("f-" + old.ID)
	}
	return nil
}

// begin gives the flow that a form belongs to: the one it names, or a new one under
// the id that the form was made with.
func (v *visit) begin(form string) *flow {
	id := v.form("flow")
	f, ok := v.flow(id)
	if !ok || f.Done {
		if !flowID.MatchString(id) {
			id = newFlowID()
		}
		f = &flow{ID: id, Begun: v.now.Unix()}
	}
	f.Form, f.Lang, f.Asks = form, v.words.Lang, asksOf(v.r.PostForm)
	if to := v.form("return_to"); localPath(to) {
		f.ReturnTo = to
	}
	f.Notes, f.At = nil, ""
	return f
}

// live reports whether the engine still knows the flow, as far as its clock tells.
func (f *flow) live(now time.Time) bool {
	return f.Tx != "" && !f.Done && now.Before(time.Unix(f.Ends, 0))
}

// follow makes f go on from tx.
func (f *flow) follow(tx *idx.Transaction, now time.Time) error {
	text, err := tx.MarshalText()
	if err != nil {
		return err
	}
	f.Tx, f.State = string(text), tx.State()
	f.Coded = tx.NextStep != nil && kindOf(tx.NextStep) == codeStep
	f.Ends = tx.ExpiresAt.Unix()
	if tx.ExpiresAt.IsZero() {
		f.Ends = now.Add(time.Hour).Unix()
	}
	return nil
}

// abandon forgets the engine's transaction and keeps what was typed.
func (f *flow) abandon() {
	f.Tx, f.State, f.Ends, f.Resent, f.Notes, f.At, f.Coded, f.Filled = "", "", 0, 0, nil, "", false, nil
}

// address is the one that was typed, however the form called it.
func (f *flow) address() string {
	if f.Form == signUpForm {
		return f.Typed["email"]
	}
	return f.Typed["identifier"]
}

// formPage and stepPage are where the flow's form and its next step are. at lets
// a page that finds no cookie know whether it was refused just now (UX G53).
func (p *Pages) formPage(v *visit, f *flow) string {
	return p.to(f.Form, append(f.Asks.query(), "flow", f.ID, "at", strconv.FormatInt(v.now.Unix(), 36))...)
}

func (p *Pages) stepPage(v *visit, f *flow) string {
	return p.to("step", "flow", f.ID, "at", strconv.FormatInt(v.now.Unix(), 36))
}

// cookiesRefused holds where the page was redirected to a moment ago, and the
// cookie that was set then has not come back.
func (v *visit) cookiesRefused() bool {
	at, err := strconv.ParseInt(v.r.URL.Query().Get("at"), 36, 64)
	return err == nil && v.now.Sub(time.Unix(at, 0)).Abs() < time.Minute
}
