package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/deploy/config"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// admissionConnector is what the connector of one product of a provider needs.
// Its token opens once, as the participant's own does.
type admissionConnector struct {
	Product  string `json:"product"`
	RoleID   string `json:"role_id"`
	Token    string `json:"wrapping_token"` // of the secret id
	Accessor string `json:"accessor"`
}

// provided are the products that a participant provides.
func provided(cat *catalogue.Catalogue, participant, region string) (ids []string) {
	for _, p := range cat.Products() {
		if p.Providers[region] == participant {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// connectors wraps a secret id for the connector of each product.
func (a *admission) connectors(ctx context.Context, c *vault.Client, products []string, life time.Duration) error {
	for _, id := range products {
		roleID, w, err := c.WrapSecretID(ctx, vault.ConnectorRole{Provider: a.Participant, Product: id}.Name(), life)
		if err != nil {
			return err
		}
		a.Connectors = append(a.Connectors, admissionConnector{Product: id, RoleID: roleID, Token: w.Token, Accessor: w.Accessor})
	}
	return nil
}

// writeConnectors puts down the configuration of each connector, with the
// example mapping of its product and the token that its first start opens.
func (a *admission) writeConnectors(dir string) error {
	more := ""
	if len(a.Vault.Standby) > 0 {
		more = ", standby: " + quoted(a.Vault.Standby)
	}
	if a.Vault.Roots != "" {
		more += ", caFile: " + vaultRootsFile
	}
	for _, c := range a.Connectors {
		mapping, err := config.Mapping(a.Region, c.Product)
		if err != nil {
			return err
		}
		id := filepath.Base(c.Product)
		for name, text := range map[string]string{
			"mapping-" + id + ".yaml": string(mapping),
			"wrapped-" + id:           c.Token,
			"connector-" + id + ".yaml": fmt.Sprintf(`# deploy/config/connector.yaml says what else may stand here; the mapping is an example: columns of a file → fields.
#   connector check   -c connector-%[1]s.yaml         is everything in place?
#   connector preview -c connector-%[1]s.yaml FILE    what would become of this file?
#   connector run     -c connector-%[1]s.yaml
region: %[2]q
provider: %[3]s
product: %[1]s
mapping: mapping-%[1]s.yaml
quarantine: quarantine
source:
  csvfile: {dir: drop/%[1]s, match: "*.csv"}   # or jsonfile, xlsxfile, xmlfile
kafka: {brokers: %[4]s, tls: {}}
vault: {address: %[5]q, roleID: %[6]q, secretIDFile: secret-%[1]s, wrappedSecretIDFile: wrapped-%[1]s%[7]s}
`, id, a.Region, a.Participant, quoted(a.Brokers), a.Vault.Address, c.RoleID, more),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Join(dir, "drop", id), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// quoted is a list in YAML.
func quoted(list []string) string {
	out := make([]string, len(list))
	for i, text := range list {
		out[i] = strconv.Quote(text)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
