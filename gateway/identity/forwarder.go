package identity

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// CheckForwarder says whether whoever connected is a proxy of the province that
// may speak for others (RFC 9440): by its own certificate over mutual TLS, and
// by its name on the list. An empty list takes nobody.
func CheckForwarder(t *Trust, status Status, region string, listed []string, chain []*x509.Certificate, now time.Time) error {
	peer, err := ofRegion(region, "a proxy", func() (Peer, error) {
		return authenticate(t, status, chain, spiffe.Proxy, "a proxy", now)
	})
	if err != nil {
		return problem.Wrap(problem.ForwardedRefused, err, "who sent it is not a proxy of this province: %s", problem.CodeOf(err))
	}
	if !slices.Contains(listed, peer.Name.System) {
		return problem.New(problem.ForwardedRefused, "proxy %s is not listed", peer.Name.System)
	}
	return nil
}

// IsForwarder says whether a certificate claims to be a proxy's. It proves
// nothing; what a proxy sends on is checked by [CheckForwarder].
func IsForwarder(chain []*x509.Certificate) bool {
	if len(chain) == 0 {
		return false
	}
	name, err := spiffe.Of(chain[0])
	return err == nil && name.Role == spiffe.Proxy
}
