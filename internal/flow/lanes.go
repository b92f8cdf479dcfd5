package flow

// unpause forgets the wrong answers that an account has been given for an
// authenticator.
func (t *Turn) unpause(key string) {}
