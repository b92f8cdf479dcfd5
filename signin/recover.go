package signin

import (
	"github.com/stile-id/stile/idx"
)

func (p *Pages) showRecover(v *visit) *answer { return p.showHelp(v, recoverForm) }
func (p *Pages) showUnlock(v *visit) *answer  { return p.showHelp(v, unlockForm) }

// showHelp is the form of somebody whose password does not let them in: whose it
// is, and nothing else.
func (p *Pages) showHelp(v *visit, form string) *answer {
	return p.entry(v, form, func(_ *offer, f *flow) []*field { return []*field{identifierField(v, &offer{}, f)} })
}

func (p *Pages) recover(v *visit) *answer { return p.help(v, recoverForm, p.startRecovery) }
func (p *Pages) unlock(v *visit) *answer  { return p.help(v, unlockForm, p.startUnlock) }

func (p *Pages) help(v *visit, form string, start func(*visit, *flow) *answer) *answer {
	typed := normalAddress(v.form("identifier"))
	if v.form("action") == "sign-in" {
		return p.carry(v, signInForm, typed)
	}
	f := v.begin(form)
	if a := p.goOn(v, f, map[string]string{"identifier": typed}); a != nil {
		return a
	}
	if fault := addressFault(typed); fault != "" {
		return p.again(v, f, note{Key: fault, Field: "identifier"})
	}
	return start(v, f)
}

// startRecovery says that the password is forgotten, and whose it is. What comes
// next is the same for everybody, with an account or without.
func (p *Pages) startRecovery(v *visit, f *flow) *answer {
	tx, err := p.client.Start(v.ctx, p.startOptions(f))
	if err == nil && tx.Status == idx.StatusPending {
		tx, err = p.client.Proceed(v.ctx, tx, idx.Input{Step: "recover"})
	}
	if err == nil && tx.Step("identify-recovery") != nil {
		tx, err = p.client.Proceed(v.ctx, tx, idx.Input{Step: "identify-recovery", Username: f.Typed["identifier"]})
	}
	return p.started(v, f, tx, err)
}

// startUnlock asks for the proof that ends the pause of a password.
func (p *Pages) startUnlock(v *visit, f *flow) *answer {
	const name = "select-authenticator-unlock-account"
	tx, err := p.client.Start(v.ctx, p.startOptions(f))
	if err == nil && tx.Status == idx.StatusPending {
		tx, err = p.client.Proceed(v.ctx, tx, idx.Input{Step: "unlock-account", Username: f.Typed["identifier"]})
	}
	if err == nil && tx.Status == idx.StatusPending {
		if step := tx.Step(name); step != nil && len(step.Options) > 0 {
			tx, err = p.client.Proceed(v.ctx, tx, idx.Input{
				Step: name, Username: f.Typed["identifier"], Authenticator: step.Options[0].Value,
			})
		}
	}
	return p.started(v, f, tx, err)
}

// forgot goes over from the password that is asked for to its recovery.
func (p *Pages) forgot(v *visit, f *flow, tx *idx.Transaction) (*idx.Transaction, error) {
	next, err := p.client.Proceed(v.ctx, tx, idx.Input{Step: "recover"})
	if err == nil {
		f.Form = recoverForm
	}
	return next, err
}

// narrow takes the only way to go on where a list has one, so that nobody has to
// choose it: the mailed code of a recovery, the second of two factors, what the
// person came to add.
func (p *Pages) narrow(v *visit, f *flow, tx *idx.Transaction) (*idx.Transaction, error) {
	step := tx.NextStep
	if tx.Status != idx.StatusPending || step == nil || len(step.Options) != 1 || hasError(tx.Messages) {
		return tx, nil
	}
	if step.Name != chooseFactor && (step.Name != chooseEnroll || step.Options[0].Value != f.Asks.Enroll) {
		return tx, nil
	}
	next, err := p.client.Proceed(v.ctx, tx, idx.Input{Step: step.Name, Authenticator: step.Options[0].Value})
	if err != nil {
		return nil, err
	}
	next.Messages = append(tx.Messages[:len(tx.Messages):len(tx.Messages)], next.Messages...)
	return next, nil
}

func hasError(all []idx.Message) bool {
	for _, m := range all {
		if m.Class == "ERROR" {
			return true
		}
	}
	return false
}
