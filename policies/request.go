package policies

import (
	"fmt"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Request is everything that a decision depends on, apart from the Set. The
// zero value is denied.
type Request struct {
	Caller  Caller
	Product string   // id of the catalogue
	Region  string   // whose records: the region of the provider
	Asked   []string // leaf or block paths; empty: all that may be had
	Purpose string
	// Delivery is how the answer is to leave; none is denied.
	Delivery Delivery
	// Emergency is the id of the emergency access that the caller invokes; "":
	// none, the request stands on its agreement.
	Emergency string
	Time      time.Time
}

// Caller is who asks, as identity established it.
type Caller struct {
	Participant string // id of the catalogue
	Region      string // must be the participant's own
	Kind        string // must be the participant's own
	System      string // which of its systems; may be empty
}

// Effect is the answer. The zero value is Deny.
type Effect uint8

// The effects.
const (
	Deny Effect = iota
	Permit
)

// String is the effect as policies write it.
func (e Effect) String() string {
	if e == Permit {
		return "permit"
	}
	return "deny"
}

func parseEffect(s string) (Effect, error) {
	switch s {
	case "permit":
		return Permit, nil
	case "deny":
		return Deny, nil
	}
	return Deny, fmt.Errorf("unknown effect %q: use permit or deny", s)
}

// Decision is the answer to a Request. The zero value denies.
type Decision struct {
	Effect Effect
	Code   problem.Code // why it was denied; empty with Permit
	Detail string       // in English: where and by what; holds no record content
	// Obligations say what is done with each field; nil with Deny. A field that
	// they do not name is dropped.
	Obligations redact.Obligations
	// Rows says which records leave at all; nil: all of them, or with Deny none.
	Rows *redact.Predicate
	// scope is Rows before the request's attributes were put into it: what
	// policies say, which is the same on another day.
	scope *redact.Predicate
	// Agreement is the one under which the answer is given; nil with Deny, for
	// an unconditional product, and in an emergency.
	Agreement *Agreement
	// Emergency is the emergency access that took the agreement's place, nil if
	// none did. Whoever serves such a request raises the alarm.
	Emergency *Emergency
	Steps     []Step
}

// Under is what the answer is given under: the id of an agreement or an
// emergency, and what it allows; ok is false for what needs neither.
func (d *Decision) Under() (id string, allowed Quota, ok bool) {
	switch {
	case d.Emergency != nil:
		return d.Emergency.ID, d.Emergency.Quota, true
	case d.Agreement != nil:
		return d.Agreement.ID, d.Agreement.Quota, true
	}
	return "", Quota{}, false
}

// Step is one line of a decision's derivation.
type Step struct {
	Layer   string `json:"layer"`          // request, share_class, provider, agreement, rows, fields
	Rule    string `json:"rule,omitempty"` // rule, agreement, share class or effect
	Outcome string `json:"outcome"`        // what came of it, or the code of the denial
}

// The layers.
const (
	layerRequest    = "request"
	layerShareClass = "share_class"
	layerProvider   = "provider"
	layerAgreement  = "agreement"
	layerRows       = "rows"
	layerFields     = "fields"
)

// The outcomes of a provider's rule that matched.
const (
	OutcomePermits = "permits"
	OutcomeDenies  = "denies"
)

// The other outcomes that are not codes.
const (
	outcomePasses       = "passes"
	outcomeNoMatch      = "no_match"
	outcomeUnevaluable  = "unevaluable"
	outcomeApplies      = "applies"
	outcomeOtherPurpose = "other_purpose"
	outcomeNotStarted   = "not_started"
	outcomeEnded        = "ended"
	outcomeReleased     = "released"
	outcomeRestricts    = "restricts" // the records
	outcomeEmergency    = "emergency" // stands in for an agreement
)
