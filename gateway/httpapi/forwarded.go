package httpapi

import (
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// The headers of RFC 9440 in which a proxy passes a client's certificate on.
const (
	headerClientCert  = "Client-Cert"
	headerClientChain = "Client-Cert-Chain"
)

const (
	keyChain     = "chain"
	maxForwarded = 5 // certificates
)

// present finds the certificates that count for the connection. A certificate
// in a header from whoever may not send one refuses the request, whatever it
// asks for: a header that is ignored is believed one day.
func (a *API) present(c *gin.Context) {
	forwarded, err := parseForwarded(c.Request.Header)
	if err == nil {
		var chain []*x509.Certificate
		if chain, err = a.Gateway.Chain(ofConnection(c), forwarded); err == nil {
			c.Set(keyChain, chain)
			return
		}
	} else {
		err = a.noted(c, err)
	}
	a.fail(c, err)
	c.Abort()
}

// ofConnection are the credentials of the connection itself.
func ofConnection(c *gin.Context) gateway.Credentials {
	out := gateway.Credentials{Address: address(c.Request.RemoteAddr)}
	if c.Request.TLS != nil {
		out.Chain = c.Request.TLS.PeerCertificates
	}
	return out
}

// parseForwarded reads Client-Cert and Client-Cert-Chain (RFC 9440, section
// 2): byte sequences of RFC 8941 with certificates in DER, the client's own
// first in what is returned; none without the headers. A name that only looks
// like one of them, as some servers write hyphens, is refused.
func parseForwarded(h http.Header) ([]*x509.Certificate, error) {
	refuse := func(what string) ([]*x509.Certificate, error) {
		return nil, problem.New(problem.ForwardedRefused, "%s", what)
	}
	for name := range h {
		plain := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if plain != name && (plain == headerClientCert || plain == headerClientChain) {
			return refuse("the header is written with an underscore")
		}
	}
	leaf, chain := h.Values(headerClientCert), h.Values(headerClientChain)
	switch {
	case len(leaf) == 0 && len(chain) == 0:
		return nil, nil
	case len(leaf) != 1:
		return refuse("Client-Cert must stand once")
	}
	members := leaf
	for _, line := range chain { // lines of a list are one list (RFC 8941, 4.2)
		members = append(members, strings.Split(line, ",")...)
	}
	if len(members) > maxForwarded {
		return refuse("too many certificates")
	}
	var out []*x509.Certificate
	for _, m := range members {
		c, err := parseBytes(m)
		if err != nil {
			return refuse("it is not a certificate between colons, as RFC 9440 writes it")
		}
		out = append(out, c)
	}
	return out, nil
}

// parseBytes reads a byte sequence, :base64:, that is a certificate. Parameters
// are not part of RFC 9440.
func parseBytes(text string) (*x509.Certificate, error) {
	inner, ok := strings.CutPrefix(strings.Trim(text, " "), ":")
	inner, closed := strings.CutSuffix(inner, ":")
	if !ok || !closed || strings.ContainsAny(inner, "\r\n") {
		return nil, problem.New(problem.ForwardedRefused, "")
	}
	der, err := base64.StdEncoding.Strict().DecodeString(inner)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
