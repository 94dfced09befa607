package vault

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// Admit makes a token with which one participant may get certificates for its
// own systems, wrapped: the operator never sees it, and whoever opens it first
// uses it up. It can be opened within life, at most 72 h.
func (c *Client) Admit(ctx context.Context, participant string, life time.Duration) (Wrapped, error) {
	if !providerPattern.MatchString(participant) {
		return Wrapped{}, problem.New(problem.ConfigInvalid, "participant %q is not lower-case letters, digits and hyphens", participant)
	}
	if life < time.Minute || life > longestWrap {
		return Wrapped{}, problem.New(problem.ConfigInvalid, "a participant has %s to enrol: between 1m and %s", life, longestWrap)
	}
	s, err := c.do(ctx, request{
		what: "make an enrolment token", method: http.MethodPost, path: c.cfg.Mounts.enrolmentPath(), quiet: true, once: true, wrap: life,
		body: map[string]any{
			"entity_alias": participant, "ttl": seconds(life), "explicit_max_ttl": seconds(life), "num_uses": enrolmentUses,
			"display_name": "enrolment-" + participant,
		},
	})
	if err != nil {
		return Wrapped{}, err
	}
	return wrappedAnswer("make an enrolment token", s)
}

func (m Mounts) enrolmentPath() string {
	return "auth/token/create/" + Province{Region: m.Region}.policyName(policyEnrolment)
}

// WrapSecretID makes a secret id for the AppRole of a connector, wrapped for
// at most 72 h, and returns it with the role id: what goes into its
// configuration and into the file of [SecretFiles.Wrapped].
func (c *Client) WrapSecretID(ctx context.Context, role string, life time.Duration) (roleID string, w Wrapped, err error) {
	if err := checkSegment("AppRole", role); err != nil {
		return "", Wrapped{}, err
	}
	if roleID, err = c.roleID(ctx, c.cfg.Mounts, role); err != nil {
		return "", Wrapped{}, err
	}
	s, err := c.do(ctx, request{
		what: "make a wrapped secret id", method: http.MethodPost, path: secretIDPath(c.cfg.Mounts, role), quiet: true, once: true, wrap: life,
	})
	if err != nil {
		return "", Wrapped{}, err
	}
	w, err = wrappedAnswer("make a wrapped secret id", s)
	return roleID, w, err
}

// Enrol uses a token of [Client.Admit] up and has key, which was made by the
// participant and stays with it, certified for one of its systems. Of cfg it
// takes the server and the mounts. problem.WrappingUsed: somebody else has
// enrolled in the participant's place, or the token has expired.
func Enrol(ctx context.Context, cfg Config, token string, key crypto.Signer, system spiffe.Name) ([]*x509.Certificate, error) {
	cfg = cfg.withDefaults()
	cn, err := cfg.conn()
	if err != nil {
		return nil, err
	}
	defer cn.http.CloseIdleConnections()
	s, err := cn.unwrap(ctx, token, cfg.Mounts.enrolmentPath())
	if err != nil {
		return nil, err
	}
	if s.Auth == nil || s.Auth.ClientToken == "" {
		return nil, errAnswer("unwrap", "no token")
	}
	cn.api.SetToken(s.Auth.ClientToken)
	defer func() {
		// It ends by itself; until then it is of use to nobody but us.
		_, _ = cn.send(context.WithoutCancel(ctx), request{what: "revoke the enrolment token", method: http.MethodPost, path: "auth/token/revoke-self", quiet: true})
	}()
	return certify(ctx, cn.send, cfg, key, enrolmentSpec(system))
}

// Renew has a new key of a system certified by a client that is logged in with
// the system's present certificate; see [LoginParticipant].
func (c *Client) Renew(ctx context.Context, key crypto.Signer, system spiffe.Name) ([]*x509.Certificate, error) {
	return c.Certify(ctx, key, enrolmentSpec(system))
}

func enrolmentSpec(system spiffe.Name) CertificateSpec {
	return CertificateSpec{Role: CertEnrolment, CommonName: system.Participant, URIs: []*url.URL{system.URL()}}
}

// sender makes a call with whatever token it has.
type sender func(ctx context.Context, r request) (*api.Secret, error)

// RotateCursorKey adds a version to the key that seals cursors. Gateways open
// with it as soon as they see it and seal with it once all of them must have;
// see [KeyRing].
func (c *Client) RotateCursorKey(ctx context.Context) error {
	if err := c.newVersion(ctx, c.cfg.Mounts.KV, KeyCursor, nil); err != nil {
		return fmt.Errorf("rotate the cursor key: %w", err)
	}
	return nil
}
