package signin

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stile-id/stile/idx"
)

// The pages under profile, where people see and change their own account (UX P7.2
// to P7.5). They keep nothing: what they show is asked for anew, with the person's
// own access token. A form that was refused is kept as a flow without a
// transaction, so that nothing typed is lost on the way.

// The pages' addresses below the prefix.
const (
	ownPage     = "profile"
	namePage    = "profile/name"
	emailPage   = "profile/email"
	newCodePage = "profile/code"
	secretPage  = "profile/password"
	removePage  = "profile/remove"
	dataPage    = "profile/data"
	dataFile    = "profile/data.json"
	deletePage  = "profile/delete"
	renamePage  = "profile/method"
)

// How old a proof may be: before a form is shown the engine is asked whether it
// would do (docs/account.md).
const (
	freshProof  = 5 * time.Minute
	recentProof = 15 * time.Minute
)

// profileScopes are what the client asks for, and so what the pages can offer.
type profileScopes struct {
	read, write, email, password, sessions bool
}

func scopesOf(scopes []string) profileScopes {
	has := func(s string) bool { return slices.Contains(scopes, s) }
	return profileScopes{
		read: has(idx.ScopeProfileRead) || has(idx.ScopeProfileManage), write: has(idx.ScopeProfileManage),
		email: has(idx.ScopeEmailManage), password: has(idx.ScopePasswordManage), sessions: has(idx.ScopeSessionsManage),
	}
}

func (s profileScopes) offered() bool { return s.read }

// ProfilePath is where people see and change their account, for a link in the app.
// It is empty where the client asks for no okta.myAccount.profile scope: there is no
// such page then.
func (p *Pages) ProfilePath() string {
	if !p.profile.offered() {
		return ""
	}
	return p.prefix + ownPage
}

// addProfile adds the pages that the client's scopes are enough for.
func (p *Pages) addProfile(all map[string]route) {
	add := func(on bool, page string, show, act func(*visit, *owner) (*answer, error), need time.Duration) {
		if !on || !p.profile.offered() {
			return
		}
		at := route{show: p.own(need, show), keep: doublePress}
		if act != nil {
			at.act = p.own(0, act) // each change is refused by the engine itself
		}
		all[p.prefix+page] = at
	}
	add(true, ownPage, p.showOwn, p.actOwn, 0)
	add(p.profile.write, namePage, p.showName, p.saveName, recentProof)
	add(p.profile.email, emailPage, p.showNewEmail, p.saveNewEmail, freshProof)
	add(p.profile.email, newCodePage, p.showNewCode, p.actNewCode, 0)
	add(p.profile.password, secretPage, p.showNewSecret, p.saveNewSecret, freshProof)
	add(p.profile.write, removePage, p.showRemove, p.remove, 0)
	add(p.profile.write, renamePage, p.showRename, p.rename, freshProof)
	add(p.profile.write, dataPage, p.showData, nil, recentProof)
	add(p.profile.write, dataFile, p.sendData, nil, recentProof)
	add(p.profile.write, deletePage, p.showDelete, p.deleteOwn, freshProof)
}

// An owner is somebody at the pages of their own account.
type owner struct {
	*session
	*idx.Account
}

// own is for signed-in people alone, and asks for a new proof where the page needs one.
func (p *Pages) own(need time.Duration, page func(*visit, *owner) (*answer, error)) func(*visit) *answer {
	return func(v *visit) *answer {
		s, err := p.session(v)
		if err != nil {
			return p.failure(v, nil, err)
		}
		if s == nil {
			return v.redirect(p.to("", "return_to", p.ownAddress(v)))
		}
		o := &owner{s, p.client.Account(s.Access)}
		if need > 0 {
			err = o.Proof(v.ctx, need)
		}
		var a *answer
		if err == nil {
			a, err = page(v, o)
		}
		if err != nil {
			return p.refused(v, o, nil, err)
		}
		return a
	}
}

// ownAddress leads back to the page at hand. A form posts to the address of its page.
func (p *Pages) ownAddress(v *visit) string {
	at := v.r.URL.Path
	if at == p.prefix+dataFile { // a file is no place to come back to
		at = p.prefix + dataPage
	}
	if v.r.URL.RawQuery != "" {
		at += "?" + v.r.URL.RawQuery
	}
	return at
}

// refused is the answer to an error of the engine. f, if there is one, is the form
// whose values are kept.
func (p *Pages) refused(v *visit, o *owner, f *flow, err error) *answer {
	back := p.ownAddress(v)
	if !localPath(back) {
		back = p.prefix + ownPage
	}
	if f != nil {
		if err := v.save(f); err != nil {
			return p.failure(v, nil, err)
		}
		back = p.to(f.Form, "flow", f.ID)
	}
	var up *idx.StepUpError
	switch {
	case errors.As(err, &up):
		need := asks{MaxAge: int64(up.MaxAge / time.Second), Newer: o.Proven}
		if len(up.ACRValues) > 0 && len(up.ACRValues[0]) <= maxACR && headerLike(up.ACRValues[0]) {
			need.ACR = up.ACRValues[0]
		}
		return p.signInAgain(v, o.session, need, back)
	case isStatus(err, http.StatusUnauthorized, ""): // signed out elsewhere
		v.remove(sessionCookie)
		return v.redirect(p.to("", "return_to", back))
	case isStatus(err, http.StatusForbidden, "E0000006"):
		// The sign-in is from before the app asked for these scopes.
		return p.signInAgain(v, o.session, asks{Newer: o.Proven}, back)
	case isStatus(err, http.StatusNotFound, ""), isStatus(err, http.StatusConflict, ""):
		return v.redirect(p.to(ownPage)) // done in another tab
	}
	return p.failure(v, f, err)
}

// ownForm gives what was typed into a form of the profile, if the page is shown again.
func (v *visit) ownForm(form string, o *owner) *flow {
	f, ok := v.flow(v.r.URL.Query().Get("flow"))
	if ok && f.Form == form && f.Who == o.claims().Subject {
		return f
	}
	return &flow{ID: newFlowID(), Begun: v.now.Unix(), Form: form, Who: o.claims().Subject}
}

// ownPosted gives the flow of a form that was sent.
func (v *visit) ownPosted(form string, o *owner) *flow {
	f := v.begin(form)
	if f.Tx != "" { // somebody's sign-in, whose id has no business here
		f = &flow{ID: newFlowID(), Begun: v.now.Unix(), Form: form, Lang: v.words.Lang}
	}
	f.Who, f.Filled = o.claims().Subject, map[string]string{}
	return f
}

// ownAgain shows a form of the profile with what is wrong.
func (p *Pages) ownAgain(v *visit, f *flow, wrong ...note) (*answer, error) {
	f.Notes = wrong
	if err := v.save(f); err != nil {
		return nil, err
	}
	return v.redirect(p.to(f.Form, "flow", f.ID)), nil
}

// done forgets a form, and says on the profile what was changed.
func (p *Pages) done(v *visit, f *flow, what string) *answer {
	if f != nil {
		v.remove("f-" + f.ID)
	}
	return v.redirect(p.to(ownPage, "done", what))
}

// isStatus reports whether the engine answered with that status and code; an empty
// code is any.
func isStatus(err error, status int, code string) bool {
	var r *idx.ResponseError
	return errors.As(err, &r) && r.Status == status && (code == "" || r.Code == code)
}

// causes are what the engine names as wrong, by field.
func causes(err error) []idx.Cause {
	var r *idx.ResponseError
	if !errors.As(err, &r) || r.Status != http.StatusBadRequest {
		return nil
	}
	return r.Causes
}
