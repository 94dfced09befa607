package revocation

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// maxRevoked bounds how many certificates one list may name.
const maxRevoked = 1_000_000

// list is a CRL that was checked.
type list struct {
	validity
	number  *big.Int             // 0 if it has none
	revoked map[string]time.Time // by serial number, decimal
}

var (
	oidAuthorityKeyID = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidCRLNumber      = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidCRLReason      = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidInvalidityDate = asn1.ObjectIdentifier{2, 5, 29, 24}
)

// parseCRL reads a complete, direct CRL, DER or PEM, and checks that the issuer
// signed it and that it holds now. A critical extension that is not known, such
// as that of a partial, delta or indirect CRL, is an error (RFC 5280, 5.2).
func parseCRL(raw []byte, issuer *x509.Certificate, now time.Time) (*list, error) {
	if block, _ := pem.Decode(raw); block != nil && block.Type == "X509 CRL" {
		raw = block.Bytes
	}
	crl, err := x509.ParseRevocationList(raw)
	if err != nil {
		return nil, fmt.Errorf("not a CRL: %w", err)
	}
	if err := crl.CheckSignatureFrom(issuer); err != nil {
		return nil, fmt.Errorf("a CRL that %q did not sign: %w", issuer.Subject, err)
	}
	if err := understood(crl.Extensions, oidAuthorityKeyID, oidCRLNumber); err != nil {
		return nil, err
	}
	if len(crl.RevokedCertificateEntries) > maxRevoked {
		return nil, fmt.Errorf("a CRL of %d certificates, at most %d", len(crl.RevokedCertificateEntries), maxRevoked)
	}
	l := &list{validity: valid(crl.ThisUpdate, crl.NextUpdate), number: crl.Number, revoked: make(map[string]time.Time, len(crl.RevokedCertificateEntries))}
	if !l.at(now) {
		return nil, fmt.Errorf("a CRL of %s until %s, which does not hold now", crl.ThisUpdate.Format(time.RFC3339), crl.NextUpdate.Format(time.RFC3339))
	}
	if l.number == nil {
		l.number = new(big.Int)
	}
	for i := range crl.RevokedCertificateEntries {
		entry := &crl.RevokedCertificateEntries[i]
		if err := understood(entry.Extensions, oidCRLReason, oidInvalidityDate); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		l.revoked[entry.SerialNumber.String()] = entry.RevocationTime
	}
	return l, nil
}

// understood says whether every critical extension is one of those known.
func understood(extensions []pkix.Extension, known ...asn1.ObjectIdentifier) error {
	for _, e := range extensions {
		if e.Critical && !slices.ContainsFunc(known, e.Id.Equal) {
			return fmt.Errorf("a CRL with the critical extension %v: only complete CRLs of the issuer itself are understood", e.Id)
		}
	}
	return nil
}

// valid is from one update to the next, at most maxAge; without a next, never.
func valid(from, until time.Time) validity {
	if longest := from.Add(maxAge); until.After(longest) {
		until = longest
	}
	return validity{from, until}
}
