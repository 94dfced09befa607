package attacks

import (
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Attack is one thing that is tried.
type Attack struct {
	Against string // what holds it off, in the order of the road
	Name    string // stands once in the table
	Code    problem.Code
	// Entry is what the ledger holds of it: of who was identified, or counted
	// by address.
	Entry receipt.Kind
}

// Who is identified when the refusal comes.
const (
	known   = receipt.Refusal
	unknown = receipt.AuthFailures
)

// Table is every attack, in the order of the road.
func Table() []Attack {
	var out []Attack
	for _, g := range groups {
		for _, t := range g.tries {
			out = append(out, Attack{g.against, t.name, t.code, t.entry})
		}
	}
	return out
}

type try struct {
	name  string
	code  problem.Code
	entry receipt.Kind
}

var groups = []struct {
	against string
	tries   []try
}{
	{"Paths and sizes", []try{
		{"an encoded slash", problem.RouteUnknown, unknown},
		{"an encoded slash, encoded again", problem.RouteUnknown, unknown},
		{"an encoded backslash", problem.RouteUnknown, unknown},
		{"an encoded zero byte", problem.RouteUnknown, unknown},
		{"dots", problem.RouteUnknown, unknown},
		{"encoded dots", problem.RouteUnknown, unknown},
		{"encoded dots, encoded again", problem.RouteUnknown, unknown},
		{"a path parameter", problem.RouteUnknown, unknown},
		{"a doubled slash", problem.RouteUnknown, unknown},
		{"a trailing slash", problem.RouteUnknown, unknown},
		{"a letter that looks like one", problem.RouteUnknown, unknown},
		{"full-width letters", problem.RouteUnknown, unknown},
		{"capital letters", problem.RouteUnknown, unknown},
		{"no such path", problem.RouteUnknown, unknown},
		{"another method", problem.MethodNotAllowed, unknown},
		{"a query without end", problem.RequestTooLarge, unknown},
		{"a header without end", problem.RequestTooLarge, unknown},
		{"a question without end", problem.RequestTooLarge, unknown},
		{"a form without end", problem.RequestInvalid, unknown},
		{"an order without end", problem.RequestTooLarge, unknown},
		{"a parameter that is unknown", problem.RequestInvalid, unknown},
		{"a parameter twice", problem.RequestInvalid, unknown},
		{"a purpose that is a sentence", problem.RequestInvalid, unknown},
		{"more fields than there are", problem.RequestInvalid, unknown},
	}},
	{"Certificates in a header", []try{
		{"a header from a participant", problem.ForwardedRefused, unknown},
		{"a header from nobody", problem.ForwardedRefused, unknown},
		{"a header on a public path", problem.ForwardedRefused, unknown},
		{"a header from a proxy that is not listed", problem.ForwardedRefused, unknown},
		{"a header from the other province's proxy", problem.ForwardedRefused, unknown},
		{"a header from a proxy whose certificate is revoked", problem.ForwardedRefused, unknown},
		{"a header twice", problem.ForwardedRefused, unknown},
		{"a header with an underscore", problem.ForwardedRefused, unknown},
		{"a header that is no certificate", problem.ForwardedRefused, unknown},
		{"a chain without a certificate", problem.ForwardedRefused, unknown},
		{"a proxy without a header", problem.CertificateMissing, unknown},
		{"a proxy with more certificates than a chain has", problem.ForwardedRefused, unknown},
		{"a proxy with a stranger's certificate", problem.CertificateUntrust, unknown},
	}},
	{"Certificates", []try{
		{"no certificate", problem.CertificateMissing, unknown},
		{"more certificates than a chain has", problem.CertificateUntrust, unknown},
		{"a stranger's authority", problem.CertificateUntrust, unknown},
		{"an expired certificate", problem.CertificateExpired, unknown},
		{"a certificate that is not valid yet", problem.CertificateEarly, unknown},
		{"a server's certificate", problem.CertificateUse, unknown},
		{"the other province's authority naming one of ours", problem.CertificateName, unknown},
		{"an authority naming one that its bundle does not list", problem.CertificateName, unknown},
		{"a connector's certificate", problem.CertificateName, unknown},
		{"the gateway's own certificate", problem.CertificateName, unknown},
		{"two names", problem.CertificateName, unknown},
		{"an unknown participant", problem.CallerUnknown, unknown},
		{"a certificate revoked by order", problem.CertificateRevoked, unknown},
		{"a suspended participant", problem.CallerSuspended, unknown},
	}},
	{"Authorities outside of the exchange", []try{
		{"a listed authority, another subject", problem.CertificateName, unknown},
		{"a listed authority naming by our ids", problem.CertificateName, unknown},
		{"a listed authority's intermediate", problem.CertificateUntrust, unknown},
		{"a listed authority's certificate with a short key", problem.CertificateUntrust, unknown},
		{"a certificate on its authority's list", problem.CertificateRevoked, unknown},
		{"a certificate whose authority says nothing", problem.CertificateStatus, unknown},
	}},
	{"Grants", []try{
		{"no token", problem.TokenMissing, unknown},
		{"a token that is none", problem.TokenMalformed, unknown},
		{"a token without end", problem.TokenMalformed, unknown},
		{"a token without a signature", problem.TokenMalformed, unknown},
		{"a token signed with the public key as a secret", problem.TokenMalformed, unknown},
		{"a receipt as a token", problem.TokenMalformed, unknown},
		{"a token with changed claims", problem.TokenForged, unknown},
		{"a token with an unknown kid", problem.TokenForged, unknown},
		{"a token that a stranger signed", problem.TokenForged, unknown},
		{"a token that the other province's gateway signed", problem.TokenForged, unknown},
		{"a token that a participant signed", problem.TokenForged, unknown},
		{"a token for another audience", problem.TokenAudience, unknown},
		{"a token of another issuer", problem.TokenIssuer, unknown},
		{"another certificate's token", problem.TokenCertificate, unknown},
		{"the same participant's other certificate", problem.TokenCertificate, unknown},
		{"an expired token", problem.TokenExpired, unknown},
		{"a token from the future", problem.TokenEarly, unknown},
		{"a revoked token", problem.TokenRevoked, unknown},
		{"a narrowed token for another product", problem.TokenScope, known},
	}},
	{"The token endpoint", []try{
		{"another grant type", problem.GrantUnsupported, unknown},
		{"parameters in the URL", problem.RequestInvalid, unknown},
		{"a form parameter twice", problem.RequestInvalid, unknown},
		{"another client's id", problem.ClientMismatch, unknown},
		{"another client's id by Basic", problem.ClientMismatch, unknown},
		{"a scope of a hidden product", problem.ScopeUnknown, known},
		{"another service as resource", problem.ResourceUnknown, known},
		{"revoking another participant's token", problem.TokenCertificate, known},
	}},
	{"Client assertions", []try{
		{"an assertion of another kind", problem.AssertionInvalid, unknown},
		{"an assertion without a signature", problem.AssertionInvalid, unknown},
		{"an assertion signed with the public key as a secret", problem.AssertionInvalid, unknown},
		{"an assertion with another key", problem.AssertionInvalid, unknown},
		{"an assertion with an unknown kid", problem.AssertionInvalid, unknown},
		{"an access token as an assertion", problem.AssertionInvalid, unknown},
		{"an assertion of another participant", problem.AssertionInvalid, unknown},
		{"an assertion for another hub", problem.AssertionInvalid, unknown},
		{"an assertion for this and another hub", problem.AssertionInvalid, unknown},
		{"an assertion that has ended", problem.AssertionInvalid, unknown},
		{"an assertion without an end", problem.AssertionInvalid, unknown},
		{"an assertion for an hour", problem.AssertionInvalid, unknown},
		{"an assertion from the future", problem.AssertionInvalid, unknown},
		{"an assertion without an id", problem.AssertionInvalid, unknown},
		{"an assertion without end", problem.AssertionInvalid, unknown},
		{"a replayed assertion", problem.AssertionReplayed, unknown},
		{"an assertion while nothing is remembered", problem.ReplayUnavailable, unknown},
	}},
	{"Policies", []try{
		{"no purpose", problem.PurposeMissing, known},
		{"a purpose that is not agreed", problem.PurposeNotAgreed, known},
		{"an agreement that ended", problem.AgreementEnded, known},
		{"an agreement that has not begun", problem.AgreementEarly, known},
		{"no agreement", problem.AgreementMissing, known},
		{"a withheld field", problem.FieldWithheld, known},
		{"a withheld block", problem.FieldWithheld, known},
		{"an unknown field", problem.FieldUnknown, known},
		{"an unknown product", problem.ProductUnknown, known},
		{"a hidden product", problem.ProductUnknown, known},
		{"a hidden product's description", problem.ProductUnknown, known},
		{"a limit of zero", problem.LimitOutOfRange, known},
		{"a limit beyond the largest", problem.LimitOutOfRange, known},
	}},
	{"Cursors and receipts", []try{
		{"a cursor that is none", problem.CursorInvalid, known},
		{"another caller's cursor", problem.CursorForeign, known},
		{"another caller's receipt", problem.ReceiptUnknown, known},
		{"a receipt that is none", problem.ReceiptUnknown, known},
	}},
	{"Orders and trust bundles", []try{
		{"a participant giving an order", problem.CertificateName, unknown},
		{"an order that a participant signed", problem.OrderDuty, unknown},
		{"an order of another duty", problem.OrderDuty, unknown},
		{"an order that a stranger signed", problem.OrderForged, unknown},
		{"an order twice", problem.OrderConflict, unknown},
		{"an order of yesterday", problem.OrderOutOfTime, unknown},
		{"policies with one pair of eyes", problem.OrderFourEyes, unknown},
		{"an operator revoking a token", problem.OrderDuty, unknown},
		{"a forged trust bundle", problem.OrderInvalid, unknown},
		{"an older trust bundle", problem.OrderConflict, unknown},
		{"another province's bundle under our name", problem.OrderInvalid, unknown},
	}},
}
