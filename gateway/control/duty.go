package control

import "github.com/chuanyu-exchange/hub/internal/spiffe"

// duties says which operators may give an order. Audit is in none: who looks
// at the others changes nothing.
var duties = map[Kind]spiffe.Duty{
	RemoveParticipant: spiffe.Administration,
	EndAgreement:      spiffe.Administration,
	AdoptBundle:       spiffe.Administration,

	SuspendParticipant: spiffe.Security,
	ResumeParticipant:  spiffe.Security,
	SuspendAgreement:   spiffe.Security,
	ResumeAgreement:    spiffe.Security,
	RevokeCertificate:  spiffe.Security,
	ProposePolicy:      spiffe.Security,
	ApprovePolicy:      spiffe.Security,
}

// may says whether a signer may give an order of a kind in a region. A gateway
// announces its own key and orders nothing.
func may(signer spiffe.Name, region string, kind Kind) bool {
	if signer.Region != region {
		return false
	}
	if kind == AnnounceKey {
		return signer.Role == spiffe.Signing
	}
	duty, known := duties[kind]
	return known && signer.Role == spiffe.Operator && signer.Duty == duty
}
