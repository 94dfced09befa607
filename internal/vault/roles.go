package vault

import (
	"maps"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// Lives of what Vault gives out. Certificates end soon, so that a lost key is
// no matter for a revocation list; the rest is bounded so that what is
// forgotten ends by itself.
const (
	rootLife         = "87600h" // a province's root: 10 years
	processCertLife  = "72h"    // gateways, brokers, proxies and connectors, which renew by themselves
	participantLife  = "720h"   // participants: 30 days
	operatorLife     = "168h"   // operators: 7 days
	tokenLife        = "1h"
	tokenLongestLife = "24h" // then a new login, with the secret id of the day
	secretIDLife     = "2160h"
	renewalLife      = "5m" // of a participant's login, which only renews a certificate
	enrolmentUses    = 4    // of an enrolment token: a certificate, the authorities, its revocation, one in hand
	keptVersions     = maxVersions
)

// documentSigning is id-kp-documentSigning of RFC 9336. A certificate without
// any extended key usage counts as good for all of them, TLS included; one
// with only this is good for none but this.
const documentSigning = "1.3.6.1.5.5.7.3.36"

// pkiRole is a role of the PKI engine by its settings, as its API has them.
type pkiRole struct {
	name     string
	settings map[string]any
}

// pkiRoles returns the province's PKI roles. Each permits one name, or one
// kind of name. What is not set here is denied: some of the
// engine's own defaults permit.
func (p Province) pkiRoles(logins accessors) []pkiRole {
	roles := []pkiRole{
		newPKIRole(CertGatewayTLS, p.uri("gateway"), processCertLife, map[string]any{
			"server_flag": true,
			// The engine can only permit all addresses or none, and the demo
			// listens on loopback.
			"allow_ip_sans": true, "allow_localhost": true,
			"allowed_domains": []string{CertGatewayTLS, "gateway." + p.TrustDomain},
		}),
		newPKIRole(CertGatewaySigning, p.uri("gateway/signing"), processCertLife, map[string]any{
			"ext_key_usage_oids": []string{documentSigning},
		}),
		newPKIRole(CertGatewayKafka, p.uri("gateway/kafka"), processCertLife, map[string]any{"client_flag": true}),
		newPKIRole(CertKafkaBroker, p.uri("kafka/broker"), processCertLife, map[string]any{
			"server_flag": true, "client_flag": true, // brokers call each other
			"allow_ip_sans": true, "allow_localhost": true,
			"allow_subdomains": true, "allowed_domains": []string{CertKafkaBroker, "kafka." + p.TrustDomain}, // each broker has its own name
		}),
		newPKIRole(CertProxy, p.uri("proxy/*"), processCertLife, map[string]any{"client_flag": true}),
	}
	// The enrolment's names are the participant's of the identity behind the
	// token, which is put in by the server. No role names participants freely:
	// who had it could sign and read as any of them.
	roles = append(roles, newPKIRole(CertEnrolment, "", participantLife, map[string]any{
		"client_flag":               true,
		"allowed_uri_sans_template": true, "allowed_uri_sans": logins.each(func(name string) string { return p.uri("participant/" + name + "/system/*") }),
		"allowed_domains_template": true, "allowed_domains": logins.each(func(name string) string { return name }),
	}))
	for _, duty := range spiffe.Duties() {
		roles = append(roles, newPKIRole(CertOperator(duty), p.uri("operator/"+string(duty)+"/*"), operatorLife, map[string]any{"client_flag": true}))
	}
	for _, c := range p.Connectors {
		uri := p.uri("participant/" + c.Provider + "/connector/" + c.Product)
		roles = append(roles, newPKIRole(c.Name(), uri, processCertLife, map[string]any{"client_flag": true}))
	}
	return roles
}

func (p Province) uri(path string) string { return "spiffe://" + p.TrustDomain + "/" + path }

// newPKIRole is a role that certifies one URI for digital signatures, with
// what more adds or widens.
func newPKIRole(name, uri, life string, more map[string]any) pkiRole {
	s := map[string]any{
		// Names come with the call, never out of the certificate request: with
		// these two on, as they are by default, a request for a forbidden name
		// is granted, with the name in the certificate request.
		"use_csr_common_name": false, "use_csr_sans": false,
		"allowed_uri_sans": []string{uri},
		"ttl":              life, "max_ttl": life,
		"key_type":  "any",
		"key_usage": []string{"DigitalSignature"}, "ext_key_usage": []string{}, "ext_key_usage_oids": []string{},
		"server_flag": false, "client_flag": false, "code_signing_flag": false, "email_protection_flag": false,
		"allow_any_name": false, "allow_subdomains": false, "allow_glob_domains": false, "allow_wildcard_certificates": false,
		"allow_localhost": false, "allow_ip_sans": false, "allowed_other_sans": []string{},
		"allow_token_displayname": false, "enforce_hostnames": false,
		// The common name is the role's own name, or there is none.
		"require_cn": false, "allowed_domains": []string{name}, "allow_bare_domains": true,
		"cn_validations":                     []string{"hostname"},
		"basic_constraints_valid_for_non_ca": true,
		"not_before_duration":                "30s",
		"generate_lease":                     false, "no_store": false,
	}
	maps.Copy(s, more)
	return pkiRole{name: name, settings: s}
}

// accessors name the login methods that an identity may have come by: its name
// there is the participant's id.
type accessors []string

// each writes the templates of the name behind each login method.
func (a accessors) each(around func(name string) string) []string {
	out := make([]string, len(a))
	for i, accessor := range a {
		out[i] = around("{{identity.entity.aliases." + accessor + ".name}}")
	}
	return out
}

// enrolmentSettings are the role of tokens for those who have no certificate
// yet. Such a token is made wrapped, for one participant, by name.
func (p Province) enrolmentSettings() map[string]any {
	return map[string]any{
		"allowed_policies": []string{p.policyName(policyEnrolment)}, "allowed_entity_aliases": []string{"*"},
		"orphan": true, "renewable": false, "token_type": "service",
		"token_no_default_policy": true, "token_explicit_max_ttl": seconds(longestWrap),
	}
}

// renewalSettings let a participant's system log in with the certificate that
// it has, as the participant that is its common name.
func (p Province) renewalSettings(root string) map[string]any {
	return map[string]any{
		"certificate": root, "allowed_uri_sans": []string{p.uri("participant/*/system/*")},
		"token_policies": []string{p.policyName(policyEnrolment)}, "token_no_default_policy": true,
		"token_ttl": renewalLife, "token_max_ttl": renewalLife, "token_type": "service",
	}
}

// rootSettings describe the province's root authority.
func (p Province) rootSettings() map[string]any {
	return map[string]any{
		"common_name": "Chuanyu Exchange Hub " + p.Region + " Root CA", "exclude_cn_from_sans": true,
		"issuer_name": "root-" + p.Region, "key_name": "root-" + p.Region,
		"key_type": "ec", "key_bits": 256, "ttl": rootLife,
		"max_path_length": 0, // it signs leaves and nothing else
	}
}

// tidySettings let the engine forget certificates a while after their end:
// gateways and connectors take new ones every day and a half.
func tidySettings() map[string]any {
	return map[string]any{
		"enabled": true, "interval_duration": "12h", "safety_buffer": "72h",
		"tidy_cert_store": true, "tidy_revoked_certs": true,
	}
}

// crlSettings have the list of what is revoked written anew every hour, and let
// it hold as long as the certificates of a gateway: while Vault is away,
// nobody is refused for want of a list before the gateway's own keys end. What
// must act at once is an order of the control log.
func crlSettings() map[string]any {
	return map[string]any{"auto_rebuild": true, "expiry": "72h", "auto_rebuild_grace_period": "71h"}
}

// appRoleSettings are those of every AppRole, with one policy.
func appRoleSettings(policy string) map[string]any {
	return map[string]any{
		"token_policies": []string{policy},
		// Vault's default policy permits more than a role here needs.
		"token_no_default_policy": true,
		"token_type":              "service",
		"token_ttl":               tokenLife, "token_max_ttl": tokenLongestLife,
		"bind_secret_id": true, "secret_id_ttl": secretIDLife, "secret_id_num_uses": 0,
	}
}

// policyName is the server-wide name of a role's policy.
func (p Province) policyName(role string) string {
	return strings.Join([]string{"hub", p.Region, role}, "-")
}
