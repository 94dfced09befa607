//go:build e2e

package vault_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
)

func TestGatewayMayDoItsDutyAndNothingElse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g := open(t, server, "500000", vault.RoleGateway)
	permitted(t, "readiness", g.Ready(ctx))
	serverSpec := spec(vault.CertGatewayTLS, "spiffe://500000.hub.chuanyu/gateway")
	serverSpec.CommonName, serverSpec.DNSNames = vault.CertGatewayTLS, []string{"localhost", "gateway.500000.hub.chuanyu"}
	serverSpec.IPs = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	permitted(t, "TLS certificate", certify(t, g, serverSpec))
	permitted(t, "signing certificate", certify(t, g, spec(vault.CertGatewaySigning, "spiffe://500000.hub.chuanyu/gateway/signing")))
	permitted(t, "certificate for Kafka", certify(t, g, spec(vault.CertGatewayKafka, "spiffe://500000.hub.chuanyu/gateway/kafka")))
	permitted(t, "cursor key", keysErr(g.SharedKeys(ctx, vault.KeyCursor)))
	permitted(t, "hash key", keysErr(g.SharedKeys(ctx, vault.KeyHash("price_quote"))))

	for _, name := range []string{
		"spiffe://510000.hub.chuanyu/gateway", "spiffe://500000.hub.chuanyu/gateway/signing", "spiffe://500000.hub.chuanyu/gatewayx",
		"spiffe://500000.hub.chuanyu/participant/cq-amr",
	} {
		denied(t, "TLS certificate for "+name, certify(t, g, spec(vault.CertGatewayTLS, name)))
	}
	for _, change := range []func(*vault.CertificateSpec){
		func(s *vault.CertificateSpec) { s.CommonName = "other" },
		func(s *vault.CertificateSpec) { s.DNSNames = []string{"example.com"} },
		func(s *vault.CertificateSpec) { s.DNSNames = []string{"x.gateway.500000.hub.chuanyu"} },
		func(s *vault.CertificateSpec) { s.DNSNames = []string{"*.500000.hub.chuanyu"} },
	} {
		s := spec(vault.CertGatewayTLS, "spiffe://500000.hub.chuanyu/gateway")
		change(&s)
		denied(t, fmt.Sprintf("TLS certificate for %q %q", s.CommonName, s.DNSNames), certify(t, g, s))
	}
	withIP := spec(vault.CertGatewaySigning, "spiffe://500000.hub.chuanyu/gateway/signing")
	withIP.IPs = []net.IP{net.IPv4(127, 0, 0, 1)}
	denied(t, "signing certificate for an address", certify(t, g, withIP))
	denied(t, "a certificate for Kafka by another name", certify(t, g, spec(vault.CertGatewayKafka, "spiffe://500000.hub.chuanyu/gateway")))
	denied(t, "a broker's certificate", certify(t, g, spec(vault.CertKafkaBroker, "spiffe://500000.hub.chuanyu/kafka/broker")))
	denied(t, "a participant's certificate", certify(t, g, spec(vault.CertEnrolment, "spiffe://500000.hub.chuanyu/participant/cq-amr/system/x")))
	denied(t, "a proxy's certificate", certify(t, g, spec(vault.CertProxy, "spiffe://500000.hub.chuanyu/proxy/edge")))
	denied(t, "a connector's certificate", certify(t, g, spec(price.Name(), "spiffe://500000.hub.chuanyu/participant/cq-commerce/connector/price_quote")))
	denied(t, "record key", keysErr(g.SharedKeys(ctx, vault.KeyRecord("price_quote"))))
	_, err := g.Sign(ctx, vault.KeyTrustBundle, []byte("x"))
	denied(t, "trust bundle", err)
	denied(t, "creating a sealing key", g.CreateSealKey(ctx, "seal-price_quote-209901"))
	denied(t, "a data key", dataKeyErr(g.DataKey(ctx, "seal-price_quote-209901")))
	_, err = g.UnwrapDataKey(ctx, price.QuarantineKey(), []byte("vault:v1:AAAA"))
	denied(t, "opening quarantine", err)
}

func TestBrokerIsCertifiedAndNothingElse(t *testing.T) {
	t.Parallel()
	b := open(t, server, "500000", vault.RoleKafka)
	s := spec(vault.CertKafkaBroker, "spiffe://500000.hub.chuanyu/kafka/broker")
	s.DNSNames, s.IPs = []string{"localhost", "b1.kafka.500000.hub.chuanyu"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	permitted(t, "certificate", certify(t, b, s))
	s.DNSNames = []string{"gateway.500000.hub.chuanyu"}
	denied(t, "a certificate for the gateway's host", certify(t, b, s))
	denied(t, "the gateway's certificate", certify(t, b, spec(vault.CertGatewayTLS, "spiffe://500000.hub.chuanyu/gateway")))
	denied(t, "the gateway's certificate for Kafka", certify(t, b, spec(vault.CertGatewayKafka, "spiffe://500000.hub.chuanyu/gateway/kafka")))
	denied(t, "cursor key", keysErr(b.SharedKeys(t.Context(), vault.KeyCursor)))
}

func TestProxyIsCertifiedAndNothingElse(t *testing.T) {
	t.Parallel()
	p := open(t, server, "500000", vault.RoleProxy)
	permitted(t, "certificate", certify(t, p, spec(vault.CertProxy, "spiffe://500000.hub.chuanyu/proxy/edge")))
	for _, name := range []string{"spiffe://510000.hub.chuanyu/proxy/edge", "spiffe://500000.hub.chuanyu/gateway", "spiffe://500000.hub.chuanyu/participant/cq-amr/system/x"} {
		denied(t, "a certificate for "+name, certify(t, p, spec(vault.CertProxy, name)))
	}
	denied(t, "the gateway's certificate", certify(t, p, spec(vault.CertGatewayTLS, "spiffe://500000.hub.chuanyu/gateway")))
}

func TestConnectorMayDoItsDutyAndNothingElse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := open(t, server, "500000", price.Name())
	g := open(t, server, "500000", vault.RoleGateway)
	const own = "spiffe://500000.hub.chuanyu/participant/cq-commerce/connector/price_quote"
	permitted(t, "own certificate", certify(t, c, spec(price.Name(), own)))
	permitted(t, "own record key", keysErr(c.SharedKeys(ctx, vault.KeyRecord("price_quote"))))
	const key = "seal-price_quote-202610"
	permitted(t, "sealing key", c.CreateSealKey(ctx, key))
	permitted(t, "sealing key, again", c.CreateSealKey(ctx, key))
	plain, wrapped, err := c.DataKey(ctx, key)
	if err != nil || len(plain) != 32 {
		t.Fatalf("data key of %d bytes, %v", len(plain), err)
	}
	if got, err := g.UnwrapDataKey(ctx, key, wrapped); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("the gateway unwraps %d bytes, %v", len(got), err)
	}
	_, err = c.UnwrapDataKey(ctx, key, wrapped)
	denied(t, "opening what was sealed", err)
	hidden, hiddenWrapped, err := c.DataKey(ctx, price.QuarantineKey())
	permitted(t, "quarantine data key", err)
	if got, err := c.UnwrapDataKey(ctx, price.QuarantineKey(), hiddenWrapped); err != nil || !bytes.Equal(got, hidden) {
		t.Errorf("own quarantine: %d bytes, %v", len(got), err)
	}

	for _, name := range []string{
		"spiffe://500000.hub.chuanyu/participant/cq-amr/connector/consumer_complaint", "spiffe://500000.hub.chuanyu/participant/cq-commerce",
		"spiffe://510000.hub.chuanyu/participant/cq-commerce/connector/price_quote", "spiffe://500000.hub.chuanyu/gateway", own + "/x",
	} {
		denied(t, "own role for "+name, certify(t, c, spec(price.Name(), name)))
	}
	denied(t, "own role for two names", certify(t, c, spec(price.Name(), own, "spiffe://500000.hub.chuanyu/gateway")))
	local := spec(price.Name(), own)
	local.DNSNames = []string{"localhost"}
	denied(t, "own role for localhost", certify(t, c, local))
	denied(t, "the gateway's role", certify(t, c, spec(vault.CertGatewayTLS, "spiffe://500000.hub.chuanyu/gateway")))
	denied(t, "another connector's role", certify(t, c, spec(complaint.Name(), "spiffe://500000.hub.chuanyu/participant/cq-amr/connector/consumer_complaint")))
	for _, name := range []string{vault.KeyRecord("consumer_complaint"), vault.KeyHash("price_quote"), vault.KeyCursor} {
		denied(t, "shared key "+name, keysErr(c.SharedKeys(ctx, name)))
	}
	denied(t, "another product's sealing key", c.CreateSealKey(ctx, "seal-consumer_complaint-202610"))
	denied(t, "another product's data key", dataKeyErr(c.DataKey(ctx, "seal-consumer_complaint-202610")))
	denied(t, "another's quarantine", dataKeyErr(c.DataKey(ctx, complaint.QuarantineKey())))
	_, err = c.Sign(ctx, vault.KeyTrustBundle, []byte("x"))
	denied(t, "trust bundle", err)
}

func TestConnectorsTokenIsRefusedEverythingElse(t *testing.T) {
	t.Parallel()
	token := tokenOf(t, "500000", price.Name())
	sealing := open(t, server, "500000", price.Name())
	if err := sealing.CreateSealKey(t.Context(), "seal-price_quote-202611"); err != nil {
		t.Fatal(err)
	}
	const key = "500000/transit/keys/seal-price_quote-202611"
	for _, c := range []struct{ method, path, body string }{
		{"DELETE", key, ""},
		{"GET", key, ""},
		{"POST", key + "/config", `{"min_decryption_version":1}`},
		{"POST", key + "/config", `{"deletion_allowed":false}`},
		{"POST", key + "/config", `{"exportable":true}`},
		{"POST", key + "/trim", `{"min_available_version":1}`},
		{"POST", "500000/transit/keys/seal-price_quote-202612", `{"type":"aes256-gcm96","exportable":true}`},
		{"POST", "500000/transit/keys/seal-price_quote-202612", `{"type":"rsa-2048"}`},
		{"POST", "500000/transit/keys/seal-price_quote-202612", `{"allow_plaintext_backup":true}`},
		{"GET", "500000/transit/export/encryption-key/seal-price_quote-202611", ""},
		{"GET", "500000/transit/backup/seal-price_quote-202611", ""},
		{"POST", "500000/transit/decrypt/seal-price_quote-202611", `{"ciphertext":"vault:v1:AAAA"}`},
		{"POST", "500000/transit/rewrap/seal-price_quote-202611", `{"ciphertext":"vault:v1:AAAA"}`},
		{"LIST", "500000/transit/keys", ""},
		{"POST", "500000/kv/data/record/price_quote", `{"data":{"key":"x"}}`},
		{"DELETE", "500000/kv/data/record/price_quote", ""},
		{"DELETE", "500000/kv/metadata/record/price_quote", ""},
		{"LIST", "500000/kv/metadata/record", ""},
		{"GET", "510000/kv/data/record/price_quote", ""},
		{"POST", "500000/pki/issue/" + price.Name(), `{}`},
		{"POST", "500000/pki/sign-verbatim", `{}`},
		{"POST", "500000/pki/root/sign-intermediate", `{}`},
		{"POST", "500000/pki/roles/" + price.Name(), `{"allow_any_name":true}`},
		{"POST", "500000/pki/issuer/default/sign/gateway-tls", `{}`},
		{"POST", "auth/500000/approle/role/gateway/secret-id", ""},
		{"GET", "auth/500000/approle/role/gateway/role-id", ""},
		{"POST", "auth/token/create", ""},
		{"GET", "sys/mounts", ""},
		{"GET", "sys/policies/acl/hub-500000-gateway", ""},
		{"POST", "sys/policies/acl/hub-500000-gateway", `{"policy":""}`},
		{"PUT", "sys/seal", ""},
		{"POST", "cubbyhole/x", `{"a":"b"}`},
	} {
		if status, _ := raw(t, server, token, c.method, c.path, c.body); status != http.StatusForbidden {
			t.Errorf("%s %s %s: status %d", c.method, c.path, c.body, status)
		}
	}
}

// A request for a forbidden name must fail also when the name stands in the
// certificate request, where the engine looks by default.
func TestNamesInTheCertificateRequestDoNotCount(t *testing.T) {
	t.Parallel()
	key, err := newP256()
	if err != nil {
		t.Fatal(err)
	}
	foreign := spec("", "spiffe://500000.hub.chuanyu/gateway").URIs
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: foreign, DNSNames: []string{"example.com"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	body, _ := json.Marshal(map[string]string{"csr": csr})
	for _, role := range []string{vault.CertGatewayTLS, vault.CertGatewaySigning, vault.CertGatewayKafka, vault.CertKafkaBroker, vault.CertProxy, price.Name()} {
		_, data := raw(t, server, server.RootToken(), http.MethodPost, "500000/pki/sign/"+role, string(body))
		text, _ := data["certificate"].(string)
		if text == "" {
			continue // refused, which is as good
		}
		block, _ := pem.Decode([]byte(text))
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || len(cert.URIs) > 0 || len(cert.DNSNames) > 0 || cert.Subject.CommonName != "" {
			t.Errorf("%s certified %v %v %q, %v", role, cert.URIs, cert.DNSNames, cert.Subject.CommonName, err)
		}
	}
}

func TestOperator(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o := open(t, server, "510000", vault.RoleOperator)
	public, err := o.PublicKey(ctx, vault.KeyTrustBundle)
	if err != nil {
		t.Fatal(err)
	}
	bundle := []byte("trust bundle")
	signature, err := o.Sign(ctx, vault.KeyTrustBundle, bundle)
	if err != nil || !ed25519.Verify(public, bundle, signature) || ed25519.Verify(public, []byte("other"), signature) {
		t.Errorf("signature: %v", err)
	}
	// Who admits participants is none of them.
	for _, name := range []string{"spiffe://510000.hub.chuanyu/participant/sc-amr/system/x", "spiffe://510000.hub.chuanyu/participant/sc-amr/connector/price"} {
		participant := spec(vault.CertEnrolment, name)
		participant.CommonName = "sc-amr"
		denied(t, "a certificate for "+name, certify(t, o, participant))
	}
	denied(t, "a proxy", certify(t, o, spec(vault.CertProxy, "spiffe://510000.hub.chuanyu/proxy/edge")))
	denied(t, "a gateway", certify(t, o, spec(vault.CertGatewayTLS, "spiffe://510000.hub.chuanyu/gateway")))
	denied(t, "cursor key", keysErr(o.SharedKeys(ctx, vault.KeyCursor)))
}

func TestProvincesAreApart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	a, b := open(t, server, "500000", vault.RoleGateway), open(t, server, "510000", vault.RoleGateway)
	rootA, err := a.Authorities(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rootB, err := b.Authorities(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(rootA) != 1 || len(rootB) != 1 || rootA[0].Equal(rootB[0]) {
		t.Fatal("the provinces share an authority")
	}
	checkRoot(t, rootA[0], "500000")
	keysA, errA := a.SharedKeys(ctx, vault.KeyCursor)
	keysB, errB := b.SharedKeys(ctx, vault.KeyCursor)
	if errA != nil || errB != nil || bytes.Equal(keysA[0].Key, keysB[0].Key) {
		t.Errorf("cursor keys: %v, %v", errA, errB)
	}
	stranger := tokenOf(t, "510000", vault.RoleGateway)
	if status, _ := raw(t, server, stranger, "GET", "500000/kv/data/cursor", ""); status != http.StatusForbidden {
		t.Errorf("a gateway of the other province reads the cursor key: status %d", status)
	}
}

func checkRoot(t *testing.T, root *x509.Certificate, region string) {
	t.Helper()
	if !strings.Contains(root.Subject.CommonName, region) || !root.IsCA || root.NotAfter.Before(time.Now().AddDate(9, 11, 0)) || !root.MaxPathLenZero {
		t.Errorf("root %q until %s", root.Subject.CommonName, root.NotAfter)
	}
	if k, ok := root.PublicKey.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		t.Errorf("root key %T", root.PublicKey)
	}
}

// What the certificates are good for, as Go's TLS sees it.
func TestUseOfCertificates(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g, o := open(t, server, "500000", vault.RoleGateway), open(t, server, "500000", vault.RoleOperator)
	roots := x509.NewCertPool()
	authorities, err := g.Authorities(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range authorities {
		roots.AddCert(a)
	}
	serverSpec := spec(vault.CertGatewayTLS, "spiffe://500000.hub.chuanyu/gateway")
	serverSpec.DNSNames, serverSpec.IPs = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	serving := identity(t, g, serverSpec, newP256)
	caller := enrolled(t, o, system("cq-amr", "exchange"))
	connector := identity(t, open(t, server, "500000", price.Name()), spec(price.Name(), "spiffe://500000.hub.chuanyu/participant/cq-commerce/connector/price_quote"), newEd25519)
	signing := identity(t, g, spec(vault.CertGatewaySigning, "spiffe://500000.hub.chuanyu/gateway/signing"), newEd25519)

	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return serving.TLSCertificate(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.NotFoundHandler(), ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = s.Serve(listener) }()
	defer func() { _ = s.Close() }()
	handshake := func(cert *tls.Certificate) error {
		d := tls.Dialer{Config: &tls.Config{RootCAs: roots, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return cert, nil
		}}}
		conn, err := d.DialContext(ctx, "tcp", listener.Addr().String())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		// A refusal of the client's certificate arrives after the handshake.
		if _, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 1))
		return err
	}
	permitted(t, "participant as client", handshake(caller))
	permitted(t, "connector as client", handshake(connector.TLSCertificate()))
	for name, id := range map[string]*vault.Identity{"signing": signing, "server": serving} {
		if handshake(id.TLSCertificate()) == nil {
			t.Errorf("the %s certificate passes as a client's", name)
		}
	}
	leaf := signing.Current().Chain[0]
	if leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("signing certificate: key usage %b", leaf.KeyUsage)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}); err == nil {
		t.Error("the signing certificate is good for TLS")
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Errorf("the signing certificate is good for nothing: %v", err)
	}
}

// enrolled is a participant's system as its owner enrols it.
func enrolled(t *testing.T, operator *vault.Client, name spiffe.Name) *tls.Certificate {
	t.Helper()
	w, err := operator.Admit(t.Context(), name.Participant, time.Hour)
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	key, err := newP256()
	if err != nil {
		t.Fatal(err)
	}
	chain, err := vault.Enrol(t.Context(), vault.Config{Address: server.Address(), Mounts: vault.ProvinceMounts(name.Region)}, w.Token, key, name)
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	return &tls.Certificate{Certificate: [][]byte{chain[0].Raw}, PrivateKey: key}
}

func identity(t *testing.T, c *vault.Client, s vault.CertificateSpec, newKey func() (crypto.Signer, error)) *vault.Identity {
	t.Helper()
	id, err := c.NewIdentity(t.Context(), s, newKey)
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	return id
}
