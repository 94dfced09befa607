package redact

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Action is what is done with one field. The zero value is Drop.
type Action uint8

// The actions, strictest first.
const (
	Drop       Action = iota // the field does not appear
	Null                     // the field appears, its value is null
	Hash                     // a keyed hash: the same within one agreement, unlinkable between two
	Mask                     // a part of the value, by a named method
	Generalise               // a coarser value that it lies in, by a named method
	Keep                     // the value as it is
)

var actionNames = [...]string{
	Drop: "drop", Null: "null", Hash: "hash", Mask: "mask", Generalise: "generalise", Keep: "keep",
}

// String is the action's name as policies write it.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return "drop"
}

// Method names a mask or a generalisation. The empty method belongs to the
// other actions.
type Method string

// The masks, of text; mask.go says what each leaves visible.
const (
	MaskName          Method = "name"
	MaskPhone         Method = "phone"
	MaskIdentity      Method = "identity"
	MaskIdentityBirth Method = "identity_birth"
	MaskAddress       Method = "address"
)

// The generalisations; generalise.go says what each makes of a value.
const (
	ToProvince Method = "province"  // of text that is a region code
	ToMonth    Method = "month"     // of a date or an instant
	ToBand     Method = "band"      // of an exact number: the power of ten it lies above
	ToFineBand Method = "fine_band" // of an exact number: the step of 1, 2, 5, 10 it lies above
)

// methods are those that an action takes; the other actions take none.
var methods = map[Action][]Method{
	Mask:       {MaskName, MaskPhone, MaskIdentity, MaskIdentityBirth, MaskAddress},
	Generalise: {ToProvince, ToMonth, ToBand, ToFineBand},
}

// Obligation is what a policy asks for one field. The zero value drops it.
type Obligation struct {
	Action Action
	Method Method // only with Mask and Generalise
}

// String is the obligation as policies write it: "keep", "mask:phone".
func (o Obligation) String() string {
	if methods[o.Action] != nil {
		return o.Action.String() + ":" + string(o.Method)
	}
	return o.Action.String()
}

// Valid says whether the action exists and has a method of its own.
func (o Obligation) Valid() bool {
	of := methods[o.Action]
	return o.Action <= Keep && (of == nil && o.Method == "" || slices.Contains(of, o.Method))
}

// Parse reads what String writes. A mask or a generalisation without a known
// method is an error.
func Parse(s string) (Obligation, error) {
	name, method, hasMethod := strings.Cut(s, ":")
	i := slices.Index(actionNames[:], name)
	if i < 0 {
		return Obligation{}, fmt.Errorf("unknown obligation %q: use keep, generalise:METHOD, mask:METHOD, hash, null or drop", s)
	}
	o := Obligation{Action: Action(i), Method: Method(method)}
	of := methods[o.Action]
	switch {
	case of == nil && hasMethod:
		return Obligation{}, fmt.Errorf("obligation %q: %s takes no method", s, name)
	case !o.Valid():
		return Obligation{}, fmt.Errorf("obligation %q: use %s with one of %s", s, name, join(of))
	}
	return o, nil
}

func join(of []Method) string {
	var names []string
	for _, m := range of {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}

// Strictest joins what two layers of policy ask for one field: the stricter
// action wins, and two different ones of a kind (mask:name and mask:phone)
// drop the field, because neither alone does what both ask.
func Strictest(a, b Obligation) Obligation {
	switch {
	case a.Action < b.Action:
		return a
	case b.Action < a.Action:
		return b
	case a.Method != b.Method:
		return Obligation{Action: Drop}
	}
	return a
}

// Obligations says what is done with each leaf of a schema, by its path
// ("low_price", "complainant.phone"). A path that is not in it is dropped.
type Obligations map[string]Obligation

// Of is the obligation of one path; Drop if it is not named.
func (o Obligations) Of(path string) Obligation { return o[path] }

// Merge joins two layers: the strictest of both for every path. A path that
// one of them does not name is dropped and therefore left out.
func (o Obligations) Merge(p Obligations) Obligations {
	out := make(Obligations, min(len(o), len(p)))
	for path, a := range o {
		b, ok := p[path]
		if !ok {
			continue
		}
		if s := Strictest(a, b); s.Action != Drop {
			out[path] = s
		}
	}
	return out
}

// Restrict keeps only the named paths: what a caller asked for of what it may
// have. A name that stands for a block keeps all paths below it.
func (o Obligations) Restrict(fields []string) Obligations {
	out := make(Obligations, len(o))
	for path, ob := range o {
		if slices.ContainsFunc(fields, func(f string) bool { return Covers(f, path) }) {
			out[path] = ob
		}
	}
	return out
}

// Covers says whether a field's name is the path itself or a block around it.
func Covers(field, path string) bool {
	return path == field || strings.HasPrefix(path, field) && len(path) > len(field) && path[len(field)] == '.'
}

// Canonical is one line that is equal for equal obligations: the key under
// which a compiled View is cached, and what a receipt's policy digest covers.
func (o Obligations) Canonical() string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(o)) {
		if o[path].Action == Drop {
			continue
		}
		b.WriteString(path)
		b.WriteByte('=')
		b.WriteString(o[path].String())
		b.WriteByte(';')
	}
	return b.String()
}
