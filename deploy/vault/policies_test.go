package vault_test

import (
	"os"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/deploy/vault"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// What lies here is what is written to a server: nothing is missing, nothing
// is left from a product that is gone. (`make generated` compares the text.)
func TestPoliciesAreThoseOfTheCatalogue(t *testing.T) {
	t.Parallel()
	set, err := schemas.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalogue.Load(catalogue.Shipped(), set.Sensitivities, catalogue.WithCodes(set.Codes))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, region := range vault.Regions() {
		for name, text := range vault.Province(region, cat).Policies() {
			want[name+".hcl"] = text
		}
	}
	files, err := os.ReadDir("policies")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile("policies/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(text), want[f.Name()]) || want[f.Name()] == "" {
			t.Errorf("%s is not a policy of the catalogue any more: remove it, or run `make generate`", f.Name())
		}
		delete(want, f.Name())
	}
	for name := range want {
		t.Errorf("%s is missing: run `make generate`", name)
	}
	if len(files) < 20 {
		t.Errorf("only %d policies", len(files))
	}
}
