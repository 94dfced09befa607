package policies

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Fits says whether the records of a schema can be asked a predicate: whether
// its fields exist, hold one value and compare with its literals.
type Fits func(schema string, p *redact.Predicate) error

// rowPrefix begins the name of a field in a row condition: row.status.
const rowPrefix = "row."

// bound marks a literal that is an attribute of the request; no literal of a
// file holds this byte.
const bound = "\x00"

// rowAttributes are what a row condition may compare a field with, beside
// literals.
func rowAttributes() []string {
	return []string{"caller.participant", "caller.region", "caller.kind", "product.region", "product.provider", "now.date"}
}

// rowScope is a row condition, translated: which records a layer lets out at
// all. It is not evaluated here; schemas.View does so on each record's bytes.
type rowScope struct {
	source    string
	predicate redact.Predicate
	bound     bool // names attributes of the request
}

// of is the predicate with the attributes of a request in it.
func (r *rowScope) of(w *world) redact.Predicate {
	if !r.bound {
		return r.predicate
	}
	return bind(r.predicate, w)
}

func bind(p redact.Predicate, w *world) redact.Predicate {
	p.Values, p.Terms = slices.Clone(p.Values), slices.Clone(p.Terms)
	for i, v := range p.Values {
		if name, ok := strings.CutPrefix(v, bound); ok {
			p.Values[i], _ = w.names[name].of(w).(string)
		}
	}
	for i := range p.Terms {
		p.Terms[i] = bind(p.Terms[i], w)
	}
	return p
}

// binds says whether a predicate that is not bound yet names an attribute.
func binds(p *redact.Predicate, name string) bool {
	return slices.Contains(p.Values, bound+name) || slices.ContainsFunc(p.Terms, func(t redact.Predicate) bool { return binds(&t, name) })
}

// rows translates a row condition of a product; nil for none.
func (l *loader) rows(p *product, source string) (*rowScope, error) {
	if source == "" {
		return nil, nil //nolint:nilnil // no condition: every record
	}
	t := translator{product: p}
	parsed, issues := l.env.Parse(source)
	if err := issues.Err(); err != nil {
		return nil, errors.New(issueText(issues))
	}
	out := &rowScope{source: source, predicate: t.condition(parsed.NativeRep().Expr()), bound: t.bound}
	if t.fault != nil {
		return nil, t.fault
	}
	if err := out.predicate.Check(); err != nil {
		return nil, err
	}
	if l.fits == nil {
		return nil, errors.New("there is nothing to check a row condition with, so it is refused")
	}
	sample := out.of(l.sample(p))
	return out, l.fits(p.Schema, &sample)
}

// sample is a world whose attributes have the form of real ones.
func (l *loader) sample(p *product) *world {
	return &world{names: l.set.names, product: p, now: time.Unix(0, 0).UTC(), req: &Request{
		Caller: Caller{Participant: "participant", Region: "500000", Kind: "kind"}, Region: "500000",
	}}
}

// translator makes a predicate of a parsed condition. What it does not know is
// refused, never left out: a condition that is met in part is not met.
type translator struct {
	product *product
	bound   bool
	fault   error
}

// refuse notes the first fault. What it returns holds for no record.
func (t *translator) refuse(format string, args ...any) redact.Predicate {
	if t.fault == nil {
		t.fault = fmt.Errorf("row condition: "+format, args...)
	}
	return redact.Predicate{}
}

const rowForms = "use row.FIELD == != < <= > >= in startsWith, with a literal or an attribute, joined by && || !"

func (t *translator) condition(e ast.Expr) redact.Predicate {
	switch e.Kind() {
	case ast.SelectKind: // a boolean field by itself
		if field := t.field(e); field != "" {
			return redact.Compare(field, redact.OpEqual, "true")
		}
		return redact.Predicate{}
	case ast.CallKind:
		return t.call(e.AsCall())
	case ast.UnspecifiedExprKind, ast.ComprehensionKind, ast.IdentKind, ast.ListKind, ast.LiteralKind, ast.MapKind, ast.StructKind:
	}
	return t.refuse("this cannot be translated; %s", rowForms)
}

// comparisons are CEL's operators with what they are when their sides change
// places.
func comparisons() map[string][2]redact.Op {
	return map[string][2]redact.Op{
		operators.Equals:        {redact.OpEqual, redact.OpEqual},
		operators.NotEquals:     {redact.OpNotEqual, redact.OpNotEqual},
		operators.Less:          {redact.OpLess, redact.OpGreater},
		operators.LessEquals:    {redact.OpLessOrEqual, redact.OpGreaterOrEqual},
		operators.Greater:       {redact.OpGreater, redact.OpLess},
		operators.GreaterEquals: {redact.OpGreaterOrEqual, redact.OpLessOrEqual},
	}
}

func (t *translator) call(c ast.CallExpr) redact.Predicate {
	args := c.Args()
	switch name := c.FunctionName(); name {
	case operators.LogicalAnd, operators.LogicalOr:
		return joined(name, t.condition(args[0]), t.condition(args[1]))
	case operators.LogicalNot:
		return redact.Not(t.condition(args[0]))
	case operators.In, operators.OldIn:
		return t.oneOf(args[0], args[1])
	case "startsWith":
		if c.IsMemberFunction() && len(args) == 1 {
			return t.compare(redact.OpPrefix, c.Target(), args[0])
		}
	default:
		ops, ok := comparisons()[name]
		switch {
		case !ok:
		case strings.HasPrefix(path(args[0]), rowPrefix):
			return t.compare(ops[0], args[0], args[1])
		default:
			return t.compare(ops[1], args[1], args[0])
		}
	}
	return t.refuse("%q cannot be translated; %s", c.FunctionName(), rowForms)
}

// joined flattens a && (b && c), so that a long list is not a deep one.
func joined(name string, a, b redact.Predicate) redact.Predicate {
	op := redact.OpAnd
	if name == operators.LogicalOr {
		op = redact.OpOr
	}
	out := redact.Predicate{Op: op}
	for _, p := range []redact.Predicate{a, b} {
		if p.Op == op {
			out.Terms = append(out.Terms, p.Terms...)
			continue
		}
		out.Terms = append(out.Terms, p)
	}
	return out
}

func (t *translator) compare(op redact.Op, left, right ast.Expr) redact.Predicate {
	field := t.field(left)
	if isNull(right) {
		switch op {
		case redact.OpEqual:
			return redact.IsNull(field)
		case redact.OpNotEqual:
			return redact.Not(redact.IsNull(field))
		default:
			return t.refuse("null is compared with == and != only")
		}
	}
	literal, ok := t.literal(right)
	if field == "" || !ok {
		return redact.Predicate{}
	}
	return redact.Compare(field, op, literal)
}

func (t *translator) oneOf(left, right ast.Expr) redact.Predicate {
	field := t.field(left)
	if right.Kind() != ast.ListKind || right.AsList().Size() == 0 {
		return t.refuse("in takes a list of literals")
	}
	var literals []string
	for _, e := range right.AsList().Elements() {
		literal, ok := t.literal(e)
		if !ok {
			return redact.Predicate{}
		}
		literals = append(literals, literal)
	}
	if field == "" {
		return redact.Predicate{}
	}
	return redact.In(field, literals...)
}

// field is the leaf that an expression names, or "" with a fault.
func (t *translator) field(e ast.Expr) string {
	name, ok := strings.CutPrefix(path(e), rowPrefix)
	leaf := t.product.leaf(name)
	switch {
	case !ok:
		t.refuse("one side of a comparison is a field; %s", rowForms)
		return ""
	case leaf < 0:
		t.refuse("%s has no field %q", t.product.ID, name)
		return ""
	case t.product.class[leaf] == redact.Secret:
		t.refuse("%q is secret: which records are released would tell its values", name)
		return ""
	}
	return name
}

func (t *translator) literal(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.LiteralKind:
		switch v := e.AsLiteral().(type) {
		case types.String:
			if !strings.Contains(string(v), bound) {
				return string(v), true
			}
		case types.Int:
			return strconv.FormatInt(int64(v), 10), true
		case types.Double:
			return strconv.FormatFloat(float64(v), 'f', -1, 64), true
		case types.Bool:
			return strconv.FormatBool(bool(v)), true
		}
	case ast.SelectKind:
		if name := path(e); slices.Contains(rowAttributes(), name) {
			t.bound = true
			return bound + name, true
		}
	case ast.UnspecifiedExprKind, ast.CallKind, ast.ComprehensionKind, ast.IdentKind, ast.ListKind, ast.MapKind, ast.StructKind:
	}
	t.refuse("a field is compared with text, a number, true, false, null or one of %s", strings.Join(rowAttributes(), ", "))
	return "", false
}

// path is a.b.c of a chain of selections, or "".
func path(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent()
	case ast.SelectKind:
		s := e.AsSelect()
		if outer := path(s.Operand()); outer != "" && !s.IsTestOnly() {
			return outer + "." + s.FieldName()
		}
	case ast.UnspecifiedExprKind, ast.CallKind, ast.ComprehensionKind, ast.ListKind, ast.LiteralKind, ast.MapKind, ast.StructKind:
	}
	return ""
}

func isNull(e ast.Expr) bool {
	if e.Kind() != ast.LiteralKind {
		return false
	}
	_, null := e.AsLiteral().(types.Null)
	return null
}

// rows joins the row conditions of all layers that permit: a record leaves if
// each of them lets it.
func (c *consideration) rows() bool {
	var all rowScope
	add := func(id string, r *rowScope) {
		if r == nil {
			return
		}
		c.step(layerRows, id, outcomeRestricts)
		all.bound = all.bound || r.bound
		if all.predicate.Op == redact.OpNever {
			all.predicate = r.predicate
			return
		}
		all.predicate = joined(operators.LogicalAnd, all.predicate, r.predicate)
	}
	for _, r := range c.permits {
		add(r.ID, r.rows)
	}
	if c.grant != nil {
		add(c.grant.id, c.grant.rows)
	}
	if all.predicate.Op == redact.OpNever {
		return true
	}
	rows := all.of(c.seen)
	if err := rows.Check(); err != nil {
		return c.deny(layerRows, problem.PolicyUnevaluable, "the row conditions of all layers together: %v", err)
	}
	c.out.Rows, c.out.scope = &rows, &all.predicate
	return true
}
