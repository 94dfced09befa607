package control

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// State is what all orders up to a place in the log come to. It is immutable.
// The zero value and nil are that of an empty log.
type State struct {
	next         int64 // offset behind the last record folded
	participants map[string]Standing
	agreements   map[string]Standing
	certificates map[string]Standing  // revoked, by thumbprint
	bundles      map[string]Bundle    // by the province they are of
	proposals    map[string]Proposal  // not yet approved, by the id of their order
	admitted     *Admitted            // replaced, never changed
	drafts       map[string]Admission // agreements not yet approved, by the id of their order
	policy       Adoption
	keys         map[string]Key       // announced, by key id
	tokens       map[string]time.Time // revoked, and when each ends by itself
	orders       map[string]struct{}
}

// Effect is how a participant or an agreement stands. The zero value is in
// good standing.
type Effect uint8

// The effects. Ended is for good.
const (
	Good Effect = iota
	Suspended
	Ended
)

var effectNames = [...]string{Good: "good", Suspended: "suspended", Ended: "ended"}

func (e Effect) String() string {
	if int(e) < len(effectNames) {
		return effectNames[e]
	}
	return "ended"
}

// MarshalText is String, for JSON.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what String writes.
func (e *Effect) UnmarshalText(text []byte) error {
	i := slices.Index(effectNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("effect %q: use good, suspended or ended", text)
	}
	*e = Effect(i) //nolint:gosec // an index of effectNames
	return nil
}

// Standing is the last order about a subject.
type Standing struct {
	Subject string    `json:"subject"`
	Effect  Effect    `json:"effect"`
	Since   time.Time `json:"since"`
	By      string    `json:"by"` // who ordered it, as its certificate names it
	Reason  string    `json:"reason"`
	Order   string    `json:"order"` // id
}

// Bundle is the trust bundle of another province that is in force.
type Bundle struct {
	Region  string    `json:"region"`
	Version int64     `json:"version"`
	Since   time.Time `json:"since"`
	By      string    `json:"by"`
	Compact string    `json:"-"` // as it was signed
}

// Proposal is a set of policies that one officer proposed.
type Proposal struct {
	Order  string    `json:"order"`
	Policy string    `json:"policy"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// Adoption is the set of policies in force, with both who made it so.
type Adoption struct {
	Policy     string    `json:"policy"`
	Since      time.Time `json:"since"`
	ProposedBy string    `json:"proposed_by"`
	ApprovedBy string    `json:"approved_by"`
	Order      string    `json:"order"`
}

// Key is a signing key that a replica announced, by its certificate.
type Key struct {
	Certificate *x509.Certificate
	Since       time.Time
}

func (s *State) get() *State {
	if s == nil {
		return &State{}
	}
	return s
}

// Next is the offset behind the last record folded: equal ones mean equal
// states.
func (s *State) Next() int64 { return s.next }

// Participant is how a participant stands; good if nothing was ordered.
func (s *State) Participant(id string) Standing { return s.get().participants[id] }

// Agreement is how an agreement stands; good if nothing was ordered.
func (s *State) Agreement(id string) Standing { return s.get().agreements[id] }

// Revoked says whether the certificate of a thumbprint (x5t#S256) is revoked.
func (s *State) Revoked(thumbprint string) (Standing, bool) {
	c, ok := s.get().certificates[thumbprint]
	return c, ok
}

// TokenRevoked says whether the token of an id (jti) is revoked. One that ended
// by itself is forgotten.
func (s *State) TokenRevoked(id string) bool {
	_, revoked := s.get().tokens[id]
	return revoked
}

// Bundle is the trust bundle of another province that is in force.
func (s *State) Bundle(region string) (Bundle, bool) {
	b, ok := s.get().bundles[region]
	return b, ok
}

// Bundles are those in force, by region.
func (s *State) Bundles() []Bundle {
	return sorted(s.get().bundles, func(a, b Bundle) int { return strings.Compare(a.Region, b.Region) })
}

// Policy is the set of policies that was adopted last.
func (s *State) Policy() Adoption { return s.get().policy }

// Keys are the certificates of the signing keys that may have signed something
// that is valid at a time, by key id.
func (s *State) Keys(at time.Time) []*x509.Certificate {
	s = s.get()
	var out []*x509.Certificate
	for _, id := range slices.Sorted(maps.Keys(s.keys)) {
		if c := s.keys[id].Certificate; !at.After(c.NotAfter) {
			out = append(out, c)
		}
	}
	return out
}

// View is the state for people: what is not as it would be without orders.
type View struct {
	Region       string      `json:"region"` // whose hub it is; "" of a state alone
	Offset       int64       `json:"offset"`
	Policy       Adoption    `json:"policy"`
	Proposals    []Proposal  `json:"proposals"`
	Admitted     []Admission `json:"admitted_participants"`
	Agreed       []Admission `json:"admitted_agreements"`
	Drafts       []Admission `json:"proposed_agreements"`
	Participants []Standing  `json:"participants"`
	Agreements   []Standing  `json:"agreements"`
	Certificates []Standing  `json:"revoked_certificates"`
	Bundles      []Bundle    `json:"trust_bundles"`
	Keys         int         `json:"keys"`
	Tokens       int         `json:"revoked_tokens"`
}

// View lists everything, each list in a fixed order.
func (s *State) View() View {
	return View{
		Offset: s.next, Policy: s.policy, Keys: len(s.keys), Tokens: len(s.tokens),
		Proposals:    sorted(s.proposals, func(a, b Proposal) int { return strings.Compare(a.Order, b.Order) }),
		Participants: sorted(s.participants, bySubject), Agreements: sorted(s.agreements, bySubject),
		Certificates: sorted(s.certificates, bySubject),
		Bundles:      s.Bundles(),
		Admitted:     append([]Admission{}, s.Admitted().Participants...), Agreed: append([]Admission{}, s.Admitted().Agreements...), Drafts: s.Drafts(),
	}
}

func bySubject(a, b Standing) int { return strings.Compare(a.Subject, b.Subject) }

func sorted[T any](m map[string]T, compare func(a, b T) int) []T {
	out := slices.AppendSeq(make([]T, 0, len(m)), maps.Values(m)) // [] in JSON, not null
	slices.SortFunc(out, compare)
	return out
}

// clone is a copy that the fold may change.
func (s *State) clone() *State {
	c := *s
	c.participants, c.agreements, c.certificates = grown(s.participants), grown(s.agreements), grown(s.certificates)
	c.bundles, c.proposals, c.keys, c.orders = grown(s.bundles), grown(s.proposals), grown(s.keys), grown(s.orders)
	c.tokens, c.drafts = grown(s.tokens), grown(s.drafts)
	return &c
}

func grown[T any](m map[string]T) map[string]T {
	if m == nil {
		return map[string]T{}
	}
	return maps.Clone(m)
}
