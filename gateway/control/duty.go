package control

import "github.com/chuanyu-exchange/hub/internal/spiffe"

// may says whether a signer may give an order of a kind in a region. A gateway
// announces its own key and says which of its tokens are revoked; it orders
// nothing else.
func may(signer spiffe.Name, region string, kind Kind) bool {
	if signer.Region != region {
		return false
	}
	if kind.byGateway() {
		return signer.Role == spiffe.Signing
	}
	return signer.Role == spiffe.Operator && signer.Duty == dutyOf(kind)
}

// dutyOf is whose an order is; "", which nobody has, if no operator's.
func dutyOf(kind Kind) spiffe.Duty {
	for _, k := range Kinds() {
		if k.Kind == kind {
			return k.Duty
		}
	}
	return ""
}

// Kinds are the orders that an operator may give, and the duty of each, in the
// order of the road: who, what, with which certificate, by which policies.
// Audit is in none: who looks at the others changes nothing.
func Kinds() []KindDuty {
	return []KindDuty{
		{AdmitParticipant, spiffe.Administration, false},
		{SuspendParticipant, spiffe.Security, false},
		{ResumeParticipant, spiffe.Security, false},
		{RemoveParticipant, spiffe.Administration, true},
		{ProposeAgreement, spiffe.Security, false},
		{ApproveAgreement, spiffe.Security, false},
		{SuspendAgreement, spiffe.Security, false},
		{ResumeAgreement, spiffe.Security, false},
		{EndAgreement, spiffe.Administration, true},
		{RevokeCertificate, spiffe.Security, true},
		{AdoptBundle, spiffe.Administration, false},
		{ProposePolicy, spiffe.Security, false},
		{ApprovePolicy, spiffe.Security, false},
	}
}

// KindDuty is a kind of order, whose it is, and whether it is for good.
type KindDuty struct {
	Kind    Kind
	Duty    spiffe.Duty
	ForGood bool
}
