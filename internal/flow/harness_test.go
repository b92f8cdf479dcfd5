package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/audit"
	"github.com/stile-id/stile/internal/authenticator"
	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/outbox"
	"github.com/stile-id/stile/internal/policy"
	"github.com/stile-id/stile/internal/problem"
	"github.com/stile-id/stile/internal/session"
)

// memory is the storage port in a map, with the promises that the engine relies on.
type memory struct {
	mu           sync.Mutex
	transactions map[string]Row
	users        map[string]directory.Account
	messages     map[string]outbox.Message
	audit        []audit.Event
	commits      int
	sessions     map[string]session.Session
	tickets      map[string]directory.Ticket
	devices      map[string]session.Device
	counters     map[string]limit.Counter
	signedOut    []string // users, once for each time
}

var (
	errMissing  = problem.New(problem.NotFound, "", "missing")
	errStale    = problem.New(problem.Stale, "", "stale")
	errConflict = problem.New(problem.Conflict, "", "conflict")
)

func newMemory() *memory {
	return &memory{transactions: map[string]Row{}, users: map[string]directory.Account{}, messages: map[string]outbox.Message{},
		sessions: map[string]session.Session{}, tickets: map[string]directory.Ticket{},
		devices: map[string]session.Device{}, counters: map[string]limit.Counter{}}
}

func (m *memory) Transaction(_ context.Context, id string) (Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.transactions[id]
	if !ok {
		return Row{}, errMissing
	}
	return r, nil
}

func (m *memory) Account(_ context.Context, id string) (directory.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.users[id]
	if !ok {
		return a, errMissing
	}
	a.Enrollments = slices.Clone(a.Enrollments)
	return a, nil
}

func (m *memory) AccountByAddress(_ context.Context, canonical string) (directory.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.users {
		if a.Canonical == canonical {
			a.Enrollments = slices.Clone(a.Enrollments)
			return a, nil
		}
	}
	return directory.Account{}, errMissing
}

func (m *memory) OutboxMessage(_ context.Context, id string) (outbox.Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.messages[id]
	if !ok {
		return r, errMissing
	}
	return r, nil
}

// InTx runs fn against a copy, which becomes the state if fn succeeds.
func (m *memory) InTx(_ context.Context, _ bool, fn func(Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &memoryTx{m: m}
	if err := fn(w); err != nil {
		return err
	}
	for _, do := range w.todo {
		do()
	}
	m.commits++
	return nil
}

type memoryTx struct {
	m    *memory
	todo []func()
}

func (w *memoryTx) later(f func()) error { w.todo = append(w.todo, f); return nil }

func (w *memoryTx) InsertTransaction(r Row) error {
	return w.later(func() { w.m.transactions[r.ID] = r })
}

func (w *memoryTx) SaveTransaction(r Row) error {
	if w.m.transactions[r.ID].Version != r.Version-1 {
		return errStale
	}
	return w.later(func() { w.m.transactions[r.ID] = r })
}

func (w *memoryTx) InsertUser(u directory.User) error {
	for _, a := range w.m.users {
		if a.Canonical == u.Canonical {
			return errConflict
		}
	}
	return w.later(func() { w.m.users[u.ID] = directory.Account{User: u} })
}

func (w *memoryTx) InsertEnrollment(e directory.Enrollment) error {
	return w.later(func() {
		a := w.m.users[e.UserID]
		a.Enrollments = append(a.Enrollments, e)
		w.m.users[e.UserID] = a
	})
}

func (w *memoryTx) UpdateUser(u directory.User) error {
	if w.m.users[u.ID].Version != u.Version-1 {
		return errStale
	}
	return w.later(func() {
		a := w.m.users[u.ID]
		a.User = u
		w.m.users[u.ID] = a
	})
}

func (w *memoryTx) UpdateEnrollment(e directory.Enrollment) error {
	for i, old := range w.m.users[e.UserID].Enrollments {
		if old.ID == e.ID && old.Version == e.Version-1 {
			return w.later(func() {
				a := w.m.users[e.UserID]
				a.Enrollments = slices.Clone(a.Enrollments)
				a.Enrollments[i] = e
				w.m.users[e.UserID] = a
			})
		}
	}
	return errStale
}

func (w *memoryTx) DeleteEnrollment(id string) error {
	for _, a := range w.m.users {
		for i, e := range a.Enrollments {
			if e.ID == id {
				return w.later(func() {
					a := w.m.users[e.UserID]
					a.Enrollments = slices.Delete(slices.Clone(a.Enrollments), i, i+1)
					w.m.users[e.UserID] = a
				})
			}
		}
	}
	return errMissing
}

func (m *memory) Session(_ context.Context, id string) (session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sessions[id]
	if !ok {
		return s, errMissing
	}
	return s, nil
}

func (m *memory) Sessions(_ context.Context, userID string) ([]session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []session.Session
	for _, s := range m.sessions {
		if s.UserID == userID && s.EndedAt.IsZero() {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b session.Session) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out, nil
}

func (m *memory) Ticket(_ context.Context, id string) (directory.Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tickets[id]
	if !ok {
		return t, errMissing
	}
	return t, nil
}

func (m *memory) Device(_ context.Context, userID, id string) (session.Device, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.devices[userID+id]
	if !ok {
		return d, errMissing
	}
	return d, nil
}

func (m *memory) Counter(_ context.Context, key string) (limit.Counter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.counters[key]
	if !ok {
		return c, errMissing
	}
	return c, nil
}

func (w *memoryTx) InsertSession(s session.Session) error {
	return w.later(func() { w.m.sessions[s.ID] = s })
}

func (w *memoryTx) UpdateSession(s session.Session) error {
	if w.m.sessions[s.ID].Version != s.Version-1 {
		return errStale
	}
	return w.later(func() { w.m.sessions[s.ID] = s })
}

func (w *memoryTx) EndSession(id string, at time.Time) error {
	return w.later(func() {
		if s, ok := w.m.sessions[id]; ok && s.EndedAt.IsZero() {
			s.EndedAt = at
			w.m.sessions[id] = s
		}
	})
}

func (w *memoryTx) SpendTicket(id string, at time.Time) error {
	t, ok := w.m.tickets[id]
	if !ok || !t.SpentAt.IsZero() {
		return errStale
	}
	return w.later(func() {
		t.SpentAt = at
		w.m.tickets[id] = t
	})
}

func (w *memoryTx) SaveDevice(d session.Device) error {
	return w.later(func() { w.m.devices[d.UserID+d.ID] = d })
}

func (w *memoryTx) SignOut(userID string, at time.Time) error {
	return w.later(func() {
		w.m.signedOut = append(w.m.signedOut, userID)
		for id, s := range w.m.sessions {
			if s.UserID == userID && s.EndedAt.IsZero() {
				s.EndedAt = at
				w.m.sessions[id] = s
			}
		}
	})
}

func (w *memoryTx) Counter(key string) (limit.Counter, error) {
	c := w.m.counters[key]
	c.Key = key
	return c, nil
}

func (w *memoryTx) PutCounter(c limit.Counter) error {
	return w.later(func() { w.m.counters[c.Key] = c })
}

func (w *memoryTx) DeleteCounter(key string) error {
	return w.later(func() { delete(w.m.counters, key) })
}

func (w *memoryTx) Enqueue(m outbox.Message) error {
	return w.later(func() { w.m.messages[m.ID] = m })
}

func (w *memoryTx) Append(r audit.Row) error {
	return w.later(func() { w.m.audit = append(w.m.audit, r.Events...) })
}

// coder is an authenticator whose prompts carry a code; it stands for any that
// sends one. Every code of a prompt is good until its end, as the port promises.
type coder struct {
	info authenticator.Info
	now  func() time.Time
	next *int
}

type codes struct {
	Codes []string
	Ends  []time.Time
}

func newCoder(key, name string, proves bool, now func() time.Time) coder {
	return coder{now: now, next: new(int), info: authenticator.Info{
		Key: key, Type: "email", ID: "aut" + key, Name: name, Methods: []authenticator.Method{"email"},
		EnrollmentPrefix: "eae", EnrollmentProves: proves, AMR: "otp", Class: policy.Possession,
	}}
}

func (c coder) Info() authenticator.Info { return c.info }

func (c coder) prompt(s authenticator.Subject, sealed codes) (authenticator.Prompt, error) {
	*c.next++
	code := fmt.Sprintf("%06d", *c.next)
	sealed.Codes = append(sealed.Codes, code)
	sealed.Ends = append(sealed.Ends, c.now().Add(10*time.Minute))
	data, err := json.Marshal(sealed)
	return authenticator.Prompt{
		Sealed: data, Fields: []authenticator.Field{{Name: "passcode", Label: "Enter code"}},
		ExpiresAt: c.now().Add(10 * time.Minute),
		Effects:   []authenticator.Effect{{Mail: &authenticator.Mail{Template: string(s.Purpose), To: s.Address, Code: code}}},
	}, err
}

func (c coder) BeginEnroll(_ context.Context, s authenticator.Subject) (authenticator.Prompt, error) {
	return c.prompt(s, codes{})
}

func (c coder) BeginVerify(_ context.Context, s authenticator.Subject, _ authenticator.Credential) (authenticator.Prompt, error) {
	return c.prompt(s, codes{})
}

func (c coder) Resend(_ context.Context, s authenticator.Subject, p authenticator.Prompt) (authenticator.Prompt, error) {
	var sealed codes
	if err := json.Unmarshal(p.Sealed, &sealed); err != nil {
		return p, err
	}
	return c.prompt(s, sealed)
}

func (c coder) FinishEnroll(ctx context.Context, s authenticator.Subject, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	return c.FinishVerify(ctx, s, authenticator.Credential{Profile: map[string]string{"email": s.Address}}, p, in)
}

func (c coder) FinishVerify(_ context.Context, s authenticator.Subject, cr authenticator.Credential, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	if in["passcode"] == "" {
		return cr, authenticator.ErrEmpty
	}
	var sealed codes
	if err := json.Unmarshal(p.Sealed, &sealed); err != nil {
		return cr, err
	}
	for i, code := range sealed.Codes {
		if code == in["passcode"] && c.now().Before(sealed.Ends[i]) && s.Purpose != authenticator.SignInUnknown {
			return cr, nil
		}
	}
	return cr, authenticator.ErrWrong
}

// Vouch implements authenticator.Voucher.
func (c coder) Vouch(s authenticator.Subject) (authenticator.Credential, error) {
	return authenticator.Credential{Profile: map[string]string{"email": s.Address}}, nil
}

// secret is a password without a hash, which keeps no rules but "weak" is refused.
type secret struct{ now func() time.Time }

type secretData struct {
	Secret string
	At     time.Time
}

func (secret) Info() authenticator.Info {
	return authenticator.Info{
		Key: passwordKey, Type: "password", ID: "aut" + passwordKey, Name: "Password", Methods: []authenticator.Method{"password"},
		EnrollmentPrefix: "lae", AMR: "pwd", Class: policy.Knowledge,
	}
}

func (c secret) BeginEnroll(context.Context, authenticator.Subject) (authenticator.Prompt, error) {
	return authenticator.Prompt{
		Fields: []authenticator.Field{{Name: "passcode", Label: "Enter password", Secret: true}}, Settings: map[string]any{},
	}, nil
}

func (c secret) BeginVerify(ctx context.Context, s authenticator.Subject, _ authenticator.Credential) (authenticator.Prompt, error) {
	return c.BeginEnroll(ctx, s)
}

func (c secret) BeginChange(ctx context.Context, s authenticator.Subject, _ authenticator.Credential) (authenticator.Prompt, error) {
	return c.BeginEnroll(ctx, s)
}

func (c secret) FinishEnroll(_ context.Context, _ authenticator.Subject, _ authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	if in["passcode"] == "weak" || in["passcode"] == "" {
		return authenticator.Credential{}, &authenticator.Rejected{Messages: []problem.Message{{
			Key: "password.passwordRequirementsNotMet", Field: "passcode", Class: problem.ClassError,
		}}}
	}
	data, err := json.Marshal(secretData{in["passcode"], c.now()})
	return authenticator.Credential{Data: data}, err
}

func (c secret) FinishChange(ctx context.Context, s authenticator.Subject, _ authenticator.Credential, p authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	return c.FinishEnroll(ctx, s, p, in)
}

func (c secret) FinishVerify(_ context.Context, s authenticator.Subject, cr authenticator.Credential, _ authenticator.Prompt, in authenticator.Input) (authenticator.Credential, error) {
	if in["passcode"] == "" {
		return cr, authenticator.ErrEmpty
	}
	var kept secretData
	if len(cr.Data) == 0 || s.Purpose == authenticator.SignInUnknown || json.Unmarshal(cr.Data, &kept) != nil || kept.Secret != in["passcode"] {
		return cr, authenticator.ErrWrong
	}
	return cr, nil
}

func (c secret) ChangedAt(cr authenticator.Credential) time.Time {
	var kept secretData
	_ = json.Unmarshal(cr.Data, &kept) // what is not one was never chosen
	return kept.At
}

// post keeps what the engine hands over for delivery.
type post struct {
	mu    sync.Mutex
	mails []authenticator.Mail
	n     int
	rows  map[string]authenticator.Mail
}

func (p *post) Prepare(o Outgoing) (outbox.Message, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	id := fmt.Sprintf("m%d", p.n)
	if o.Once != "" && !o.Void {
		id = o.Once
	}
	if o.Void {
		id, o.Mail = fmt.Sprintf("void%d", p.n), authenticator.Mail{}
	}
	p.rows[id] = o.Mail
	return outbox.Message{ID: id, Status: outbox.Queued}, nil
}

func (p *post) Handoff(ms ...outbox.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range ms {
		p.mails = append(p.mails, p.rows[m.ID])
	}
}

// sent returns the mails to an address, oldest first.
func (p *post) sent(to string) []authenticator.Mail {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []authenticator.Mail
	for _, m := range p.mails {
		if strings.EqualFold(m.To, to) {
			out = append(out, m)
		}
	}
	return out
}

// rig is an engine with everything around it in memory, and a clock to move.
type rig struct {
	*Engine
	tb     testing.TB
	store  *memory
	post   *post
	client Client
	mu     sync.Mutex
	at     time.Time
}

func (r *rig) FlowClient(context.Context, string) (Client, bool, error) { return r.client, true, nil }

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

func newRig(tb testing.TB, org policy.Org) *rig {
	r := &rig{
		tb: tb, store: newMemory(), post: &post{rows: map[string]authenticator.Mail{}},
		client: Client{ID: "0oa1", Name: "Acme"},
		at:     time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC),
	}
	keys, err := keyring.New(keyring.Generate())
	if err != nil {
		tb.Fatal(err)
	}
	var list []authenticator.Authenticator
	for _, key := range org.EnrollmentFor(nil).Keys("") {
		if key == passwordKey {
			list = append(list, secret{now: r.clock})
			continue
		}
		list = append(list, newCoder(key, key, key == emailKey, r.clock))
	}
	limits := DefaultLimits()
	limits.Rules.HandleRequests, limits.Rules.UserRequests = nil, nil // the clock stands still
	r.Engine, err = New(Config{
		Store: r.store, Keys: keys, Clients: r, Outbox: r.post, Policies: func() *policy.Org { return &org },
		Authenticators: list, Limits: limits, Now: r.clock,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// visit is one transaction as a client holds it.
type visit struct {
	*rig
	handle  Handle
	last    *View
	browser Browser
}

func (r *rig) begin() *visit {
	return r.beginWith(Start{Request: Request{ClientID: "0oa1", Server: "default", State: "s"}})
}

func (r *rig) beginWith(s Start) *visit {
	r.tb.Helper()
	ih, err := r.Begin(context.Background(), s)
	if err != nil {
		r.tb.Fatal(err)
	}
	v, err := r.Introspect(context.Background(), Handle{Interaction: ih}, s.Browser)
	if err != nil {
		r.tb.Fatal(err)
	}
	return &visit{rig: r, handle: Handle{State: v.StateHandle}, last: v, browser: s.Browser}
}

// answer posts pairs of path and value to an offer.
func (v *visit) answer(name string, pairs ...string) *View {
	v.tb.Helper()
	view, err := v.try(name, pairs...)
	if err != nil {
		v.tb.Fatalf("%s: %v", name, err)
	}
	v.last = view
	return view
}

func (v *visit) try(name string, pairs ...string) (*View, error) {
	in := Input{}
	for i := 0; i < len(pairs); i += 2 {
		in[pairs[i]] = pairs[i+1]
	}
	return v.Answer(context.Background(), Answer{Handle: v.handle, Names: []string{name}, Input: in, Browser: v.browser})
}

func (v *visit) signUp(email string) *View {
	v.tb.Helper()
	v.answer("select-enroll-profile")
	return v.answer("enroll-profile", "userProfile.firstName", "Ada", "userProfile.lastName", "Lovelace", "userProfile.email", email)
}

// code is the newest one mailed to an address.
func (r *rig) code(to string) string {
	r.tb.Helper()
	all := r.post.sent(to)
	if len(all) == 0 {
		r.tb.Fatalf("no mail to %s", to)
	}
	return all[len(all)-1].Code
}

func names(v *View) string {
	var out []string
	for _, o := range v.Offers {
		out = append(out, o.Name)
	}
	return strings.Join(out, " ")
}

func key(v *View) string {
	if len(v.Messages) == 0 {
		return ""
	}
	return v.Messages[0].Key
}
