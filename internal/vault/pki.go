package vault

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	maxAuthorities = 64              // issuers of one mount
	ttlTolerance   = 5 * time.Minute // by which a certificate may outlive what was asked: clocks differ
)

// CertificateSpec is what to ask a PKI role for. The role decides whether it
// may be had: see provision.go for the names that each permits.
type CertificateSpec struct {
	Role       string
	CommonName string // optional: the role's name; for a participant its id
	URIs       []*url.URL
	DNSNames   []string
	IPs        []net.IP
	TTL        time.Duration // 0: the role's default; more than its maximum is cut to that
}

// Certify has the public half of key certified and returns the leaf first,
// then its issuers up to the root. The private half does not leave the process
// (invariant 8). What came back is checked: it holds our key, exactly the names
// asked for, is signed by what follows it, and is valid now.
//
// [ErrDenied] says that the role does not permit the names or the life asked
// for, or that the token may not use the role.
func (c *Client) Certify(ctx context.Context, key crypto.Signer, spec CertificateSpec) ([]*x509.Certificate, error) {
	return certify(ctx, c.do, c.cfg, key, spec)
}

func certify(ctx context.Context, send sender, cfg Config, key crypto.Signer, spec CertificateSpec) ([]*x509.Certificate, error) {
	if err := checkSegment("PKI role", spec.Role); err != nil {
		return nil, err
	}
	// The names travel beside the request, not in it: the roles take none from
	// it (use_csr_sans and use_csr_common_name are off), because a role that
	// does would certify what the request says, whatever was asked for here.
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request for %s: %w", spec.Role, err)
	}
	s, err := send(ctx, request{
		what: "certify a key", method: http.MethodPost, path: cfg.Mounts.PKI + "/sign/" + spec.Role,
		body: spec.body(der),
	})
	if errors.Is(err, errRejected) {
		return nil, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	if s != nil {
		chain, err = parseIssued(s.Data)
	}
	if err == nil {
		err = spec.verify(chain, key.Public(), cfg.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("certificate from role %s: %w", spec.Role, err)
	}
	return chain, nil
}

func (s CertificateSpec) body(csr []byte) map[string]any {
	b := map[string]any{
		"csr":                  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})),
		"format":               "pem",
		"common_name":          s.CommonName,
		"exclude_cn_from_sans": true,
	}
	if len(s.DNSNames) > 0 {
		b["alt_names"] = strings.Join(s.DNSNames, ",")
	}
	if len(s.IPs) > 0 {
		b["ip_sans"] = strings.Join(texts(s.IPs), ",")
	}
	if len(s.URIs) > 0 {
		b["uri_sans"] = strings.Join(texts(s.URIs), ",")
	}
	if s.TTL > 0 {
		b["ttl"] = seconds(s.TTL)
	}
	return b
}

// parseIssued reads the answer of a PKI role: certificate and ca_chain, which
// ends with the root; issuing_ca where there is no chain.
func parseIssued(data map[string]any) ([]*x509.Certificate, error) {
	issuers, _ := data["ca_chain"].([]any)
	if len(issuers) == 0 {
		issuers = []any{data["issuing_ca"]}
	}
	if len(issuers) > maxAuthorities {
		return nil, fmt.Errorf("chain of %d issuers, at most %d", len(issuers), maxAuthorities)
	}
	chain := make([]*x509.Certificate, 0, 1+len(issuers))
	for _, text := range append([]any{data["certificate"]}, issuers...) {
		cert, err := parseCertificate(text)
		if err != nil {
			return nil, fmt.Errorf("part %d of the answer: %w", len(chain), err)
		}
		chain = append(chain, cert)
	}
	return chain, nil
}

// parseCertificate reads a field of an answer.
func parseCertificate(field any) (*x509.Certificate, error) {
	text, _ := field.(string)
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("not a certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// verify compares what was issued with what was asked for.
func (s CertificateSpec) verify(chain []*x509.Certificate, public crypto.PublicKey, now time.Time) error {
	if len(chain) < 2 {
		return errors.New("the answer holds no certificate, or no issuer")
	}
	leaf := chain[0]
	ours, ok := public.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !ours.Equal(leaf.PublicKey) {
		return errors.New("it holds another key than ours")
	}
	if leaf.IsCA {
		return errors.New("it is an authority's, not a leaf's")
	}
	if err := s.verifyNames(leaf); err != nil {
		return err
	}
	if now.Before(leaf.NotBefore) || !now.Before(leaf.NotAfter) {
		return fmt.Errorf("valid from %s to %s, but it is %s: compare the clocks of this machine and of Vault",
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if s.TTL > 0 && leaf.NotAfter.After(now.Add(s.TTL+ttlTolerance)) {
		return fmt.Errorf("valid until %s, longer than the %s asked for", leaf.NotAfter.UTC().Format(time.RFC3339), s.TTL)
	}
	for i, c := range chain[:len(chain)-1] {
		if err := c.CheckSignatureFrom(chain[i+1]); err != nil {
			return fmt.Errorf("part %d of the chain is not signed by what follows it: %w", i, err)
		}
	}
	return nil
}

// verifyNames compares names as sets: one too many is as wrong as one too few.
func (s CertificateSpec) verifyNames(leaf *x509.Certificate) error {
	for _, n := range []struct {
		kind      string
		want, got []string
	}{
		{"common name", []string{s.CommonName}, []string{leaf.Subject.CommonName}},
		{"URIs", texts(s.URIs), texts(leaf.URIs)},
		{"DNS names", s.DNSNames, leaf.DNSNames},
		{"IP addresses", texts(s.IPs), texts(leaf.IPAddresses)},
		{"email addresses", nil, leaf.EmailAddresses},
	} {
		want, got := set(n.want), set(n.got)
		if !slices.Equal(want, got) {
			return fmt.Errorf("its %s are %q, not %q", n.kind, got, want)
		}
	}
	return nil
}

func set(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

func texts[T fmt.Stringer](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.String()
	}
	return out
}

// Authorities returns the certificates of all issuers of the province that are
// valid now: more than one while one authority takes over from another. There
// is always at least one, or an error.
func (c *Client) Authorities(ctx context.Context) ([]*x509.Certificate, error) {
	list, err := c.do(ctx, request{what: "list the authorities", method: "LIST", path: c.cfg.Mounts.PKI + "/issuers"})
	if err != nil {
		return nil, err
	}
	ids, _ := list.Data["keys"].([]any)
	if len(ids) > maxAuthorities {
		return nil, fmt.Errorf("%d authorities in %s, at most %d", len(ids), c.cfg.Mounts.PKI, maxAuthorities)
	}
	var out []*x509.Certificate
	for _, v := range ids {
		id, _ := v.(string)
		if err := checkSegment("authority", id); err != nil {
			return nil, err
		}
		s, err := c.do(ctx, request{what: "read an authority", method: http.MethodGet, path: c.cfg.Mounts.PKI + "/issuer/" + id + "/json"})
		if err != nil {
			return nil, err
		}
		cert, err := parseCertificate(s.Data["certificate"])
		if err != nil {
			return nil, fmt.Errorf("authority %s of %s: %w", id, c.cfg.Mounts.PKI, err)
		}
		if now := c.cfg.Now(); !now.Before(cert.NotBefore) && now.Before(cert.NotAfter) {
			out = append(out, cert)
		}
	}
	if len(out) == 0 {
		return nil, problem.New(problem.ConfigInvalid, "no authority in %s is valid now; provision the province", c.cfg.Mounts.PKI)
	}
	return out, nil
}
