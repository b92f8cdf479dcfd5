package signin

import (
	"net/http"

	"github.com/stile-id/stile/idx"
)

// What takes something away is a page that says what will happen, and one button.

func (p *Pages) methodOf(v *visit, o *owner, id string) (*idx.AccountMethod, error) {
	all, err := o.Methods(v.ctx)
	for i := range all {
		if id != "" && all[i].ID == id {
			return &all[i], err
		}
	}
	return nil, err
}

func (p *Pages) back(v *visit) *press {
	return &press{Label: v.words.T("account.back"), Link: p.to(ownPage)}
}

// showRemove asks once more, or says why a way to sign in stays (UX P7.3).
func (p *Pages) showRemove(v *visit, o *owner) (*answer, error) {
	id := v.r.URL.Query().Get("method")
	m, err := p.methodOf(v, o, id)
	switch {
	case err != nil:
		return nil, err
	case m == nil:
		return v.redirect(p.to(ownPage)), nil
	case m.Kept != "":
		return p.notice(v, http.StatusOK, "profile-remove", notice{
			Heading: v.words.T("account.kept.heading", "method", v.words.called(*m)),
			Text:    v.words.H(keptKey(m.Kept)), Primary: p.back(v),
		}), nil
	}
	if err := o.RemovalProof(v.ctx, id); err != nil {
		return nil, err
	}
	return p.notice(v, http.StatusOK, "profile-remove", notice{
		Heading: v.words.T("account.remove.heading", "method", v.words.called(*m)),
		Text:    v.words.H("account.remove.text", "method", v.words.called(*m)),
		Primary: &press{
			Label: v.words.T("account.remove"), Post: p.to(removePage, "method", id), Action: "remove",
			Fields: map[string]string{"flow": newFlowID()},
		},
		Second: p.back(v),
	}), nil
}

func (p *Pages) remove(v *visit, o *owner) (*answer, error) {
	id := v.r.URL.Query().Get("method")
	err := o.RemoveMethod(v.ctx, id)
	if isStatus(err, http.StatusForbidden, "E0000038") {
		return v.redirect(p.to(removePage, "method", id)), nil // which says why
	}
	if err != nil {
		return nil, err
	}
	return p.done(v, nil, "removed"), nil
}

func (p *Pages) showData(v *visit, _ *owner) (*answer, error) {
	return p.notice(v, http.StatusOK, "profile-data", notice{
		Heading: v.words.T("title.profile-data"), Text: v.words.H("account.data.text", "app", p.opt.AppName),
		Primary: &press{Label: v.words.T("account.data.action"), Link: p.to(dataFile)},
		Second:  p.back(v),
	}), nil
}

// sendData is the one page that is a file.
func (p *Pages) sendData(v *visit, o *owner) (*answer, error) {
	data, err := o.Data(v.ctx)
	if err != nil {
		return nil, err
	}
	a := v.answer(http.StatusOK)
	a.header.Set("Content-Type", "application/json")
	a.header.Set("Content-Disposition", `attachment; filename="account-data.json"`)
	a.body = data
	return a, nil
}

func (p *Pages) showDelete(v *visit, o *owner) (*answer, error) {
	d, err := o.Deletion(v.ctx)
	if err != nil {
		return nil, err
	}
	if !d.At.IsZero() {
		return v.redirect(p.to(ownPage)), nil // which says when, and offers to keep it
	}
	text := v.words.H("account.delete.text")
	if d.Wait > 0 {
		text = v.words.H("account.delete.text_wait", "wait", v.words.Wait(d.Wait))
	}
	return p.notice(v, http.StatusOK, "profile-delete", notice{
		Heading: v.words.T("title.profile-delete"), Text: text,
		Primary: &press{
			Label: v.words.T("account.delete.action"), Post: p.to(deletePage), Action: "delete",
			Fields: map[string]string{"flow": newFlowID()},
		},
		Second: p.back(v),
	}), nil
}

func (p *Pages) deleteOwn(v *visit, o *owner) (*answer, error) {
	if _, err := o.RequestDeletion(v.ctx); err != nil {
		return nil, err
	}
	return v.redirect(p.to(ownPage)), nil // which says when
}
