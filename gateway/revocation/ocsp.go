package revocation

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// answer is what an authority says of one certificate, checked.
type answer struct {
	validity
	revoked bool
	since   time.Time
	expires time.Time // the certificate, after which nobody asks
}

// parseOCSP reads an answer about cert and checks that its issuer, or a
// responder that the issuer certified for OCSP, signed it, and that it holds
// now.
func parseOCSP(raw []byte, cert, issuer *x509.Certificate, now time.Time) (*answer, error) {
	r, err := ocsp.ParseResponseForCert(raw, cert, issuer)
	if err != nil {
		return nil, fmt.Errorf("not an OCSP answer of %q: %w", issuer.Subject, err)
	}
	if err := responder(r.Certificate, issuer, now); err != nil {
		return nil, err
	}
	a := &answer{validity: valid(r.ThisUpdate, r.NextUpdate), expires: cert.NotAfter}
	switch {
	case !a.at(now):
		return nil, fmt.Errorf("an OCSP answer of %s until %s, which does not hold now", r.ThisUpdate.Format(time.RFC3339), r.NextUpdate.Format(time.RFC3339))
	case r.Status == ocsp.Revoked:
		a.revoked, a.since = true, r.RevokedAt
	case r.Status != ocsp.Good:
		return nil, errors.New("the OCSP responder does not know the certificate")
	}
	return a, nil
}

// responder checks who signed an answer in the issuer's place. The library has
// checked the signatures, and not whether the signer may speak for the issuer:
// without this any certificate of the issuer could vouch for itself.
func responder(c, issuer *x509.Certificate, now time.Time) error {
	switch {
	case c == nil || c.Equal(issuer):
		return nil
	case !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return fmt.Errorf("an OCSP answer signed by %q, which is not certified to answer (RFC 6960, 4.2.2.2)", c.Subject)
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return fmt.Errorf("an OCSP answer signed by %q, whose certificate does not hold now", c.Subject)
	}
	return nil
}
