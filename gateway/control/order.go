package control

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Type is the media type in the header of a signed order.
const Type = "hub-order+jws"

// Kind says what is ordered.
type Kind string

// The kinds of orders. See duty.go for who may give them.
const (
	AdmitParticipant   Kind = "participant_admit"
	SuspendParticipant Kind = "participant_suspend"
	ResumeParticipant  Kind = "participant_resume"
	RemoveParticipant  Kind = "participant_remove" // for good
	ProposeAgreement   Kind = "agreement_propose"
	ApproveAgreement   Kind = "agreement_approve"
	SuspendAgreement   Kind = "agreement_suspend" // Order 809, art. 27
	ResumeAgreement    Kind = "agreement_resume"
	EndAgreement       Kind = "agreement_end" // for good
	RevokeCertificate  Kind = "certificate_revoke"
	AdoptBundle        Kind = "trust_bundle_adopt"
	ProposePolicy      Kind = "policy_propose"
	ApprovePolicy      Kind = "policy_approve"
	AnnounceKey        Kind = "key_announce" // by a gateway, of its own signing key
	RevokeToken        Kind = "token_revoke" // by a gateway, for the participant that it was issued to
)

// byGateway says whether gateways give the order, and no operator.
func (k Kind) byGateway() bool { return k == AnnounceKey || k == RevokeToken }

// Order is what an operator signs. Subject is what it is about: a participant,
// an agreement, the thumbprint of a certificate (x5t#S256), the version of a
// set of policies ("sha256:…"), to approve, the id of the order that proposed,
// or the id of a token.
type Order struct {
	ID      string    `json:"id"` // UUIDv7: the same order takes effect once
	Kind    Kind      `json:"kind"`
	Region  string    `json:"region"` // of the hub that it is for
	At      time.Time `json:"at"`     // when it was signed
	Subject string    `json:"subject,omitempty"`
	Reason  string    `json:"reason,omitempty"` // for whoever asks later; no record content
	Bundle  string    `json:"bundle,omitempty"` // a signed trust bundle
	// Document is the entry of a participant, or an agreement, in YAML: what
	// would stand in the catalogue or in a file of the policies.
	Document string    `json:"document,omitempty"`
	Until    time.Time `json:"until,omitzero"` // when a revoked token ends by itself
}

// Sign gives the order its time and signs it with an operator's key. Its id
// must be set; signing.NewID makes one.
func (o Order) Sign(at time.Time, key crypto.Signer, chain []*x509.Certificate) (string, error) {
	o.At = at.UTC()
	if err := o.Check(); err != nil {
		return "", err
	}
	payload, err := json.Marshal(&o)
	if err != nil {
		return "", err
	}
	signer, err := jws.NewSigner(key, chain, Type)
	if err != nil {
		return "", err
	}
	return signer.Sign(payload)
}

const (
	maxReason = 1000
	maxBundle = 48 << 10 // with the order around it below the limit of package jws
)

var subjects = map[Kind]*regexp.Regexp{
	AdmitParticipant:   participantID,
	SuspendParticipant: participantID, ResumeParticipant: participantID, RemoveParticipant: participantID,
	SuspendAgreement: agreementID, ResumeAgreement: agreementID, EndAgreement: agreementID,
	RevokeCertificate: regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`),
	ProposePolicy:     regexp.MustCompile(`^sha256:[0-9a-f]{64}$`),
	ApprovePolicy:     uuidPattern,
	RevokeToken:       uuidPattern,
	ProposeAgreement:  agreementID, ApproveAgreement: uuidPattern,
	AdoptBundle: regexp.MustCompile(`^[0-9]{6}$`), // the province that it is of
	AnnounceKey: nil,
}

var (
	uuidPattern   = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	participantID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	agreementID   = regexp.MustCompile(`^[a-z0-9][a-z0-9._/-]{0,127}$`)
)

// Check says whether an order is whole. It is what a writer checks before it
// signs and every replica before it folds.
func (o *Order) Check() error {
	subject, known := subjects[o.Kind]
	switch {
	case !known:
		return problem.New(problem.OrderInvalid, "kind %q", shown(string(o.Kind)))
	case !isUUIDv7(o.ID):
		return problem.New(problem.OrderInvalid, "its id is not a UUIDv7")
	case o.At.IsZero():
		return problem.New(problem.OrderInvalid, "it has no time")
	case subject == nil && o.Subject != "" || subject != nil && !subject.MatchString(o.Subject):
		return problem.New(problem.OrderInvalid, "%s: subject %q", o.Kind, shown(o.Subject))
	case (o.Kind == RevokeToken) == o.Until.IsZero():
		return problem.New(problem.OrderInvalid, "%s: until is for tokens, and for each of them", o.Kind)
	}
	if err := o.checkAttached(); err != nil {
		return err
	}
	return o.checkReason()
}

// checkAttached says that a bundle and a document are there where the kind has
// one, and nowhere else.
func (o *Order) checkAttached() error {
	documented := o.Kind == AdmitParticipant || o.Kind == ProposeAgreement
	switch {
	case (o.Kind == AdoptBundle) != (o.Bundle != "") || len(o.Bundle) > maxBundle:
		return problem.New(problem.OrderInvalid, "%s: a bundle of %d bytes", o.Kind, len(o.Bundle))
	case documented != (o.Document != "") || len(o.Document) > maxBundle || !utf8.ValidString(o.Document):
		return problem.New(problem.OrderInvalid, "%s: a document of %d bytes, at most %d of UTF-8", o.Kind, len(o.Document), maxBundle)
	}
	return nil
}

func isUUIDv7(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.Version() == 7 && id.String() == s
}

// checkReason demands a reason of people.
func (o *Order) checkReason() error {
	switch {
	case !o.Kind.byGateway() && strings.TrimSpace(o.Reason) == "":
		return problem.New(problem.OrderInvalid, "%s: it gives no reason", o.Kind)
	case len(o.Reason) > maxReason || !utf8.ValidString(o.Reason):
		return problem.New(problem.OrderInvalid, "%s: a reason of %d bytes, at most %d of UTF-8", o.Kind, len(o.Reason), maxReason)
	}
	return nil
}

// parseOrder reads an order strictly: one with a member that this version does
// not know may mean more than it understands.
func parseOrder(payload []byte) (*Order, error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	var o Order
	if err := d.Decode(&o); err != nil || d.More() {
		return nil, problem.New(problem.OrderInvalid, "it is not one JSON object of an order's members")
	}
	return &o, o.Check()
}

// shown shortens what a stranger wrote.
func shown(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
