package bench

import (
	"context"
	"fmt"
	"strings"
	"testing/fstest"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// How many agreements the two sides decide over.
const (
	manyAgreements = 10_000
	fewAgreements  = 10
)

func openDecideFlat(_ context.Context, w *world, _ Frontend) (*contest, error) {
	many, err := w.crowd(manyAgreements)
	if err != nil {
		return nil, err
	}
	few, err := w.crowd(fewAgreements)
	if err != nil {
		return nil, err
	}
	return &contest{
		ours:       contestant{name: "10,000 agreements", prepare: many.pass},
		references: []contestant{{name: "10 agreements", prepare: few.pass}},
		close:      func() error { return nil },
	}, nil
}

// crowd is a set of policies in which every consumer has an agreement of its
// own, under the shipped rules.
type crowd struct {
	set       *policies.Set
	consumers []string
	rows      int
}

func (w *world) crowd(agreements int) (*crowd, error) {
	c := &crowd{rows: w.rows}
	files, err := shippedRules()
	if err != nil {
		return nil, err
	}
	for path := range files { // of the one product that the catalogue has
		if path != "rules/"+productID+".yaml" {
			delete(files, path)
		}
	}
	for i := range agreements {
		id := fmt.Sprintf("c-%05d", i)
		c.consumers = append(c.consumers, id)
		text := fmt.Sprintf(agreement, `{"*": keep}`)
		text = strings.Replace(strings.Replace(text, "id: bench", fmt.Sprintf("id: bench-%05d", i), 1), "consumer: "+consumer, "consumer: "+id, 1)
		files[fmt.Sprintf("agreements/%05d.yaml", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	cat, err := w.crowded(c.consumers)
	if err != nil {
		return nil, err
	}
	c.set, err = policies.Load(files, cat, w.schemas.Fits)
	return c, err
}

// crowded is the measured product's entry with the consumers as participants.
func (w *world) crowded(consumers []string) (*catalogue.Catalogue, error) {
	var people strings.Builder
	people.WriteString("kinds: [{id: commerce, nameZH: 商务}, {id: statistics, nameZH: 统计}]\nparticipants:\n")
	for _, region := range []string{region, consumerHome} {
		fmt.Fprintf(&people, "  - {id: %s, region: %q, nameZH: 甲%s, nameEN: P%s, kind: commerce}\n", w.product.Providers[region], region, region, region)
	}
	for _, id := range consumers {
		fmt.Fprintf(&people, "  - {id: %s, region: %q, nameZH: %s, nameEN: %s, kind: commerce}\n", id, consumerHome, id[2:], id)
	}
	product := fmt.Sprintf(`products:
  - {id: %s, major: %d, schema: %s, nameZH: 价格, nameEN: Prices, summaryZH: 测试用, shareClass: conditional,
     legalBasis: [某条例], scope: 范围, conditions: [条件], purposes: [{id: %s, nameZH: 监测}, {id: statistics, nameZH: 统计}],
     updateCycle: daily, formats: [json], deliveryMethods: [service], classification: {category: 测试, level: general},
     providers: {%q: %s, %q: %s}, key: [%s], decisionTime: %s, partitions: 1, retentionDays: 10}
`, productID, w.product.Major, w.product.Schema, purpose, region, w.product.Providers[region],
		consumerHome, w.product.Providers[consumerHome], strings.Join(w.product.Key, ", "), w.product.DecisionTime)
	return catalogue.Load(fstest.MapFS{
		"participants.yaml": {Data: []byte(people.String())}, "products.yaml": {Data: []byte(product)},
	}, w.schemas.Sensitivities)
}

// pass decides as many requests as there are rows. No two are the same: the
// caller and the instant differ, so that nothing could be remembered.
func (c *crowd) pass(context.Context) (pass, error) {
	begin := time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)
	return pass{
		run: func(ctx context.Context) (int, error) {
			for i := range c.rows {
				d := c.set.Decide(policies.Request{
					Caller:  policies.Caller{Participant: c.consumers[i%len(c.consumers)], Region: consumerHome, Kind: "commerce"},
					Product: productID, Region: region, Purpose: purpose, Delivery: policies.Page, Time: begin.Add(time.Duration(i) * time.Microsecond),
				})
				if d.Effect != policies.Permit {
					return i, problem.New(d.Code, "%s", d.Detail)
				}
			}
			return c.rows, ctx.Err()
		},
		close: func() error { return nil },
	}, nil
}
