package spiffe

import (
	"crypto/x509"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Role is what a certificate is for.
type Role uint8

// The roles; the zero value is none.
const (
	None Role = iota
	Gateway
	Signing
	System
	Connector
	Operator
	Proxy        // that ends TLS before a gateway, where one must
	GatewayKafka // a gateway towards its province's Kafka
	Broker       // of a province's Kafka
)

const domainSuffix = ".hub.chuanyu"

// Name is a parsed id.
type Name struct {
	Region      string // six digits
	Role        Role
	Participant string // of System and Connector
	System      string // of System and Proxy; of Connector the product; of Operator who it is
	Duty        Duty   // of Operator
}

// Duty is what an operator is there for: the three of 三员分立 (GB/T 22239-2019),
// who are different people.
type Duty string

// The duties.
const (
	Administration Duty = "administration" // 系统管理员: participants, agreements, trust
	Security       Duty = "security"       // 安全管理员: suspensions, revocations, policies
	Audit          Duty = "audit"          // 审计管理员: reads, changes nothing
)

// Duties are all of them.
func Duties() []Duty { return []Duty{Administration, Security, Audit} }

func (d Duty) known() bool { return slices.Contains(Duties(), d) }

// TrustDomain is the trust domain of a province.
func TrustDomain(region string) string { return region + domainSuffix }

// URL writes the id.
func (n Name) URL() *url.URL {
	u := &url.URL{Scheme: "spiffe", Host: TrustDomain(n.Region)}
	switch n.Role {
	case Gateway:
		u.Path = "/gateway"
	case Signing:
		u.Path = "/gateway/signing"
	case System:
		u.Path = "/participant/" + n.Participant + "/system/" + n.System
	case Connector:
		u.Path = "/participant/" + n.Participant + "/connector/" + n.System
	case Operator:
		u.Path = "/operator/" + string(n.Duty) + "/" + n.System
	case Proxy:
		u.Path = "/proxy/" + n.System
	case GatewayKafka:
		u.Path = "/gateway/kafka"
	case Broker:
		u.Path = "/kafka/broker"
	case None:
	}
	return u
}

func (n Name) String() string { return n.URL().String() }

// ErrName says that a certificate does not carry exactly one id of ours.
var ErrName = errors.New("the certificate does not carry one name of the exchange")

// Parse reads an id. Query, fragment, port, user and escaped characters are
// not part of one and are refused.
func Parse(u *url.URL) (Name, error) {
	region, ours := strings.CutSuffix(u.Host, domainSuffix)
	if !ours || !isRegion(region) {
		return Name{}, ErrName
	}
	n := parsePath(u.Path)
	n.Region = region
	// Written anew it must be the same: no other scheme, port, user, query,
	// fragment or escape.
	if n.Role == None || n.URL().String() != u.String() {
		return Name{}, ErrName
	}
	return n, nil
}

// parsePath reads what the path names; None if it is not one of ours.
func parsePath(path string) (n Name) {
	switch path {
	case "/gateway":
		return Name{Role: Gateway}
	case "/gateway/signing":
		return Name{Role: Signing}
	case "/gateway/kafka":
		return Name{Role: GatewayKafka}
	case "/kafka/broker":
		return Name{Role: Broker}
	}
	switch parts := strings.Split(path, "/"); {
	case are(parts, 5, "participant"):
		n.Participant, n.System = parts[2], parts[4]
		n.Role = map[string]Role{"system": System, "connector": Connector}[parts[3]]
	case are(parts, 4, "operator") && Duty(parts[2]).known():
		n.Role, n.Duty, n.System = Operator, Duty(parts[2]), parts[3]
	case are(parts, 3, "proxy"):
		n.Role, n.System = Proxy, parts[2]
	}
	return n
}

// are says whether the segments of a path, of which the first is empty, are so
// many, of a kind, and name somebody behind it and at the end.
func are(parts []string, n int, kind string) bool {
	return len(parts) == n && parts[1] == kind && isID(parts[2]) && isID(parts[n-1])
}

// Of reads the id of a certificate, which must have one URI name and no other.
func Of(cert *x509.Certificate) (Name, error) {
	if len(cert.URIs) != 1 {
		return Name{}, ErrName
	}
	return Parse(cert.URIs[0])
}

func isRegion(s string) bool {
	return len(s) == 6 && strings.Trim(s, "0123456789") == ""
}

// isID allows what participants, systems and products are named with.
func isID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
