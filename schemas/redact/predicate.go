package redact

import (
	"fmt"
	"strconv"
	"strings"
)

// Predicate says which records leave at all, by the values of their scalar
// fields; schemas.View evaluates it on the Avro bytes before anything is
// written. The zero Predicate holds for no record (invariant 3).
//
// It is made by [Compare], [In], [Between], [IsNull], [And], [Or] and [Not].
// Literals are written as a View renders the field, without quotes: 12.50,
// 2026-01-31, 2026-01-31T08:00:00.000Z, true, an enum's symbol, text as it is.
//
// A comparison with a field that is null is neither true nor false, and what
// is made of it follows Kleene's logic, as in SQL; a record leaves only if the
// whole is true. A rule that excludes records therefore also excludes those of
// which it cannot be told.
type Predicate struct {
	Op     Op
	Field  string      // of a test
	Values []string    // the literals of a test
	Terms  []Predicate // of And, Or and Not
}

// Op is what a Predicate asks.
type Op uint8

// The operators. Texts are compared by their bytes, enums only for equality.
const (
	OpNever Op = iota // holds for nothing
	OpEqual
	OpNotEqual
	OpLess
	OpLessOrEqual
	OpGreater
	OpGreaterOrEqual
	OpPrefix // text that begins so
	OpIn     // one of a set
	OpBetween
	OpNull // true or false, never unknown
	OpAnd
	OpOr
	OpNot
)

var opNames = [...]string{
	OpNever: "never", OpEqual: "==", OpNotEqual: "!=", OpLess: "<", OpLessOrEqual: "<=", OpGreater: ">",
	OpGreaterOrEqual: ">=", OpPrefix: "prefix", OpIn: "in", OpBetween: "between", OpNull: "null",
	OpAnd: "and", OpOr: "or", OpNot: "not",
}

// String is the operator's name.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return opNames[OpNever]
}

// Limits of a predicate; they bound what evaluating it costs.
const (
	MaxTests    = 64   // in a predicate
	MaxLiterals = 1024 // of one test
	maxNesting  = 16
)

// Compare tests a field against a literal; op is one of OpEqual to OpPrefix.
func Compare(field string, op Op, literal string) Predicate {
	return Predicate{Op: op, Field: field, Values: []string{literal}}
}

// In tests whether a field has one of the values.
func In(field string, literals ...string) Predicate {
	return Predicate{Op: OpIn, Field: field, Values: literals}
}

// Between tests whether a field lies from low to high, both included.
func Between(field, low, high string) Predicate {
	return Predicate{Op: OpBetween, Field: field, Values: []string{low, high}}
}

// IsNull tests whether a field has no value.
func IsNull(field string) Predicate { return Predicate{Op: OpNull, Field: field} }

// And holds if all terms do.
func And(terms ...Predicate) Predicate { return Predicate{Op: OpAnd, Terms: terms} }

// Or holds if any term does.
func Or(terms ...Predicate) Predicate { return Predicate{Op: OpOr, Terms: terms} }

// Not holds if its term is false.
func Not(term Predicate) Predicate { return Predicate{Op: OpNot, Terms: []Predicate{term}} }

// Test says whether the operator compares a field, rather than joins terms.
func (o Op) Test() bool { return o >= OpEqual && o <= OpNull }

// Check says what is wrong with the predicate's form: operators without their
// operands, too many of them, or nested too deep.
func (p Predicate) Check() error {
	tests := 0
	return p.check(0, &tests)
}

func (p Predicate) check(depth int, tests *int) error {
	if depth > maxNesting {
		return fmt.Errorf("a predicate is nested deeper than %d", maxNesting)
	}
	if p.Op.Test() {
		if *tests++; *tests > MaxTests {
			return fmt.Errorf("a predicate has more than %d tests", MaxTests)
		}
		return p.checkTest()
	}
	if err := p.checkJoin(); err != nil {
		return err
	}
	for i := range p.Terms {
		if err := p.Terms[i].check(depth+1, tests); err != nil {
			return err
		}
	}
	return nil
}

func (p Predicate) checkJoin() error {
	least, most := 1, MaxTests
	switch p.Op {
	case OpNever:
		least, most = 0, 0
	case OpNot:
		most = 1
	}
	switch {
	case p.Op > OpNot:
		return fmt.Errorf("unknown operator %d in a predicate", p.Op)
	case len(p.Terms) < least || len(p.Terms) > most:
		return fmt.Errorf("%q has %d terms in a predicate, give %d to %d", p.Op, len(p.Terms), least, most)
	case p.Field != "" || len(p.Values) > 0:
		return fmt.Errorf("%q joins terms and has no field or literal", p.Op)
	}
	return nil
}

func (p Predicate) checkTest() error {
	want, most := 1, 1
	switch p.Op {
	case OpNull:
		want, most = 0, 0
	case OpBetween:
		want, most = 2, 2
	case OpIn:
		most = MaxLiterals
	}
	switch {
	case p.Field == "":
		return fmt.Errorf("%q has no field", p.Op)
	case len(p.Terms) > 0:
		return fmt.Errorf("field %s: %q takes no terms", p.Field, p.Op)
	case len(p.Values) < want || len(p.Values) > most:
		return fmt.Errorf("field %s: %q has %d literals, give %d to %d", p.Field, p.Op, len(p.Values), want, most)
	}
	return nil
}

// String is one line that is equal for equal predicates and differs for
// different ones: a part of the key under which a compiled View is cached.
func (p Predicate) String() string {
	var b strings.Builder
	p.write(&b)
	return b.String()
}

func (p Predicate) write(b *strings.Builder) {
	b.WriteByte('(')
	b.WriteString(p.Op.String())
	if p.Field != "" {
		b.WriteByte(' ')
		b.WriteString(strconv.Quote(p.Field))
	}
	for _, v := range p.Values {
		b.WriteByte(' ')
		b.WriteString(strconv.Quote(v))
	}
	for i := range p.Terms {
		b.WriteByte(' ')
		p.Terms[i].write(b)
	}
	b.WriteByte(')')
}
