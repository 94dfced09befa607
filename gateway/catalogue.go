package gateway

import (
	"context"
	"net/http"

	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Products are the products that a caller may know of.
func (g *Gateway) Products(ctx context.Context, c Credentials) ([]*catalogue.Product, error) {
	snap, err := g.Snapshot()
	if err != nil {
		return nil, err
	}
	caller, err := g.Identify(ctx, snap, c, g.Now())
	if err != nil {
		return nil, err
	}
	return g.known(snap, caller), nil
}

// Topics are the same products for a Kafka client, which asks for the schemas
// of their topics; see Recognise.
func (g *Gateway) Topics(ctx context.Context, c Credentials) ([]*catalogue.Product, error) {
	snap, err := g.Snapshot()
	if err != nil {
		return nil, err
	}
	caller, err := g.Recognise(ctx, snap, c, g.Now())
	if err != nil {
		return nil, err
	}
	return g.known(snap, caller), nil
}

func (g *Gateway) known(snap *Snapshot, caller identity.Caller) (known []*catalogue.Product) {
	for _, p := range snap.Catalogue.Products() {
		if caller.Within(p.ID) && snap.Policies.MayKnow(caller.Participant, p, g.Region) {
			known = append(known, p)
		}
	}
	return known
}

// ProductDetail is a product with what concerns one caller.
type ProductDetail struct {
	Product     *catalogue.Product
	Schema      *schemas.Schema
	Sensitivity map[string]redact.Sensitivity
	Agreements  []*policies.Agreement
}

// Product is one product, or problem.ProductUnknown for one that the caller
// may not know of.
func (g *Gateway) Product(ctx context.Context, c Credentials, id string) (*ProductDetail, error) {
	snap, err := g.Snapshot()
	if err != nil {
		return nil, err
	}
	caller, err := g.Identify(ctx, snap, c, g.Now())
	if err != nil {
		return nil, err
	}
	p, ok := snap.Catalogue.Product(id)
	switch {
	case !ok || !snap.Policies.MayKnow(caller.Participant, p, g.Region):
		return nil, g.noted(caller, c, problem.New(problem.ProductUnknown, ""))
	case !caller.Within(p.ID):
		return nil, g.noted(caller, c, problem.New(problem.TokenScope, ""))
	}
	schema, ok := snap.Schemas.Schema(p.Schema)
	if !ok {
		return nil, problem.New(problem.SchemaUnknown, "%s", p.Schema)
	}
	return &ProductDetail{
		Product: p, Schema: schema, Sensitivity: snap.Catalogue.Sensitivities(p.ID),
		Agreements: snap.Policies.Agreements(caller.Participant, p.ID, g.Region),
	}, nil
}

// Receipt is a receipt or acknowledgement as it was issued, for its two parties.
// To anyone else it does not exist.
func (g *Gateway) Receipt(ctx context.Context, c Credentials, id string) (string, error) {
	snap, err := g.Snapshot()
	if err != nil {
		return "", err
	}
	caller, err := g.Identify(ctx, snap, c, g.Now())
	if err != nil {
		return "", err
	}
	e, err := g.Ledger.Find(ctx, id)
	if err != nil {
		return "", g.noted(caller, c, err)
	}
	if e.Kind != receipt.Release && e.Kind != receipt.Acknowledged || caller.Participant != e.Consumer && caller.Participant != e.Provider {
		return "", g.noted(caller, c, problem.New(problem.ReceiptUnknown, ""))
	}
	return e.Receipt, nil
}

// noted counts what a known caller is refused beside records, for the ledger.
func (g *Gateway) noted(caller identity.Caller, c Credentials, err error) error {
	if code := problem.CodeOf(err); code.Entry().Status < http.StatusInternalServerError {
		g.Failures.Note(caller.Participant, c.Address.String(), code, g.Now())
	}
	return err
}
