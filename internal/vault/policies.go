package vault

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// rule permits some ways to use one path.
type rule struct {
	path         string
	capabilities []string
	parameters   string // HCL of the only parameters permitted; empty: any
	wrapped      bool   // only if the answer is wrapped
}

var (
	read  = []string{"read"}
	write = []string{"create", "update"} // which of the two a call counts as differs between engines
)

// appRoles returns the province's AppRoles and what each may do. A token of
// one may do this and nothing else.
func (p Province) appRoles() map[string][]rule {
	m := ProvinceMounts(p.Region)
	roles := map[string][]rule{
		RoleGateway: {
			{path: m.PKI + "/sign/" + CertGatewayTLS, capabilities: write},
			{path: m.PKI + "/sign/" + CertGatewaySigning, capabilities: write},
			{path: m.PKI + "/sign/" + CertGatewayKafka, capabilities: write},
			{path: m.Transit + "/sign/" + KeyGatewaySigning, capabilities: write},
			{path: m.Transit + "/keys/" + KeyGatewaySigning, capabilities: read},
			{path: m.Transit + "/decrypt/seal-*", capabilities: write},
			{path: m.KV + "/data/" + KeyCursor, capabilities: read},
			{path: m.KV + "/metadata/" + KeyCursor, capabilities: read},
			{path: m.KV + "/data/" + KeyHash("*"), capabilities: read},
			{path: m.KV + "/metadata/" + KeyHash("*"), capabilities: read},
		},
		RoleOperator: {
			{path: m.Transit + "/sign/" + KeyTrustBundle, capabilities: write},
			{path: m.Transit + "/keys/" + KeyTrustBundle, capabilities: read},
			// A new version, which the gateways take up; what is there stays unseen.
			{path: m.KV + "/data/" + KeyCursor, capabilities: write},
			// What it hands out is not for the operator's eyes.
			{path: "auth/token/create/" + p.policyName(policyEnrolment), capabilities: write, wrapped: true},
		},
		RoleKafka:   {{path: m.PKI + "/sign/" + CertKafkaBroker, capabilities: write}},
		RoleProxy:   {{path: m.PKI + "/sign/" + CertProxy, capabilities: write}},
		RoleAuditor: auditorRules(m),
	}
	for _, duty := range spiffe.Duties() {
		roles[RoleRegistrar] = append(roles[RoleRegistrar], rule{path: m.PKI + "/sign/" + CertOperator(duty), capabilities: write})
	}
	for _, c := range p.Connectors {
		roles[c.Name()] = c.rules(m)
		// Not those of the registrar, nor of the gateway.
		path := "auth/" + m.AppRole + "/role/" + c.Name()
		roles[RoleOperator] = append(roles[RoleOperator],
			rule{path: path + "/secret-id", capabilities: write, wrapped: true}, rule{path: path + "/role-id", capabilities: read})
	}
	for name := range roles {
		roles[name] = append(roles[name], authorityRules(m)...)
		roles[name] = append(roles[name], tokenRules()...)
	}
	return roles
}

// policyEnrolment is the policy of who has no AppRole: a participant's system
// with its enrolment token, or logged in with the certificate that it renews.
const policyEnrolment = "enrolment"

// policies returns every policy of the province by its short name.
func (p Province) policies() map[string][]rule {
	m := ProvinceMounts(p.Region)
	all := p.appRoles()
	all[policyEnrolment] = slices.Concat([]rule{{path: m.PKI + "/sign/" + CertEnrolment, capabilities: write}}, authorityRules(m), tokenRules())
	return all
}

// Policies returns the text of each policy by its name on the server: what
// [Provision] writes.
func (p Province) Policies() map[string]string {
	out := map[string]string{}
	for name, rules := range p.policies() {
		out[p.policyName(name)] = policyText(rules)
	}
	return out
}

// rules lets a connector seal with its product's keys but open nothing with
// them, and open only what it put into quarantine itself.
func (r ConnectorRole) rules(m Mounts) []rule {
	return []rule{
		{path: m.PKI + "/sign/" + r.Name(), capabilities: write},
		{path: m.KV + "/data/" + KeyRecord(r.Product), capabilities: read},
		{path: m.KV + "/metadata/" + KeyRecord(r.Product), capabilities: read},
		// The star also covers what lies below a key. Of that the parameters
		// leave what CreateSealKey does and the calls that take none: rotate,
		// and OpenBao's soft-delete-restore. Both keep what was sealed readable.
		{
			path: m.Transit + "/keys/" + sealPrefix(r.Product) + "*", capabilities: write,
			parameters: `"type" = ["aes256-gcm96"], "deletion_allowed" = [true]`,
		},
		{path: m.Transit + "/datakey/plaintext/" + sealPrefix(r.Product) + "*", capabilities: write},
		{path: m.Transit + "/datakey/plaintext/" + r.QuarantineKey(), capabilities: write},
		{path: m.Transit + "/decrypt/" + r.QuarantineKey(), capabilities: write},
	}
}

// auditorRules show what there is and when it ends. Accessors and metadata
// open nothing.
func auditorRules(m Mounts) []rule {
	list, role := []string{"list"}, "auth/"+m.AppRole+"/role"
	return []rule{
		{path: m.PKI + "/certs", capabilities: list},
		{path: m.PKI + "/cert/+", capabilities: read},
		{path: m.Transit + "/keys", capabilities: list},
		{path: m.Transit + "/keys/+", capabilities: read},
		{path: m.KV + "/metadata/*", capabilities: []string{"list", "read"}},
		{path: role, capabilities: list},
		{path: role + "/+/secret-id", capabilities: list},
		{path: role + "/+/secret-id-accessor/lookup", capabilities: write},
		// The list is of the whole server and needs more than to be permitted.
		{path: "auth/token/accessors", capabilities: []string{"list", "sudo"}},
		{path: "auth/token/lookup-accessor", capabilities: write},
	}
}

// authorityRules let a token read the public certificates of the authorities.
func authorityRules(m Mounts) []rule {
	return []rule{
		{path: m.PKI + "/issuers", capabilities: []string{"list"}},
		{path: m.PKI + "/issuer/+/json", capabilities: read},
	}
}

// tokenRules let a token look after itself.
func tokenRules() []rule {
	return []rule{
		{path: "auth/token/lookup-self", capabilities: read},
		{path: "auth/token/renew-self", capabilities: []string{"update"}},
		{path: "auth/token/revoke-self", capabilities: []string{"update"}},
	}
}

// policyText writes rules in the policy language of Vault and OpenBao.
func policyText(rules []rule) string {
	var b strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&b, "path %q {\n  capabilities = [\"%s\"]\n", r.path, strings.Join(r.capabilities, `", "`))
		if r.parameters != "" {
			fmt.Fprintf(&b, "  allowed_parameters = { %s }\n", r.parameters)
		}
		if r.wrapped {
			fmt.Fprintf(&b, "  min_wrapping_ttl = \"1s\"\n  max_wrapping_ttl = %q\n", seconds(longestWrap))
		}
		b.WriteString("}\n")
	}
	return b.String()
}
