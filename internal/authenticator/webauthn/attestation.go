package webauthn

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
)

// checkModel refuses a key that is not of the models that the organisation lets
// people enrol. What a key says of its model counts only if the certificate that
// comes with it leads to a maker whom the organisation trusts.
func (a *Authenticator) checkModel(object *protocol.AttestationObject, aaguid string) error {
	settings := a.settings()
	if len(settings.AAGUIDs) == 0 {
		return nil
	}
	// Of the others the maker's key has not signed which model it is.
	if object.Format != "packed" {
		return refused("model", fmt.Errorf("an attestation %q does not vouch for it", object.Format))
	}
	if !slices.Contains(settings.AAGUIDs, aaguid) {
		return refused("model", fmt.Errorf("%s may not be enrolled", aaguid))
	}
	chain, err := certificates(object.AttStatement["x5c"])
	if err != nil {
		return refused("model", err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, pem := range settings.Roots {
		roots.AppendCertsFromPEM([]byte(pem))
	}
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: a.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return refused("model", err)
	}
	return nil
}

func certificates(x5c any) ([]*x509.Certificate, error) {
	list, ok := x5c.([]any)
	if !ok || len(list) == 0 {
		return nil, errors.New("there is no certificate of its maker")
	}
	var out []*x509.Certificate
	for _, one := range list {
		der, _ := one.([]byte)
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}
