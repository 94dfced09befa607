package vault

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

func testProvince() Province {
	return Province{
		Region: "500000", TrustDomain: "500000.hub.chuanyu", Products: []string{"price_quote", "price"},
		Connectors: []ConnectorRole{{Provider: "cq-commerce", Product: "price_quote"}, {Provider: "cq-amr", Product: "price"}},
	}
}

func TestProvinceNamesAreChecked(t *testing.T) {
	t.Parallel()
	if err := testProvince().check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		title  string
		change func(*Province)
		want   string
	}{
		{"no region", func(p *Province) { p.Region = "" }, "six digits"},
		{"a region with a path", func(p *Province) { p.Region = "../sys" }, "six digits"},
		{"a trust domain with a path", func(p *Province) { p.TrustDomain = "hub/x" }, "trust domain"},
		{"a trust domain with a star", func(p *Province) { p.TrustDomain = "*.hub" }, "trust domain"},
		{"a product with a hyphen", func(p *Province) { p.Products = append(p.Products, "price-quote") }, "product"},
		{"a product with a star", func(p *Province) { p.Products = append(p.Products, "price*") }, "product"},
		{"a product with a quote", func(p *Province) { p.Products = append(p.Products, `p"`) }, "product"},
		{"a provider with a path", func(p *Province) { p.Connectors[0].Provider = "a/b" }, "provider"},
		{"a connector for no product", func(p *Province) { p.Connectors[0].Product = "else" }, "not among the products"},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			p := testProvince()
			c.change(&p)
			err := p.check()
			if problem.CodeOf(err) != problem.ConfigInvalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if err := Provision(t.Context(), "http://127.0.0.1:1", "token", p); problem.CodeOf(err) != problem.ConfigInvalid {
				t.Errorf("Provision: %v", err)
			}
		})
	}
	if err := Provision(t.Context(), "http://127.0.0.1:1", "", testProvince()); problem.CodeOf(err) != problem.ConfigInvalid {
		t.Errorf("without a token: %v", err)
	}
	if err := Provision(t.Context(), "http://127.0.0.1:1", "token", testProvince()); problem.CodeOf(err) != problem.VaultUnavailable {
		t.Errorf("with a dead server: %v", err)
	}
}

// Each role may do what its duty needs, by path; the end-to-end tests try it
// with real tokens.
func TestPoliciesAreNarrow(t *testing.T) {
	t.Parallel()
	roles := testProvince().policies()
	want := map[string][]string{
		RoleGateway: {
			"500000/kv/data/cursor", "500000/kv/data/hash/*", "500000/kv/metadata/cursor", "500000/kv/metadata/hash/*",
			"500000/pki/sign/gateway-kafka", "500000/pki/sign/gateway-signing", "500000/pki/sign/gateway-tls", "500000/transit/decrypt/seal-*",
			"500000/transit/keys/gateway-signing", "500000/transit/sign/gateway-signing",
		},
		RoleKafka:     {"500000/pki/sign/kafka-broker"},
		RoleRegistrar: {"500000/pki/sign/operator-administration", "500000/pki/sign/operator-audit", "500000/pki/sign/operator-security"},
		RoleOperator: {
			"500000/kv/data/cursor", "500000/transit/keys/trust-bundle", "500000/transit/sign/trust-bundle",
			"auth/500000/approle/role/connector-cq-amr-price/role-id", "auth/500000/approle/role/connector-cq-amr-price/secret-id",
			"auth/500000/approle/role/connector-cq-commerce-price_quote/role-id", "auth/500000/approle/role/connector-cq-commerce-price_quote/secret-id",
			"auth/token/create/hub-500000-enrolment",
		},
		RoleAuditor: {
			"500000/kv/metadata/*", "500000/pki/cert/+", "500000/pki/certs", "500000/transit/keys", "500000/transit/keys/+",
			"auth/500000/approle/role", "auth/500000/approle/role/+/secret-id", "auth/500000/approle/role/+/secret-id-accessor/lookup",
			"auth/token/accessors", "auth/token/lookup-accessor",
		},
		policyEnrolment: {"500000/pki/sign/enrolment"},
		"connector-cq-commerce-price_quote": {
			"500000/kv/data/record/price_quote", "500000/kv/metadata/record/price_quote", "500000/pki/sign/connector-cq-commerce-price_quote",
			"500000/transit/datakey/plaintext/quarantine-cq-commerce-price_quote", "500000/transit/datakey/plaintext/seal-price_quote-*",
			"500000/transit/decrypt/quarantine-cq-commerce-price_quote", "500000/transit/keys/seal-price_quote-*",
		},
	}
	common := []string{"500000/pki/issuer/+/json", "500000/pki/issuers", "auth/token/lookup-self", "auth/token/renew-self", "auth/token/revoke-self"}
	for role, paths := range want {
		var got []string
		for _, r := range roles[role] {
			got = append(got, r.path)
		}
		slices.Sort(got)
		if all := slices.Sorted(slices.Values(slices.Concat(paths, common))); !slices.Equal(got, all) {
			t.Errorf("%s may use\n%q, not\n%q", role, got, all)
		}
	}
	if len(roles) != 9 {
		t.Errorf("%d roles", len(roles))
	}
}

func TestPolicyText(t *testing.T) {
	t.Parallel()
	got := policyText([]rule{{path: "a/*", capabilities: write, parameters: `"type" = ["x"]`}, {path: "b", capabilities: read}})
	want := `path "a/*" {
  capabilities = ["create", "update"]
  allowed_parameters = { "type" = ["x"] }
}
path "b" {
  capabilities = ["read"]
}
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

// Every default of the engine that permits has to be turned off.
func TestPKIRolesAreNarrow(t *testing.T) {
	t.Parallel()
	for _, r := range testProvince().pkiRoles(accessors{"auth_token_1"}) {
		for _, off := range []string{
			"use_csr_common_name", "use_csr_sans", "allow_any_name", "allow_subdomains", "allow_glob_domains",
			"allow_wildcard_certificates", "code_signing_flag", "email_protection_flag", "require_cn", "allow_token_displayname",
		} {
			if r.settings[off] != (off == "allow_subdomains" && r.name == CertKafkaBroker) {
				t.Errorf("%s: %s is %v", r.name, off, r.settings[off])
			}
		}
		server, client := r.settings["server_flag"] == true, r.settings["client_flag"] == true
		tls := r.name == CertGatewayTLS || r.name == CertKafkaBroker
		if server != tls || r.settings["allow_ip_sans"] != tls || r.settings["allow_localhost"] != tls {
			t.Errorf("%s: server %v, IP %v, localhost %v", r.name, server, r.settings["allow_ip_sans"], r.settings["allow_localhost"])
		}
		if wants := slices.Contains([]string{CertProxy, CertEnrolment, CertGatewayKafka, CertKafkaBroker}, r.name) || strings.HasPrefix(r.name, "operator-") || strings.HasPrefix(r.name, "connector-"); client != wants {
			t.Errorf("%s: client %v", r.name, client)
		}
	}
}

func TestSealKeyNamesAgreeWithSealedBlocks(t *testing.T) {
	t.Parallel()
	if name := sealed.KeyName("price_quote", "202610"); !strings.HasPrefix(name, sealPrefix("price_quote")) || checkSegment("key", name) != nil {
		t.Errorf("package sealed names its keys %s", name)
	}
	// No product's keys lie below another's.
	if strings.HasPrefix(sealPrefix("price_quote"), sealPrefix("price")) {
		t.Error("a policy for the keys of price covers those of price_quote")
	}
}

func TestLiveVersions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	version := func(deleted string, destroyed bool) map[string]any {
		return map[string]any{"deletion_time": deleted, "destroyed": destroyed}
	}
	got := liveVersions(map[string]any{"versions": map[string]any{
		"1": version("", true), "2": version("2026-09-01T00:00:00.123456789Z", false), "3": version("", false),
		"4": version("2026-11-01T00:00:00Z", false), "10": version("", false), "x": version("", false), "5": "odd", "6": version("soon", false),
	}}, now)
	var numbers []int
	for _, v := range got {
		numbers = append(numbers, v.Version)
	}
	if !slices.Equal(numbers, []int{10, 4, 3}) {
		t.Errorf("got %v", numbers)
	}
	if liveVersions(nil, now) != nil {
		t.Error("versions out of nothing")
	}
}

func TestSharedKeys(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	c := f.open(t, nil)
	f.on("GET /v1/500000/kv/metadata/hash/price_quote", answer(200, `{"data":{"versions":{"1":{},"2":{}}}}`))
	f.on("GET /v1/500000/kv/data/hash/price_quote", answer(404, `{"data":{"data":null,"metadata":{"version":1}}}`))
	if _, err := c.SharedKeys(t.Context(), KeyHash("price_quote")); !errors.Is(err, ErrNotFound) {
		t.Errorf("every version deleted meanwhile: %v", err)
	}
	f.on("GET /v1/500000/kv/data/hash/price_quote", answer(200, `{"data":{"data":{"key":"c2hvcnQ="}}}`))
	if _, err := c.SharedKeys(t.Context(), KeyHash("price_quote")); err == nil || strings.Contains(err.Error(), "c2hvcnQ") {
		t.Errorf("a short key: %v", err)
	}
	if _, err := c.SharedKeys(t.Context(), "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such key: %v", err)
	}
}
