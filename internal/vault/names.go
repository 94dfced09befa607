package vault

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// Mounts are the paths of the engines and login methods that one province
// uses.
type Mounts struct {
	Region  string // whose they are
	AppRole string // login method, below auth/
	Cert    string // login method, below auth/
	PKI     string
	Transit string
	KV      string // version 2
}

// ProvinceMounts returns the mounts of a province, each below its region, so
// that several provinces can share one server: 500000/approle, 500000/cert,
// 500000/pki, 500000/transit, 500000/kv.
func ProvinceMounts(region string) Mounts {
	return Mounts{
		Region:  region,
		AppRole: region + "/approle",
		Cert:    region + "/cert",
		PKI:     region + "/pki",
		Transit: region + "/transit",
		KV:      region + "/kv",
	}
}

// The AppRoles beside those of the connectors.
const (
	RoleGateway  = "gateway"  // a gateway replica
	RoleKafka    = "kafka"    // a broker of the province's Kafka
	RoleProxy    = "proxy"    // what ends TLS before the gateways, where something must
	RoleOperator = "operator" // admits participants, signs trust bundles, makes cursor keys
	// RoleRegistrar issues operators' certificates and nothing else, so that
	// who runs the platform cannot make itself a second pair of eyes.
	RoleRegistrar = "registrar"
	// RoleAuditor sees when every certificate, token, secret id and key
	// version ends, and none of them.
	RoleAuditor = "auditor"
)

// The PKI roles beside those of the connectors.
const (
	CertGatewayTLS     = "gateway-tls"     // spiffe://<trust domain>/gateway, server authentication
	CertGatewaySigning = "gateway-signing" // spiffe://<trust domain>/gateway/signing, signs documents
	CertGatewayKafka   = "gateway-kafka"   // spiffe://<trust domain>/gateway/kafka, client authentication
	CertKafkaBroker    = "kafka-broker"    // spiffe://<trust domain>/kafka/broker, server and client authentication
	CertProxy          = "proxy"           // spiffe://<trust domain>/proxy/<name>, client authentication
	// CertEnrolment certifies a participant's own systems, and those of no
	// other: for whoever shows the participant's enrolment token, or logs in
	// with its certificate.
	CertEnrolment = "enrolment"
)

// LoginParticipant is the certificate login by which a participant renews its
// certificate before that ends.
const LoginParticipant = "participant"

// CertOperator certifies operators of one duty:
// spiffe://<trust domain>/operator/<duty>/<name>, client authentication.
func CertOperator(duty spiffe.Duty) string { return "operator-" + string(duty) }

// The keys that every province has.
const (
	KeyTrustBundle    = "trust-bundle"    // Transit, Ed25519
	KeyGatewaySigning = "gateway-signing" // Transit, Ed25519: for gateways whose signing key must not leave Vault
	KeyCursor         = "cursor"          // KV
)

// KeyRecord is the name in KV of the secret under which a product's record
// keys and content digests are made.
func KeyRecord(product string) string { return "record/" + product }

// KeyHash is the name in KV of the secret under which fields of a product are
// hashed for consumers.
func KeyHash(product string) string { return "hash/" + product }

// ConnectorRole is the one connector that publishes a provider's records of a
// product.
type ConnectorRole struct {
	Provider string // participant id, e.g. cq-commerce
	Product  string // catalogue id, e.g. price_quote
}

// Name is the connector's AppRole and PKI role: connector-<provider>-<product>.
func (r ConnectorRole) Name() string { return "connector-" + r.Provider + "-" + r.Product }

// QuarantineKey is the Transit key that seals the connector's quarantined
// rows, which only the connector can open.
func (r ConnectorRole) QuarantineKey() string { return "quarantine-" + r.Provider + "-" + r.Product }

// sealPrefix begins the name of every sealing key of a product:
// seal-<product>-<yyyymm>.
func sealPrefix(product string) string { return "seal-" + product + "-" }

// Names become part of paths and policies, so they are checked before use. A
// product holds no hyphen: a policy for seal-<product>-* would otherwise cover
// the keys of a product whose name only begins alike.
var (
	regionPattern      = regexp.MustCompile(`^[0-9]{6}$`)
	trustDomainPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,125}[a-z0-9])?$`)
	productPattern     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	providerPattern    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	segmentPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$`)
)

// checkSegment refuses a name that would not be exactly one segment of a path:
// names of sealing keys come out of records, so out of strangers' hands.
func checkSegment(kind, name string) error {
	if !segmentPattern.MatchString(name) {
		return fmt.Errorf("name of a %s: %d bytes that are not 1 to 200 letters, digits, dots, hyphens and underscores: %w", kind, len(name), ErrNotFound)
	}
	return nil
}

func checkPath(kind, name string) error {
	segments := strings.Split(name, "/")
	if len(segments) > 4 {
		return fmt.Errorf("name of a %s has %d segments, at most 4: %w", kind, len(segments), ErrNotFound)
	}
	for _, s := range segments {
		if err := checkSegment(kind, s); err != nil {
			return err
		}
	}
	return nil
}
