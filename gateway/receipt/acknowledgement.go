package receipt

import (
	"crypto/x509"
	"encoding/json"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// AcknowledgementType is the media type in an acknowledgement's header.
const AcknowledgementType = "hub-acknowledgement+jws"

// Measure is what a consumer says that it did about a record. It is a code and
// never a text: an acknowledgement stands in the ledger for good, where no
// content and no person may stand (invariant 5).
type Measure string

// Measures are the codes, in the order of their weight.
func Measures() []Measure {
	return []Measure{
		"noted",                   // 已知悉
		"monitoring_strengthened", // 加强监测
		"market_inspected",        // 市场巡查
		"supply_organised",        // 组织货源
		"reserves_released",       // 投放储备
		"price_intervention",      // 价格干预
		"public_informed",         // 发布信息引导
	}
}

// Acknowledgement says that a consumer took note of one record that was
// released to it: who, when, and which measures it took. The gateway of the
// provider issues it; it never changes (invariant 7).
type Acknowledgement struct {
	ID        string    `json:"id"`        // UUIDv7
	Region    string    `json:"region"`    // of the gateway, which is the provider's
	IssuedAt  time.Time `json:"issued_at"` // when the gateway took it
	Product   string    `json:"product"`
	Provider  string    `json:"provider"` // participant ids of the two parties
	Consumer  string    `json:"consumer"`
	System    string    `json:"system"`              // of the consumer, as its certificate names it
	Agreement string    `json:"agreement,omitempty"` // or the emergency access
	Purpose   string    `json:"purpose"`
	Policy    string    `json:"policy"`
	Release   string    `json:"release"`  // id of the receipt of the release
	EventID   string    `json:"event_id"` // of the record
	TakenAt   time.Time `json:"taken_at"` // when the consumer acted, as it says
	Measures  []Measure `json:"measures"`
	Due       time.Time `json:"due,omitzero"` // until when it was asked for
	Late      bool      `json:"late"`         // IssuedAt lies behind Due
}

// CheckMeasures says whether there are measures, and each is a known one.
func CheckMeasures(of []Measure) error {
	known := Measures()
	if len(of) == 0 || len(of) > len(known) || slices.ContainsFunc(of, func(m Measure) bool { return !slices.Contains(known, m) }) {
		return problem.New(problem.RequestInvalid, "measures: at least one of %v", known)
	}
	return nil
}

// VerifyAcknowledgement reads an acknowledgement and checks it as [Verify]
// checks a receipt.
func VerifyAcknowledgement(compact string, roots func(region string) *x509.CertPool) (*Acknowledgement, error) {
	m, err := jws.Parse(compact, AcknowledgementType)
	if err != nil {
		return nil, problem.Wrap(problem.ReceiptInvalid, err, "%v", err)
	}
	var a Acknowledgement
	if err := json.Unmarshal(m.Unverified, &a); err != nil {
		return nil, problem.Wrap(problem.ReceiptInvalid, err, "its payload cannot be read")
	}
	leaf, err := m.Verify(roots(a.Region), a.IssuedAt)
	if err != nil {
		return nil, problem.Wrap(problem.ReceiptInvalid, err, "%v", err)
	}
	name, err := spiffe.Of(leaf)
	if err != nil || name != (spiffe.Name{Region: a.Region, Role: spiffe.Signing}) {
		return nil, problem.New(problem.ReceiptInvalid, "its signer is not the gateway of %s", a.Region)
	}
	return &a, nil
}
