package connectors

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/ident"
)

// crossChecks are the rules between fields, by schema.
func crossChecks() map[string]func(*ruleBuilder) {
	return map[string]func(*ruleBuilder){
		"price_quote.v1":        quoteRules,
		"price_bulletin.v1":     bulletinRules,
		"credit_listing.v1":     creditRules,
		"bid_notice.v1":         noticeRules,
		"bid_result.v1":         resultRules,
		"bid_market_entity.v1":  entityRules,
		"consumer_complaint.v1": complaintRules,
		"consumer_report.v1":    reportRules,
	}
}

// condition says whether a rule applies to a row.
type condition func(v []schemas.Value) bool

func always([]schemas.Value) bool { return true }

func both(a, b condition) condition {
	return func(v []schemas.Value) bool { return a(v) && b(v) }
}

func not(a condition) condition { return func(v []schemas.Value) bool { return !a(v) } }

// ruleBuilder collects the rules of one schema, and what is wrong with them: a
// rule on a field or a symbol that the schema does not have, which a new
// version of a schema can bring about.
type ruleBuilder struct {
	schema *schemas.Schema
	rules  []rule
	faults []error
}

func (b *ruleBuilder) fault(format string, args ...any) {
	b.faults = append(b.faults, problem.New(problem.ConfigInvalid, "rules of "+b.schema.Name+": "+format, args...))
}

func (b *ruleBuilder) add(r rule) { b.rules = append(b.rules, r) }

// at is the place of a field; of one that there is not, any: the builder's
// faults then keep its rules from being used.
func (b *ruleBuilder) at(path string) int {
	i, _, ok := b.schema.Leaf(path)
	if !ok {
		b.fault("there is no field %q", path)
		return 0
	}
	return i
}

// is holds for rows whose field has one of the symbols.
func (b *ruleBuilder) is(path string, symbols ...string) condition {
	at := b.at(path)
	var of []int64
	for _, s := range symbols {
		i := slices.Index(b.schema.Leaves[at].Symbols, s)
		if i < 0 {
			b.fault("%s has no code %q", path, s)
		}
		of = append(of, int64(i))
	}
	return func(v []schemas.Value) bool { return v[at].Set && slices.Contains(of, v[at].Int) }
}

// has holds for rows whose field has a value; a list has one if it is not empty.
func (b *ruleBuilder) has(path string) condition {
	at := b.at(path)
	return func(v []schemas.Value) bool {
		if b.schema.Leaves[at].Repeated {
			return len(v[at].Ints)+len(v[at].Texts) > 0
		}
		return v[at].Set
	}
}

// require asks for each of the fields where the condition holds.
func (b *ruleBuilder) require(when condition, why string, paths ...string) {
	for _, path := range paths {
		b.forbid(both(when, not(b.has(path))), path, problem.RequiredMissing, why)
	}
}

// requireOne asks for at least one of the fields where the condition holds.
func (b *ruleBuilder) requireOne(when condition, why string, paths ...string) {
	none := when
	for _, path := range paths {
		none = both(none, not(b.has(path)))
	}
	b.forbid(none, paths[0], problem.RequiredMissing, why+"; one of "+strings.Join(paths, ", "))
}

// forbid says what is wrong with a field where the condition holds.
func (b *ruleBuilder) forbid(when condition, path string, code problem.Code, why string) {
	b.at(path)
	b.add(func(v []schemas.Value, _ time.Time) *Fault {
		if when(v) {
			return &Fault{Field: path, Code: code, Detail: why}
		}
		return nil
	})
}

// inOrder asks of each pair of neighbours that the second is not before the
// first, where both have a value.
func (b *ruleBuilder) inOrder(paths ...string) {
	for i := range len(paths) - 1 {
		first, second, name, before := b.at(paths[i]), b.at(paths[i+1]), paths[i+1], paths[i]
		b.add(func(v []schemas.Value, _ time.Time) *Fault {
			if v[first].Set && v[second].Set && v[second].Int < v[first].Int {
				return &Fault{Field: name, Code: problem.DatesOutOfOrder, Detail: name + " lies before " + before}
			}
			return nil
		})
	}
}

// code checks an identifier whose kind another field names: a credit code, an
// organisation code, or one that nothing is known of.
func (b *ruleBuilder) code(kind, path string) {
	at := b.at(path)
	for symbol, valid := range map[string]func(string) error{"uscc": ident.USCC, "org_code": ident.OrgCode} {
		when := b.is(kind, symbol)
		b.add(func(v []schemas.Value, _ time.Time) *Fault {
			if !v[at].Set || !when(v) {
				return nil
			}
			return named(path, identifier(valid(string(v[at].Bytes))))
		})
	}
}

// residentID checks the number of an identity document that is a resident's.
func (b *ruleBuilder) residentID(kind, path string) {
	at, resident := b.at(path), b.is(kind, "resident_identity_card")
	b.add(func(v []schemas.Value, now time.Time) *Fault {
		if !v[at].Set || !resident(v) {
			return nil
		}
		return named(path, identifier(ident.ResidentID(string(v[at].Bytes), now)))
	})
}

// chained asks that a code, or each of a list of them, begins with another.
func (b *ruleBuilder) chained(whole, part string) {
	w, p := b.at(whole), b.at(part)
	b.add(func(v []schemas.Value, _ time.Time) *Fault {
		if !v[w].Set || !v[p].Set {
			return nil
		}
		parts := v[p].Texts
		if parts == nil {
			parts = [][]byte{v[p].Bytes}
		}
		for _, one := range parts {
			if err := ident.Chained(string(v[w].Bytes), string(one)); err != nil {
				return &Fault{Field: part, Code: problem.CodeChainBroken, Detail: "it does not begin with " + whole}
			}
		}
		return nil
	})
}

func named(path string, f *Fault) *Fault {
	if f != nil {
		f.Field = path
	}
	return f
}

// product asks that the row is one of the product's: a list of credit is a
// product of its own, and so are its natural persons.
func (b *ruleBuilder) product(rows map[string][]string) error {
	for _, path := range slices.Sorted(maps.Keys(rows)) {
		i, leaf, ok := b.schema.Leaf(path)
		if !ok || leaf.Kind != schemas.Enum || leaf.Repeated {
			return problem.New(problem.ConfigInvalid, "rows: %s has no code list %q", b.schema.Name, path)
		}
		for _, symbol := range rows[path] {
			if !slices.Contains(leaf.Symbols, symbol) {
				return problem.New(problem.ConfigInvalid, "rows: %q is none of the codes of %s: %s", symbol, path, strings.Join(leaf.Symbols, ", "))
			}
		}
		b.forbid(both(func(v []schemas.Value) bool { return v[i].Set }, not(b.is(path, rows[path]...))), path, problem.RowForeign,
			"this product takes "+strings.Join(rows[path], ", "))
	}
	return nil
}
