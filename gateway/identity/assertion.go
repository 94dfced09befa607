package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// AssertionType is client_assertion_type of RFC 7523, section 2.2.
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	maxAssertion = 8 << 10
	// AssertionLife is how far ahead an assertion may end. It bounds how long
	// its id is remembered.
	AssertionLife = 5 * time.Minute
	minAssertion  = 8 // characters of an id that nobody else happens to use
	maxID         = 256
)

// AssertionAlgorithms are those that an assertion may be signed with. None of
// them takes a secret, so a public key is never taken for one.
func AssertionAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256, jose.PS256, jose.RS256}
}

// assertion is the claims of a client assertion: RFC 7523, section 3.
type assertion struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Expires   float64  `json:"exp"`
	NotBefore float64  `json:"nbf"`
	IssuedAt  float64  `json:"iat"`
	ID        string   `json:"jti"`
}

// audience is one string, or a list of one: a list of more could be carried on
// by one of them to another.
type audience string

// UnmarshalJSON reads either form.
func (a *audience) UnmarshalJSON(b []byte) error {
	var list []string
	if err := json.Unmarshal(b, &list); err == nil && len(list) == 1 {
		*a = audience(list[0])
		return nil
	}
	return json.Unmarshal(b, (*string)(a))
}

// CheckAssertion checks the assertion with which a caller, whose certificate is
// known already, authenticates itself once more (private_key_jwt): signed by a
// key that its system registered, or by the certificate's own, for this hub,
// now, and not for long. It returns what must not be seen again, and until
// when.
func (a Authority) CheckAssertion(t *Trust, compact string, c Caller, leaf *x509.Certificate, now time.Time) (once string, until time.Time, err error) {
	refuse := func(format string, args ...any) (string, time.Time, error) {
		return "", time.Time{}, problem.New(problem.AssertionInvalid, format, args...)
	}
	if len(compact) > maxAssertion {
		return refuse("it has more than %d bytes", maxAssertion)
	}
	object, err := jose.ParseSignedCompact(compact, AssertionAlgorithms())
	if err != nil || len(object.Signatures) != 1 {
		return refuse("it is not a JWT signed with one of %v", AssertionAlgorithms())
	}
	payload, err := verified(object, append(t.keys(&c), certificateKey(leaf)))
	if err != nil {
		return "", time.Time{}, err
	}
	var j assertion
	if err := json.Unmarshal(payload, &j); err != nil {
		return refuse("its claims cannot be read")
	}
	if err := j.check(a, c, now); err != nil {
		return "", time.Time{}, err
	}
	sum := sha256.Sum256([]byte(c.Participant + "\x00" + j.ID))
	return base64.RawURLEncoding.EncodeToString(sum[:]), j.ends(), nil
}

// ends is exp, whatever was written there.
func (j *assertion) ends() time.Time { return time.Unix(int64(min(max(j.Expires, 0), 1<<40)), 0) }

// check is RFC 7523, section 3, for one audience and one caller.
func (j *assertion) check(a Authority, c Caller, now time.Time) error {
	refuse := func(format string, args ...any) error { return problem.New(problem.AssertionInvalid, format, args...) }
	switch skewed := now.Add(clockSkew); {
	case j.Issuer != c.Participant || j.Subject != c.Participant:
		return refuse("iss and sub are not the participant of the certificate")
	case string(j.Audience) != a.Issuer && string(j.Audience) != a.TokenEndpoint():
		return refuse("aud is not this hub: use %s", a.Issuer)
	case !now.Before(j.ends()):
		return refuse("it has ended: exp is missing or past")
	case j.ends().After(skewed.Add(AssertionLife)):
		return refuse("exp is more than %s ahead", AssertionLife)
	case j.NotBefore > float64(skewed.Unix()) || j.IssuedAt > float64(skewed.Unix()):
		return refuse("nbf or iat lies in the future")
	case len(j.ID) < minAssertion || len(j.ID) > maxID:
		return refuse("jti has %d characters: %d to %d", len(j.ID), minAssertion, maxID)
	}
	return nil
}

// certificateKey is the key of a certificate, named as x5t#S256 is. A header
// without a kid means it.
func certificateKey(leaf *x509.Certificate) jose.JSONWebKey {
	return jose.JSONWebKey{Key: leaf.PublicKey, KeyID: Thumbprint(leaf)}
}

// verified checks the signature with the key that the header names; the last of
// keys is the certificate's.
func verified(object *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, error) {
	header := object.Signatures[0].Protected
	switch header.ExtraHeaders[jose.HeaderType] {
	case nil, "JWT", "client-authentication+jwt":
	default:
		return nil, problem.New(problem.AssertionInvalid, "its typ is not that of a client's assertion")
	}
	i := len(keys) - 1
	if header.KeyID != "" {
		i = slices.IndexFunc(keys, func(k jose.JSONWebKey) bool { return k.KeyID == header.KeyID })
	}
	if i < 0 {
		return nil, problem.New(problem.AssertionInvalid, "its kid is no key of this system")
	}
	if alg := keys[i].Algorithm; alg != "" && alg != header.Algorithm {
		return nil, problem.New(problem.AssertionInvalid, "the key is registered for another alg")
	}
	payload, err := object.Verify(keys[i].Key)
	if err != nil {
		return nil, problem.Wrap(problem.AssertionInvalid, err, "its signature is not by the key that it names")
	}
	return payload, nil
}
