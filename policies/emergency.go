package policies

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
)

// Limits of emergencies.
const (
	// maxEmergency is how long one may last. Who needs it longer has had the
	// time to sign an agreement, or grants it again.
	maxEmergency = 72 * time.Hour
	grantors     = 2 // four eyes
)

var operatorID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,62}$`)

// Emergency is emergency access (应急调用): it stands in for the agreement that a
// consumer does not have, for hours, for a named reason. It replaces the
// agreement layer and nothing else: what is 不予共享, what a rule of the provider
// denies, and what no rule of the provider permits, stays so. A request names
// it, so that nobody uses one by accident; every use is alarmed, and one that
// ended is due for review until a review is entered.
type Emergency struct {
	ID     string `yaml:"id"`
	Reason string `yaml:"reason"` // one of EmergencyReasons
	Clauses
	From      time.Time `yaml:"from"`
	Until     time.Time `yaml:"until"`     // the first instant at which it is over
	GrantedBy []string  `yaml:"grantedBy"` // ids of the two operators who did
	Review    *Review   `yaml:"review,optional"`

	Source string // "emergencies/x.yaml"
	grant  grant
}

// Review is what was found when the use of an emergency access was looked at.
type Review struct {
	By      string    `yaml:"by"` // an operator who did not grant it
	At      time.Time `yaml:"at"`
	Finding string    `yaml:"finding"`
}

// EmergencyReasons are the kinds of events of 《突发事件应对法》第二条, with their
// Chinese names.
func EmergencyReasons() map[string]string {
	return map[string]string{
		"natural_disaster": "自然灾害", "accident": "事故灾难",
		"public_health": "公共卫生事件", "public_security": "社会安全事件",
	}
}

// InForce says whether it may be used at an instant.
func (e *Emergency) InForce(at time.Time) bool { return !at.Before(e.From) && at.Before(e.Until) }

// ReviewDue says whether it is over at an instant and nobody has looked at it.
func (e *Emergency) ReviewDue(at time.Time) bool { return e.Review == nil && !at.Before(e.Until) }

// addEmergency checks an emergency access and adds it to the set.
func (l *loader) addEmergency(doc *yamlfile.Document, e *Emergency) {
	e.Source = doc.File
	if l.taken(doc, e.ID) {
		return
	}
	l.set.byEmergency[e.ID] = e
	p, fault := l.checkClauses(doc, e.ID, &e.Clauses)
	if p == nil {
		return
	}
	if _, known := EmergencyReasons()[e.Reason]; !known {
		fault(fmt.Sprintf("unknown reason %q: use %s", e.Reason,
			strings.Join(slices.Sorted(maps.Keys(EmergencyReasons())), ", ")), "reason")
	}
	if d := e.Until.Sub(e.From); d <= 0 || d > maxEmergency {
		fault(fmt.Sprintf("it lasts %v, and may last at most %v: make an agreement for what takes longer", d, maxEmergency), "until")
	}
	e.checkOperators(fault)
	if len(e.Delivery) == 0 {
		e.Delivery = []Delivery{Page}
	}
	e.grant = l.grant(p, e.ID, &e.Clauses, fault)
	l.set.emergencyPairs[e.pair()] = true
}

func (e *Emergency) checkOperators(fault func(string, ...any)) {
	if len(e.GrantedBy) != grantors || e.GrantedBy[0] == e.GrantedBy[1] {
		fault("two different operators grant emergency access", "grantedBy")
	}
	for i, id := range e.GrantedBy {
		if !operatorID.MatchString(id) {
			fault(fmt.Sprintf("%q is not the id of an operator", id), "grantedBy", i)
		}
	}
	switch r := e.Review; {
	case r == nil:
	case !operatorID.MatchString(r.By) || slices.Contains(e.GrantedBy, r.By):
		fault("who granted it does not review it", "review", "by")
	case r.At.Before(e.Until):
		fault("it is reviewed after it is over", "review", "at")
	}
}

func parseInstant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not an instant: write it as 2026-01-31T09:00:00+08:00", s)
	}
	return t, nil
}
