package vault

import (
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// Regions are the provinces, GB/T 2260.
func Regions() []string { return []string{"500000", "510000"} }

// Province is what the catalogue asks of a province's Vault.
func Province(region string, cat *catalogue.Catalogue) vault.Province {
	p := vault.Province{Region: region, TrustDomain: spiffe.TrustDomain(region)}
	for _, product := range cat.Products() {
		if provider := product.Providers[region]; provider != "" {
			p.Products = append(p.Products, product.ID)
			p.Connectors = append(p.Connectors, vault.ConnectorRole{Provider: provider, Product: product.ID})
		}
	}
	return p
}
