package signin

import (
	"net/http"

	"github.com/stile-id/stile/idx"
)

// labelled finds the way to sign in that the address names, if it has a name of its
// owner's.
func (p *Pages) labelled(v *visit, o *owner) (*idx.AccountMethod, error) {
	m, err := p.methodOf(v, o, v.r.URL.Query().Get("method"))
	if m != nil && m.Label == "" {
		m = nil
	}
	return m, err
}

func (p *Pages) showRename(v *visit, o *owner) (*answer, error) {
	m, err := p.labelled(v, o)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return v.redirect(p.to(ownPage)), nil
	}
	f := v.ownForm(renamePage, o)
	fd := &field{Name: "label", Label: v.words.T("account.rename.label"), Type: "text", Required: true, Value: m.Label, Select: true}
	if typed, ok := f.Filled["label"]; ok {
		fd.Value = typed
	}
	return p.showChange(v, f, "profile-method", change{Submit: v.words.T("profile.submit"), Query: []string{"method", m.ID}}, fd)
}

func (p *Pages) rename(v *visit, o *owner) (*answer, error) {
	m, err := p.labelled(v, o)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return v.redirect(p.to(ownPage)), nil
	}
	f := v.ownPosted(renamePage, o)
	label := trim(v.form("label"))
	f.Filled["label"] = label
	wrong := note{Key: "error.field.blank", Field: "label", Params: []string{v.words.T("account.rename.label")}}
	if label != "" {
		if err = o.RenameMethod(v.ctx, m.ID, label); err == nil {
			return p.done(v, f, "renamed"), nil
		}
		if !isStatus(err, http.StatusBadRequest, "") {
			return p.refused(v, o, nil, err), nil
		}
		wrong.Key = "error.label"
	}
	f.Notes = []note{wrong}
	if err := v.save(f); err != nil {
		return nil, err
	}
	return v.redirect(p.to(renamePage, "method", m.ID, "flow", f.ID)), nil
}
