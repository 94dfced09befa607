package policies

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
)

// Limits of a condition. The estimate is CEL's own static one, in its units: a
// comparison costs about 1, a string comparison 0.1 for each character.
const (
	maxCondition = 1024 // characters
	maxDepth     = 32
	maxNodes     = 256
	maxCost      = 1000
	// maxValue bounds every string that a condition sees, in bytes. The
	// estimates rest on it, so Decide refuses a request that exceeds it.
	maxValue = 64
)

// variables of a condition; the package comment explains them.
func variables() map[string]*cel.Type {
	return map[string]*cel.Type{
		"caller.participant": cel.StringType, "caller.region": cel.StringType,
		"caller.kind": cel.StringType, "caller.system": cel.StringType,
		"product.id": cel.StringType, "product.region": cel.StringType, "product.provider": cel.StringType,
		"purpose": cel.StringType, "agreement.id": cel.StringType,
		"now.date": cel.StringType, "now.time": cel.StringType,
		"now.year": cel.IntType, "now.month": cel.IntType, "now.day": cel.IntType,
		"now.hour": cel.IntType, "now.minute": cel.IntType, "now.weekday": cel.IntType,
	}
}

// newEnvironment is a list of what is allowed, not of what is not: conversions
// would hide types, and the time functions read the machine's zone files.
func newEnvironment() (*cel.Env, error) {
	subset := env.NewLibrarySubset().AddIncludedMacros("all", "exists", "exists_one")
	for _, name := range []string{
		"_&&_", "_||_", "!_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_",
		"_+_", "_-_", "_*_", "_/_", "_%_", "-_", "@in", "_[_]", "@not_strictly_false",
		"size", "startsWith", "endsWith", "contains", "matches",
	} {
		subset.AddIncludedFunctions(env.NewFunction(name))
	}
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(subset)),
		cel.ParserExpressionSizeLimit(maxCondition), cel.ParserRecursionLimit(maxDepth), cel.ExpressionNodeLimit(maxNodes),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateHomogeneousAggregateLiterals()),
	}
	for name, typ := range variables() {
		options = append(options, cel.Variable(name, typ))
	}
	return cel.NewCustomEnv(options...)
}

// compile checks a condition and prepares it. The error says what is wrong with
// the text and where in it.
func compile(e *cel.Env, source string) (cel.Program, error) {
	ast, issues := e.Compile(source)
	if err := issues.Err(); err != nil {
		return nil, errors.New(issueText(issues))
	}
	if ast.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("the condition gives a %s, and must give a bool", ast.OutputType())
	}
	estimate, err := e.EstimateCost(ast, sizes{})
	if err != nil {
		return nil, fmt.Errorf("the condition's cost cannot be estimated: %w", err)
	}
	switch {
	case estimate.Max == math.MaxUint64:
		return nil, fmt.Errorf("the condition's cost has no bound (at least %d), and must be at most %d", estimate.Min, maxCost)
	case estimate.Max > maxCost:
		return nil, fmt.Errorf("the condition may cost %d, and must cost at most %d", estimate.Max, maxCost)
	}
	return e.Program(ast, cel.EvalOptions(cel.OptOptimize))
}

// issueText is CEL's complaints in one line.
func issueText(issues *cel.Issues) string {
	var out []string
	for _, e := range issues.Errors() {
		out = append(out, fmt.Sprintf("condition, column %d: %s", e.Location.Column()+1, e.Message))
	}
	return strings.Join(out, "; ")
}

// sizes tells CEL's estimate how long our strings can be.
type sizes struct{}

// EstimateSize bounds the variables; the rest is left to CEL.
func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if path := n.Path(); len(path) == 1 && variables()[path[0]] == cel.StringType {
		return &cost.SizeEstimate{Min: 0, Max: maxValue}
	}
	return nil
}

// EstimateCallCost leaves every call to CEL.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// world is what a condition sees. It is an activation of CEL.
type world struct {
	caller    Caller
	product   string
	region    string
	provider  string
	purpose   string
	agreement string
	now       time.Time // in China
}

func newWorld(req *Request, provider string, agreement *Agreement) *world {
	w := &world{
		caller: req.Caller, product: req.Product, region: req.Region, provider: provider,
		purpose: req.Purpose, now: req.Time.In(yamlfile.China()),
	}
	if agreement != nil {
		w.agreement = agreement.ID
	}
	return w
}

// Parent is part of CEL's activation; there is none.
func (*world) Parent() cel.Activation { return nil }

// ResolveName gives a variable's value.
func (w *world) ResolveName(name string) (any, bool) {
	if rest, isTime := strings.CutPrefix(name, "now."); isTime {
		return w.clock(rest)
	}
	switch name {
	case "caller.participant":
		return w.caller.Participant, true
	case "caller.region":
		return w.caller.Region, true
	case "caller.kind":
		return w.caller.Kind, true
	case "caller.system":
		return w.caller.System, true
	case "product.id":
		return w.product, true
	case "product.region":
		return w.region, true
	case "product.provider":
		return w.provider, true
	case "purpose":
		return w.purpose, true
	case "agreement.id":
		return w.agreement, true
	}
	return nil, false
}

func (w *world) clock(name string) (any, bool) {
	switch name {
	case "date":
		return w.now.Format(time.DateOnly), true
	case "time":
		return w.now.Format("15:04"), true
	case "year":
		return int64(w.now.Year()), true
	case "month":
		return int64(w.now.Month()), true
	case "day":
		return int64(w.now.Day()), true
	case "hour":
		return int64(w.now.Hour()), true
	case "minute":
		return int64(w.now.Minute()), true
	case "weekday":
		return int64((w.now.Weekday()+6)%7 + 1), true
	}
	return nil, false
}

var errNotBool = errors.New("the condition did not give a bool")

// holds evaluates a condition. An error means that it has no answer.
func holds(p cel.Program, w *world) (bool, error) {
	v, _, err := p.Eval(w)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, errNotBool
	}
	return bool(b), nil
}
