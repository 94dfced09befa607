package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chuanyu-exchange/hub/connectors/instance"
)

// What enrol writes for the connectors of a provider is what a connector reads.
func TestConnectorsOfAProvider(t *testing.T) {
	t.Parallel()
	cat, err := shippedCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	products := provided(cat, "cq-trading", "500000")
	if len(products) != 3 {
		t.Fatalf("%q", products)
	}
	a := admission{
		Participant: "cq-trading", Region: "500000", Brokers: []string{"kafka.example:9093", "kafka2.example:9093"},
		Vault: admissionVault{Address: "https://vault.example:8200", Standby: []string{"https://vault2.example:8200"}, Roots: "PEM"},
	}
	for _, id := range products {
		a.Connectors = append(a.Connectors, admissionConnector{Product: id, RoleID: "role-" + id, Token: "token-" + id})
	}
	dir := t.TempDir()
	if _, err := a.write(dir); err != nil {
		t.Fatal(err)
	}
	for _, id := range products {
		f, err := instance.Load(filepath.Join(dir, "connector-"+id+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if f.Provider != "cq-trading" || f.Product != id || !slices.Equal(f.Kafka.Brokers, a.Brokers) || f.Kafka.TLS == nil ||
			f.Vault.RoleID != "role-"+id || !slices.Equal(f.Vault.Standby, a.Vault.Standby) || f.Vault.CAFile != filepath.Join(dir, vaultRootsFile) {
			t.Errorf("%+v", f)
		}
		if text, err := os.ReadFile(f.Vault.WrappedSecretIDFile); err != nil || string(text) != "token-"+id {
			t.Errorf("%s: %q, %v", id, text, err)
		}
		if info, err := os.Stat(f.Vault.WrappedSecretIDFile); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
}
