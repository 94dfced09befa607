package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// everyField stands in an agreement for each public and internal field that it
// does not name.
const everyField = "*"

// layer is what one layer of policy asks for each leaf of a product, in the
// order of product.leaves. A leaf that the layer does not name is dropped.
type layer []redact.Obligation

// tighten makes l ask for the strictest of both, leaf by leaf: what
// redact.Obligations.Merge does, without a map for each layer.
func (l layer) tighten(other layer) {
	for i := range l {
		l[i] = redact.Strictest(l[i], other[i])
	}
}

// keepOnly drops what is not kept as it is: whether a statement is true is
// said of the value or not at all.
func (l layer) keepOnly() {
	for i := range l {
		if l[i].Action != redact.Keep {
			l[i] = redact.Obligation{}
		}
	}
}

// product is a catalogue entry, prepared for decisions.
type product struct {
	*catalogue.Product
	leaves  []string // sorted
	class   []redact.Sensitivity
	ceiling layer              // what the share class lets out at most
	rules   map[string][]*Rule // region → the provider's rules, in the order of files and lines
}

func newProduct(p *catalogue.Product, classes map[string]redact.Sensitivity) *product {
	out := &product{Product: p, leaves: slices.Sorted(maps.Keys(classes)), rules: map[string][]*Rule{}}
	for _, path := range out.leaves {
		out.class = append(out.class, classes[path])
		out.ceiling = append(out.ceiling, ceilingOf(p.ShareClass, classes[path]))
	}
	return out
}

// ceilingOf is the most that a share class lets out of a field: secret never, an
// agreement may open the rest, and without one only what is neither about
// persons nor sensitive.
func ceilingOf(share catalogue.ShareClass, class redact.Sensitivity) redact.Obligation {
	switch {
	case class == redact.Secret:
	case share == catalogue.Conditional, share == catalogue.Unconditional && open(class):
		return redact.Obligation{Action: redact.Keep}
	}
	return redact.Obligation{}
}

// open says whether fields of a class may be released together, unnamed.
func open(class redact.Sensitivity) bool { return class == redact.Internal || class == redact.Public }

// leaf is the index of a path, or -1.
func (p *product) leaf(path string) int {
	i, found := slices.BinarySearch(p.leaves, path)
	if !found {
		return -1
	}
	return i
}

// byClass is the layer of a provider's rule.
func (p *product) byClass(classes map[redact.Sensitivity]redact.Obligation, fields map[string]redact.Obligation) layer {
	l := make(layer, len(p.leaves))
	for i, path := range p.leaves {
		o, named := fields[path]
		if !named {
			o = classes[p.class[i]]
		}
		l[i] = o
	}
	return l
}

// byField is the layer of an agreement.
func (p *product) byField(fields map[string]redact.Obligation) layer {
	l := make(layer, len(p.leaves))
	for i, path := range p.leaves {
		o, named := fields[path]
		if !named && open(p.class[i]) {
			o = fields[everyField]
		}
		l[i] = o
	}
	return l
}

// fieldFault says what is wrong with naming a path for an obligation, or "".
func (p *product) fieldFault(path string, o redact.Obligation) string {
	i := p.leaf(path)
	switch {
	case i < 0 && p.isBlock(path):
		return fmt.Sprintf("%q is a block: name each of its fields, so that one that is added later is not released unseen", path)
	case i < 0:
		return fmt.Sprintf("%s has no field %q", p.ID, path)
	case p.class[i] == redact.Secret && o.Action != redact.Drop:
		return fmt.Sprintf("%q is secret and never released: drop it", path)
	}
	return ""
}

func (p *product) isBlock(path string) bool {
	return slices.ContainsFunc(p.leaves, func(leaf string) bool { return strings.HasPrefix(leaf, path+".") })
}

// covered are the leaves that a name asks for: the leaf, or those of the block.
func (p *product) covered(name string) []int {
	var out []int
	for i, path := range p.leaves {
		if redact.Covers(name, path) {
			out = append(out, i)
		}
	}
	return out
}
