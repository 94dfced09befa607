package identity

import (
	"crypto/subtle"
	"crypto/x509"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// GrantType is the media type in an access token's header (RFC 9068, 2.1).
const GrantType = "at+jwt"

// GrantLife is how long an access token lives. Short, because a revoked one
// must be remembered for as long.
const GrantLife = 10 * time.Minute

// maxToken bounds a token, with the certificates that it carries, before it is
// parsed.
const maxToken = 16 << 10

// Authority is the gateway as the issuer and audience of grants.
type Authority struct {
	Region string
	Issuer string         // URL of the gateway, RFC 8414
	Roots  *x509.CertPool // of this province, which certify its signing keys
}

// Audience is whom this hub's grants are for. It names the province: a grant
// of one is no use at the other.
func (a Authority) Audience() string { return "urn:chuanyu-hub:" + a.Region }

// TokenEndpoint is where grants are given.
func (a Authority) TokenEndpoint() string { return a.Issuer + "/oauth2/token" }

// Serves says whether a resource indicator (RFC 8707) is this hub.
func (a Authority) Serves(resource string) bool {
	return resource == a.Audience() || resource == a.Issuer
}

// Claims of an access token: RFC 9068, section 2.2, and cnf of RFC 8705.
type Claims struct {
	Issuer    string       `json:"iss"`
	Audience  string       `json:"aud"`
	Subject   string       `json:"sub"`
	ClientID  string       `json:"client_id"`
	IssuedAt  int64        `json:"iat"`
	NotBefore int64        `json:"nbf"`
	Expires   int64        `json:"exp"`
	ID        string       `json:"jti"`
	Region    string       `json:"region"` // of the participant
	Scope     string       `json:"scope,omitempty"`
	Confirm   Confirmation `json:"cnf"`
}

// Confirmation names the certificate that a token is bound to.
type Confirmation struct {
	Thumbprint string `json:"x5t#S256"`
}

// Grant writes an access token for a caller, bound to the certificate that it
// called with and narrowed to its scope. sign signs with the gateway's key and
// the type [GrantType].
func (a Authority) Grant(c Caller, id string, now time.Time, sign func(payload []byte) (string, error)) (string, error) {
	payload, err := json.Marshal(Claims{
		Issuer: a.Issuer, Audience: a.Audience(), Subject: c.Participant, ClientID: c.Participant, Region: c.Region, ID: id, Scope: c.Scope,
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Expires: now.Add(GrantLife).Unix(), Confirm: Confirmation{c.Thumbprint},
	})
	if err != nil {
		return "", err
	}
	return sign(payload)
}

// Open checks that an access token is one that this province's gateway issued,
// for itself, now. Who may use it is [Claims.HeldBy].
func (a Authority) Open(token string, now time.Time) (*Claims, error) {
	if token == "" {
		return nil, problem.New(problem.TokenMissing, "")
	}
	if len(token) > maxToken {
		return nil, problem.New(problem.TokenMalformed, "it has more than %d bytes", maxToken)
	}
	m, err := jws.Parse(token, GrantType)
	if err != nil {
		return nil, problem.Wrap(problem.TokenMalformed, err, "")
	}
	leaf, err := m.Verify(a.Roots, now)
	if err != nil {
		return nil, problem.Wrap(problem.TokenForged, err, "")
	}
	if name, err := spiffe.Of(leaf); err != nil || name != (spiffe.Name{Region: a.Region, Role: spiffe.Signing}) {
		return nil, problem.New(problem.TokenForged, "its signer is not the gateway of %s", a.Region)
	}
	var t Claims
	if err := json.Unmarshal(m.Unverified, &t); err != nil { // verified just now
		return nil, problem.Wrap(problem.TokenMalformed, err, "")
	}
	switch {
	case t.Issuer != a.Issuer:
		return nil, problem.New(problem.TokenIssuer, "")
	case t.Audience != a.Audience():
		return nil, problem.New(problem.TokenAudience, "")
	case now.Unix() >= t.Expires:
		return nil, problem.New(problem.TokenExpired, "")
	case now.Add(clockSkew).Unix() < t.NotBefore:
		return nil, problem.New(problem.TokenEarly, "")
	}
	return &t, nil
}

// HeldBy says whether the caller, with the certificate that it called with, is
// whom the token was issued to.
func (t *Claims) HeldBy(c Caller) error {
	switch {
	case subtle.ConstantTimeCompare([]byte(t.Confirm.Thumbprint), []byte(c.Thumbprint)) != 1 || c.Thumbprint == "":
		return problem.New(problem.TokenCertificate, "")
	case !t.IssuedTo(c):
		return problem.New(problem.TokenCertificate, "it was issued to another participant")
	}
	return nil
}

// IssuedTo says whether it is a token of the caller's participant, with
// whatever certificate.
func (t *Claims) IssuedTo(c Caller) bool { return t.Subject == c.Participant && t.Region == c.Region }

// Until is when it ends by itself.
func (t *Claims) Until() time.Time { return time.Unix(t.Expires, 0).UTC() }

// Within says whether the caller's token covers a product.
func (c *Caller) Within(product string) bool {
	return c.Scope == "" || slices.Contains(strings.Fields(c.Scope), product)
}
