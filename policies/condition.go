package policies

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
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

// cel makes CEL's environment. It is a list of what is allowed, not of what is not: conversions
// would hide types, and the time functions read the machine's zone files.
func (e environment) cel() (*cel.Env, error) {
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
	for name, v := range e {
		options = append(options, cel.Variable(name, v.celType()))
	}
	return cel.NewCustomEnv(options...)
}

func (v *Variable) celType() *cel.Type {
	if v.Number {
		return cel.IntType
	}
	return cel.StringType
}

// condition is a compiled condition.
type condition struct {
	program cel.Program
	uses    []string // the variables that it names, sorted
}

// compile checks a condition and prepares it. The error says what is wrong with
// the text and where in it.
func (e environment) compile(env *cel.Env, source string) (*condition, error) {
	checked, issues := env.Compile(source)
	if err := issues.Err(); err != nil {
		return nil, errors.New(issueText(issues))
	}
	if checked.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("the condition gives a %s, and must give a bool", checked.OutputType())
	}
	estimate, err := env.EstimateCost(checked, sizes{e})
	if err != nil {
		return nil, fmt.Errorf("the condition's cost cannot be estimated: %w", err)
	}
	switch {
	case estimate.Max == math.MaxUint64:
		return nil, fmt.Errorf("the condition's cost has no bound (at least %d), and must be at most %d", estimate.Min, maxCost)
	case estimate.Max > maxCost:
		return nil, fmt.Errorf("the condition may cost %d, and must cost at most %d", estimate.Max, maxCost)
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, err
	}
	out := &condition{program: program}
	for _, r := range checked.NativeRep().ReferenceMap() {
		if _, ok := e[r.Name]; ok && !slices.Contains(out.uses, r.Name) {
			out.uses = append(out.uses, r.Name)
		}
	}
	slices.Sort(out.uses)
	return out, nil
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
type sizes struct{ environment }

// EstimateSize bounds the variables; the rest is left to CEL.
func (s sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	path := n.Path()
	if len(path) != 1 {
		return nil
	}
	if v, ok := s.environment[path[0]]; ok && !v.Number {
		return &cost.SizeEstimate{Min: 0, Max: maxValue}
	}
	return nil
}

// EstimateCallCost leaves every call to CEL.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

var errNotBool = errors.New("the condition did not give a bool")

// holds evaluates the condition. An error means that it has no answer.
func (c *condition) holds(w *world) (bool, error) {
	v, _, err := c.program.Eval(w)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, errNotBool
	}
	return bool(b), nil
}
