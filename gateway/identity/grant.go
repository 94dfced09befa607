package identity

import (
	"crypto/subtle"
	"crypto/x509"
	"encoding/json"
	"time"

	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// GrantType is the media type in an access token's header (RFC 9068, 2.1).
const GrantType = "at+jwt"

// GrantLife is how long an access token lives. Short, because a token cannot
// be called back.
const GrantLife = 10 * time.Minute

// Authority is the gateway as the issuer and audience of grants.
type Authority struct {
	Region string
	Issuer string         // URL of the gateway, RFC 8414
	Roots  *x509.CertPool // of this province, which certify its signing keys
}

// Audience is whom this hub's grants are for. It names the province: a grant
// of one is no use at the other.
func (a Authority) Audience() string { return "urn:chuanyu-hub:" + a.Region }

// claims of an access token: RFC 9068, section 2.2, and cnf of RFC 8705.
type claims struct {
	Issuer    string       `json:"iss"`
	Audience  string       `json:"aud"`
	Subject   string       `json:"sub"`
	ClientID  string       `json:"client_id"`
	IssuedAt  int64        `json:"iat"`
	NotBefore int64        `json:"nbf"`
	Expires   int64        `json:"exp"`
	ID        string       `json:"jti"`
	Region    string       `json:"region"` // of the participant
	Confirm   confirmation `json:"cnf"`
}

type confirmation struct {
	Thumbprint string `json:"x5t#S256"`
}

// Grant writes an access token for a caller, bound to the certificate that it
// called with. sign signs with the gateway's key and the type [GrantType].
func (a Authority) Grant(c Caller, id string, now time.Time, sign func(payload []byte) (string, error)) (string, error) {
	payload, err := json.Marshal(claims{
		Issuer: a.Issuer, Audience: a.Audience(), Subject: c.Participant, ClientID: c.Participant, Region: c.Region, ID: id,
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Expires: now.Add(GrantLife).Unix(), Confirm: confirmation{c.Thumbprint},
	})
	if err != nil {
		return "", err
	}
	return sign(payload)
}

// CheckGrant checks that an access token is one that this province's gateway
// issued, for itself, now, to this caller and this certificate.
func (a Authority) CheckGrant(token string, c Caller, now time.Time) error {
	if token == "" {
		return problem.New(problem.TokenMissing, "")
	}
	m, err := jws.Parse(token, GrantType)
	if err != nil {
		return problem.Wrap(problem.TokenMalformed, err, "")
	}
	leaf, err := m.Verify(a.Roots, now)
	if err != nil {
		return problem.Wrap(problem.TokenForged, err, "")
	}
	if name, err := spiffe.Of(leaf); err != nil || name != (spiffe.Name{Region: a.Region, Role: spiffe.Signing}) {
		return problem.New(problem.TokenForged, "its signer is not the gateway of %s", a.Region)
	}
	var t claims
	if err := json.Unmarshal(m.Unverified, &t); err != nil { // verified just now
		return problem.Wrap(problem.TokenMalformed, err, "")
	}
	return a.check(&t, c, now)
}

func (a Authority) check(t *claims, c Caller, now time.Time) error {
	switch {
	case t.Issuer != a.Issuer:
		return problem.New(problem.TokenIssuer, "")
	case t.Audience != a.Audience():
		return problem.New(problem.TokenAudience, "")
	case now.Unix() >= t.Expires:
		return problem.New(problem.TokenExpired, "")
	case now.Add(clockSkew).Unix() < t.NotBefore:
		return problem.New(problem.TokenExpired, "it is not valid yet")
	case subtle.ConstantTimeCompare([]byte(t.Confirm.Thumbprint), []byte(c.Thumbprint)) != 1 || c.Thumbprint == "":
		return problem.New(problem.TokenCertificate, "")
	case t.Subject != c.Participant || t.Region != c.Region:
		return problem.New(problem.TokenCertificate, "it was issued to another participant")
	}
	return nil
}
