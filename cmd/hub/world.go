package main

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/registry"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
	"github.com/chuanyu-exchange/hub/schemas/subject"
)

// world is what both provinces agree on: schemas, catalogue, policies.
type world struct {
	schemas   *schemas.Set
	subjects  *subject.Lines
	catalogue *catalogue.Catalogue
	policies  *policies.Set
}

func loadWorld(policyDir string) (*world, error) {
	set, err := schemas.Shipped()
	if err != nil {
		return nil, err
	}
	lines, err := subject.Load(schemas.Files(), set)
	if err != nil {
		return nil, err
	}
	cat, err := catalogue.Load(catalogue.Shipped(), set.Sensitivities, catalogue.WithCodes(set.Codes))
	if err != nil {
		return nil, err
	}
	dir := policies.Shipped()
	if policyDir != "" {
		dir = os.DirFS(policyDir)
	}
	p, err := policies.Load(dir, cat, set.Fits)
	if err != nil {
		return nil, err
	}
	return &world{schemas: set, subjects: lines, catalogue: cat, policies: p}, nil
}

// useRegistry takes the ids of schemas from a registry of somebody else's, for
// connectors and gateways alike; "" keeps those of the lock file.
func (w *world) useRegistry(ctx context.Context, address string) error {
	if address == "" {
		return nil
	}
	c, err := registry.Open(address)
	if err != nil {
		return err
	}
	var codes []string
	for _, r := range regions {
		codes = append(codes, r.code)
	}
	if w.schemas, err = c.Reconcile(ctx, w.schemas, w.catalogue.Products(), codes...); err != nil {
		return err
	}
	w.subjects, err = subject.Load(schemas.Files(), w.schemas)
	return err
}

// fullConsumer is the participant of another region, and the purpose, for
// which the agreements release every field of a product: who checks the road.
func (w *world) fullConsumer(region string, p *catalogue.Product) (consumer, purpose string, err error) {
	best := -1
	try := func(participant *catalogue.Participant, use string) {
		if n := w.released(region, p, participant, use); participant.Region != region && n > best {
			best, consumer, purpose = n, participant.ID, use
		}
	}
	for _, a := range w.policies.Agreements("", p.ID, region) {
		for _, use := range a.Purposes {
			if participant, ok := w.catalogue.Participant(a.Consumer); ok {
				try(participant, use)
			}
		}
	}
	if p.ShareClass == catalogue.Unconditional { // without an agreement
		for _, participant := range w.catalogue.Participants() {
			for _, use := range p.Purposes {
				try(participant, use.ID)
			}
		}
	}
	if best <= 0 {
		return "", "", problem.New(problem.ConfigInvalid, "nothing lets another province read %s of %s", p.ID, region)
	}
	return consumer, purpose, nil
}

// products are those that a region provides.
func (w *world) products(region string) []*catalogue.Product {
	var out []*catalogue.Product
	for _, p := range w.catalogue.Products() {
		if p.Providers[region] != "" {
			out = append(out, p)
		}
	}
	return out
}

// participants are those of a region that are admitted now.
func (w *world) participants(region string) []*catalogue.Participant {
	all := w.catalogue.Participants()
	return slices.DeleteFunc(all, func(p *catalogue.Participant) bool { return p.Region != region || !p.ValidAt(time.Now()) })
}

// checkDrops holds the files to be carried against the catalogue.
func (d *dev) checkDrops() error {
	kinds := map[string]string{}
	for _, drop := range d.drops {
		p, ok := d.world.catalogue.Product(drop.product)
		if !ok || p.Providers[drop.region] == "" {
			return problem.New(problem.ConfigInvalid, "--drop %s/%s: %s has no provider of such a product", drop.region, drop.product, drop.region)
		}
		place, kind := drop.region+"/"+drop.product, kindOf(drop.file).source
		if other, again := kinds[place]; again && other != kind {
			return problem.New(problem.ConfigInvalid, "--drop %s: files of different kinds cannot be mixed for one product", place)
		}
		kinds[place] = kind
	}
	return nil
}

// released counts the fields that a consumer may have in the clear.
func (w *world) released(region string, p *catalogue.Product, c *catalogue.Participant, purpose string) int {
	d := w.policies.Decide(policies.Request{
		Caller:  policies.Caller{Participant: c.ID, Region: c.Region, Kind: c.Kind},
		Product: p.ID, Region: region, Purpose: purpose, Delivery: policies.Page, Time: time.Now(),
	})
	n := 0
	for _, o := range d.Obligations {
		if o.Action == redact.Keep {
			n++
		}
	}
	return n
}
