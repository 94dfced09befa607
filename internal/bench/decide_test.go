package bench

import (
	"slices"
	"testing"
)

// The crowd is one: each consumer is permitted by its own agreement, and every
// request of a pass is decided.
func TestDecideCrowd(t *testing.T) {
	t.Parallel()
	w, err := newWorld(t.TempDir(), 40)
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.crowd(20)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(c.set.Agreements("", productID, region)); got != 20 || len(slices.Compact(slices.Clone(c.consumers))) != 20 {
		t.Errorf("%d agreements of %v", got, c.consumers)
	}
	p, err := c.pass(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.run(t.Context()); err != nil || n != 40 {
		t.Errorf("%d decisions, %v", n, err)
	}
	c.consumers[7] = "nobody"
	if n, err := p.run(t.Context()); err == nil || n != 7 {
		t.Errorf("a denial goes unnoticed: %d, %v", n, err)
	}
}
