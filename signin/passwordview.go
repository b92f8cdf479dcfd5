package signin

import (
	"slices"
	"strings"

	"github.com/stile-id/stile/idx"
)

// password is the page that asks for the one that the person has.
type password struct {
	Username  string
	Change    bool // the address may be changed
	CanForget bool
	Instead   *instead
}

// instead is another way to prove who one is, beside the one in hand: one that is
// common, and a link to the list where there are more.
type instead struct {
	Label, Authenticator string // "" if none is
	Link, LinkLabel      string // "" if there are no more
}

// insteadOf finds what the engine takes in place of the authenticator in hand.
func (p *Pages) insteadOf(v *visit, f *flow, tx *idx.Transaction) *instead {
	list, step := tx.Step(chooseFactor), tx.NextStep
	if list == nil || step.Authenticator == nil {
		return nil
	}
	var others []string
	for _, o := range list.Options {
		if o.Value != step.Authenticator.Key {
			others = append(others, o.Value)
		}
	}
	if len(others) == 0 {
		return nil
	}
	var i instead
	for _, common := range []string{"okta_email", "okta_password"} {
		if slices.Contains(others, common) {
			i.Label, i.Authenticator = v.words.T("instead."+common), common
			break
		}
	}
	if len(others) > 1 || i.Authenticator == "" {
		i.LinkLabel, i.Link = v.words.T("instead.list"), p.to("step", "flow", f.ID, "view", "list")
	}
	return &i
}

// proven reports whether the engine knows already who it is: before, it names nobody.
func proven(tx *idx.Transaction) bool {
	return tx.User != nil && tx.User.FirstName+tx.User.LastName != ""
}

func (p *Pages) showPassword(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	pg := p.stepView(v, f, step, passwordStep)
	pg.Fields = []*field{{
		Name: "password", Label: v.words.T("password.label"), Type: "password", Autocomplete: "current-password",
		Secret: true, Required: true,
	}}
	pg.report(f.told(step))
	pg.Data = password{
		Username: p.addressOf(f, tx), Change: !proven(tx), CanForget: tx.HasFeature(idx.FeaturePasswordRecover),
		Instead: p.insteadOf(v, f, tx),
	}
	return p.render(v, pg)
}

// newPassword is the page to choose one, whatever for.
type newPassword struct {
	Rules    []string
	Min      int
	Username string
	Lead     string
	Submit   string
	Skip     string // label of the button that goes on without, "" if there is none
	Back     string // address of the list, if there is one
}

func (p *Pages) showNewPassword(v *visit, f *flow, tx *idx.Transaction, step *idx.NextStep) *answer {
	kind := kindOf(step)
	pg := p.stepView(v, f, step, kind)
	complexity, _ := step.Authenticator.Settings["complexity"].(map[string]any)
	np := newPassword{
		Username: p.addressOf(f, tx), Min: number(complexity["minLength"]), Rules: p.rules(v, complexity),
		Lead: v.words.T(kind + ".lead"), Submit: v.words.T(kind + ".submit"),
	}
	label := "password.new"
	switch {
	case kind == setStep:
		label = "password.label"
		if tx.Step(chooseEnroll) != nil {
			np.Back = p.to("step", "flow", f.ID, "view", "list")
		} else if step.CanSkip {
			np.Skip = v.words.T("select.skip")
		}
	case kind == expiringStep:
		if _, told := step.Authenticator.Settings["daysToExpiry"]; told {
			pg.Heading = v.words.N("password-expiring.heading", number(step.Authenticator.Settings["daysToExpiry"]))
		}
		fallthrough
	default:
		if step.CanSkip {
			np.Skip = v.words.T(kind + ".skip")
		}
	}
	name := "password"
	if asksFor(step, "newPassword") {
		name = "newPassword"
	}
	pg.Fields = []*field{{
		Name: name, Label: v.words.T(label), Type: "password", Autocomplete: "new-password",
		Secret: true, Required: true, DescribedBy: "rules",
	}}
	// The heading says already what this message says.
	pg.report(slices.DeleteFunc(f.told(step), func(n note) bool { return strings.HasPrefix(n.Key, "idx.password.expiring") }))
	pg.Data = np
	return p.render(v, pg)
}

// rules says in words what the engine demands of a password.
func (p *Pages) rules(v *visit, c map[string]any) []string {
	var all []string
	for _, rule := range []string{"minLength", "minLowerCase", "minUpperCase", "minNumber", "minSymbol"} {
		if n := number(c[rule]); n > 0 {
			all = append(all, v.words.N("password."+rule, n))
		}
	}
	if n := number(c["maxConsecutiveRepeatingCharacters"]); n > 0 {
		all = append(all, v.words.T("password.maxConsecutiveRepeatingCharacters", "n", n))
	}
	if on, _ := c["excludeUsername"].(bool); on {
		all = append(all, v.words.T("password.excludeUsername"))
	}
	if names, _ := c["excludeAttributes"].([]any); len(names) > 0 {
		all = append(all, v.words.T("password.excludeAttributes"))
	}
	return all
}

func number(x any) int {
	n, _ := x.(float64)
	return int(n)
}
