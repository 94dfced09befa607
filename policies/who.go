package policies

import (
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// horizon is how far Who looks ahead where rules look at the date.
const horizon = 366 // days

// Question asks who may read what: everything that is left empty is any.
type Question struct {
	Product     string
	Region      string // of the provider
	Field       string // a leaf or a block
	Participant string
	System      string // of the caller; rules may look at it
	At          time.Time
}

// Access is one answer: what a participant may have of one field, for a
// purpose.
type Access struct {
	Participant string
	Product     string
	Region      string // of the provider
	Field       string
	Purpose     string
	Obligation  redact.Obligation
	Deliveries  []Delivery // that give this answer
	Under       string     // agreement or emergency; "" if it needs neither
	Emergency   bool
	Rows        *redact.Predicate // which records; nil: all
	// Until is the first instant at which the answer is another, at the same
	// time of day if rules look at that; zero if none is known. Where rules
	// look at the date, what lies more than a year ahead is not known.
	Until time.Time
	// Depends names the variables beyond the question that rules of the
	// provider look at: for another system, or at another hour, the answer may
	// be another. With now.date it is Rows that look at the day: what they say
	// stays, and what they select changes at midnight, which is not Until.
	Depends []string
}

// Who answers a question by asking Decide for every participant, purpose of
// the product and delivery, with all fields, and with every emergency access
// that is in force. The answers are in the order of products, regions, fields,
// participants and purposes.
func (s *Set) Who(q Question) []Access {
	var out []Access
	for _, p := range s.cat.Products() {
		if q.Product != "" && q.Product != p.ID {
			continue
		}
		for region := range p.Providers {
			if q.Region != "" && q.Region != region {
				continue
			}
			for _, participant := range s.cat.Participants() {
				if q.Participant == "" || q.Participant == participant.ID {
					out = append(out, s.whoOf(&q, s.products[p.ID], region, participant)...)
				}
			}
		}
	}
	slices.SortStableFunc(out, compareAccess)
	return out
}

func compareAccess(a, b Access) int {
	return slices.Compare(
		[]string{a.Product, a.Region, a.Field, a.Participant, a.Purpose, a.Under},
		[]string{b.Product, b.Region, b.Field, b.Participant, b.Purpose, b.Under})
}

func (s *Set) whoOf(q *Question, p *product, region string, who *catalogue.Participant) (out []Access) {
	view := prospect{set: s, product: p, region: region, who: who}
	view.look()
	for _, purpose := range p.Purposes {
		request := Request{
			Caller:  Caller{Participant: who.ID, Region: who.Region, Kind: who.Kind, System: q.System},
			Product: p.ID, Region: region, Purpose: purpose.ID, Time: q.At,
		}
		for _, id := range view.invocable(q.At, purpose.ID) {
			request.Emergency = id
			out = append(out, view.accesses(request, q.Field)...)
		}
	}
	return out
}

// prospect is what may change an answer as time goes by.
type prospect struct {
	set     *Set
	product *product
	region  string
	who     *catalogue.Participant

	depends []string    // what rules look at beyond a question
	byDate  bool        // rules look at the date
	byTime  bool        // rules look at the time of day
	edges   []time.Time // when terms, admissions and emergencies begin and end
}

func (v *prospect) look() {
	v.lookAtRules()
	for _, a := range v.set.byPair[v.pair()] {
		v.edges = append(v.edges, a.Term.NotBefore, a.Term.end())
	}
	for _, e := range v.set.byEmergency {
		if e.pair() == v.pair() {
			v.edges = append(v.edges, e.From, e.Until)
		}
	}
	if v.who.ValidFrom != nil {
		v.edges = append(v.edges, *v.who.ValidFrom)
	}
	if v.who.ValidTo != nil {
		v.edges = append(v.edges, v.who.ValidTo.AddDate(0, 0, 1))
	}
}

// lookAtRules notes what rules look at beyond a question.
func (v *prospect) lookAtRules() {
	for _, r := range v.product.rules[v.region] {
		for _, name := range r.condition.uses {
			switch name {
			case "now.time", "now.hour", "now.minute":
				v.byTime = true
			case "now.date", "now.year", "now.month", "now.day", "now.weekday":
				v.byDate = true
				continue
			case "caller.system", "request.fields":
			default:
				continue
			}
			if !slices.Contains(v.depends, name) {
				v.depends = append(v.depends, name)
			}
		}
	}
	slices.Sort(v.depends)
}

func (v *prospect) pair() pair { return pair{v.who.ID, v.product.ID, v.region} }

// invocable are "" and the emergencies that the participant may invoke now.
func (v *prospect) invocable(at time.Time, purpose string) []string {
	ids := []string{""}
	for _, e := range v.set.Emergencies() {
		if e.pair() == v.pair() && e.names(purpose) && e.InForce(at) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// accesses are the answers to one request, for each delivery and field.
func (v *prospect) accesses(request Request, field string) (out []Access) {
	for d := Page; d <= Verify; d++ {
		request.Delivery = d
		decision := v.set.Decide(request)
		depends := v.depends
		if decision.scope != nil && binds(decision.scope, "now.date") {
			depends = slices.Sorted(slices.Values(append([]string{"now.date"}, depends...)))
		}
		var some []Access
		for _, leaf := range v.product.leaves {
			o := decision.Obligations.Of(leaf)
			if o.Action == redact.Drop || field != "" && !redact.Covers(field, leaf) {
				continue
			}
			under, _, _ := decision.Under()
			some = append(some, Access{
				Participant: v.who.ID, Product: v.product.ID, Region: v.region, Field: leaf, Purpose: request.Purpose, Obligation: o,
				Deliveries: []Delivery{d}, Under: under, Emergency: decision.Emergency != nil, Rows: decision.Rows, Depends: depends,
			})
		}
		v.until(request, decision.scope, some)
		for i := range some {
			out = joinDeliveries(out, &some[i])
		}
	}
	return out
}

// joinDeliveries adds an answer, or its delivery to one that is the same.
func joinDeliveries(out []Access, a *Access) []Access {
	for i := range out {
		b := &out[i]
		if b.Field == a.Field && b.Obligation == a.Obligation && b.Under == a.Under && b.Until.Equal(a.Until) && sameRows(b.Rows, a.Rows) &&
			slices.Equal(b.Depends, a.Depends) {
			b.Deliveries = append(b.Deliveries, a.Deliveries...)
			return out
		}
	}
	return append(out, *a)
}

func sameRows(a, b *redact.Predicate) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.String() == b.String()
}

// until finds out when each of the answers, of which scope says the records, ends.
func (v *prospect) until(request Request, scope *redact.Predicate, open []Access) {
	ends := make([]*Access, len(open))
	for i := range open {
		ends[i] = &open[i]
	}
	for _, at := range v.instants(request.Time) {
		if len(ends) == 0 {
			return
		}
		request.Time = at
		later := v.set.Decide(request)
		ends = slices.DeleteFunc(ends, func(a *Access) bool {
			if later.Obligations.Of(a.Field) == a.Obligation && sameRows(later.scope, scope) {
				return false
			}
			a.Until = at
			return true
		})
	}
}

// instants are when an answer of now may become another, in order.
func (v *prospect) instants(now time.Time) []time.Time {
	out := slices.Clone(v.edges)
	if v.byDate {
		for day := range horizon {
			out = append(out, midnight(now).AddDate(0, 0, day+1))
		}
	}
	if v.byTime {
		for i := range out {
			out[i] = sameTimeOfDay(now, out[i])
		}
	}
	out = slices.DeleteFunc(out, func(t time.Time) bool { return !t.After(now) })
	slices.SortFunc(out, time.Time.Compare)
	return slices.CompactFunc(out, time.Time.Equal)
}

func midnight(t time.Time) time.Time {
	year, month, day := t.In(yamlfile.China()).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, yamlfile.China())
}

// sameTimeOfDay is the first instant from t on with now's time of day.
func sameTimeOfDay(now, t time.Time) time.Time {
	out := midnight(t).Add(now.Sub(midnight(now)))
	if out.Before(t) {
		out = out.AddDate(0, 0, 1)
	}
	return out
}

// RowsText is a predicate as people read it, "" for all records.
func (a *Access) RowsText() string {
	if a.Rows == nil {
		return ""
	}
	return strings.Trim(a.Rows.String(), "()")
}
