package httpapi_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/feed"
	"github.com/chuanyu-exchange/hub/gateway/httpapi"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/ledger"
	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/gateway/replay"
	"github.com/chuanyu-exchange/hub/gateway/revocation"
	"github.com/chuanyu-exchange/hub/gateway/signing"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

const region = "500000"

// rig is a gateway of Chongqing with everything around it, on a broker and a
// certificate authority of the test's own, served over TLS.
type rig struct {
	t         testing.TB
	cluster   *kfake.Cluster
	kafka     *kafkalog.Client
	ledger    *ledger.Ledger
	failures  *ledger.Failures
	gateway   *gateway.Gateway
	snapshot  *gateway.Snapshot // what the gateway was started with
	composer  *gateway.Composer
	status    *revocation.Fetcher
	control   *control.Log
	bundleKey ed25519.PrivateKey // of Sichuan
	signer    *signing.Signer
	url       string
	cq, sc    *pkitest.Authority
	logs      *lockedBuffer
	metrics   *httpapi.Metrics
	api       *httpapi.API

	doubts []string                        // warnings of the records that publish puts into Kafka
	alter  func(i int, e *record.Envelope) // what publish says of a record

	schemaFiles, catalogueFiles fs.FS

	mu     sync.Mutex
	offset time.Duration // of the gateway's clock
	unseal func(ctx context.Context, name string, wrapped []byte) ([]byte, error)
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testPolicies are the shipped ones of prices, of complaints and of what extra
// speaks of (to read all of them takes longer than most tests), with agreements
// changed or added.
func testPolicies(t testing.TB, extra map[string]string) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	wanted := "product: price_quote\nproduct: consumer_complaint\n" + strings.Join(slices.Collect(maps.Values(extra)), "\n")
	err := fs.WalkDir(policies.Shipped(), ".", func(path string, d fs.DirEntry, err error) error {
		product, _, _ := strings.Cut(strings.TrimSuffix(d.Name(), ".yaml"), "-")
		if err != nil || d.IsDir() || !strings.Contains(wanted, "product: "+product+"\n") {
			return err
		}
		b, err := fs.ReadFile(policies.Shipped(), path)
		out[path] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range extra {
		out[path] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func newRig(t testing.TB, agreements map[string]string) *rig {
	t.Helper()
	return newRigOn(t, agreements, schemas.Files(), nil)
}

// newRigOn is newRig with schemas and a catalogue of the test's own; nil: the
// shipped one.
func newRigOn(t testing.TB, agreements map[string]string, schemaFiles, catalogueFiles fs.FS) *rig {
	t.Helper()
	r := &rig{schemaFiles: schemaFiles, catalogueFiles: catalogueFiles, t: t, cq: pkitest.New(t, "Chongqing"), sc: pkitest.New(t, "Sichuan"), logs: &lockedBuffer{}, unseal: unwrap}
	var err error
	if r.cluster, err = kfake.NewCluster(kfake.NumBrokers(1)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.cluster.Close)
	if r.kafka, err = kafkalog.Open(t.Context(), kafkalog.Config{Brokers: r.cluster.ListenAddrs(), Timeout: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.kafka.Close() })
	r.snapshot = r.newSnapshot(agreements)
	topics := []kafkalog.Topic{ledger.Topic(region, 1), control.Topic(region, 1)}
	for _, p := range r.snapshot.Catalogue.Products() {
		topics = append(topics, kafkalog.Topic{Name: record.Topic(region, p.ID, p.Major), Partitions: 3})
	}
	if err := r.kafka.CreateTopics(t.Context(), topics...); err != nil {
		t.Fatal(err)
	}
	if r.ledger, err = ledger.Open(t.Context(), r.kafka, region); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.ledger.Close(context.Background()) })
	r.follow()
	r.build()
	r.serve()
	r.adopt()
	return r
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.offset)
}

func (r *rig) setClock(offset time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offset = offset
}

// What this build carries is read once for all tests: it does not change.
var (
	shippedSchemas   = sync.OnceValues(schemas.Shipped)
	shippedCatalogue = sync.OnceValues(func() (*catalogue.Catalogue, error) {
		set, err := shippedSchemas()
		if err != nil {
			return nil, err
		}
		return catalogue.Load(catalogue.Shipped(), set.Sensitivities, catalogue.WithCodes(set.Codes))
	})
	shippedPolicies = sync.OnceValues(func() (*policies.Set, error) {
		cat, err := shippedCatalogue()
		if err != nil {
			return nil, err
		}
		set, err := shippedSchemas()
		if err != nil {
			return nil, err
		}
		return policies.Load(policies.Shipped(), cat, set.Fits)
	})
)

func (r *rig) newSnapshot(agreements map[string]string) *gateway.Snapshot {
	r.t.Helper()
	set, err := shippedSchemas()
	if err != nil {
		r.t.Fatal(err)
	}
	cat, err := shippedCatalogue()
	if err != nil {
		r.t.Fatal(err)
	}
	if r.catalogueFiles != nil {
		if set, err = schemas.Load(r.schemaFiles); err == nil {
			cat, err = catalogue.Load(r.catalogueFiles, set.Sensitivities)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	rules, err := shippedPolicies()
	if agreements != nil {
		rules, err = policies.Load(testPolicies(r.t, agreements), cat, set.Fits)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	trust := identity.NewTrust(map[string]identity.Authorities{region: {Roots: []*x509.Certificate{r.cq.Root}, Names: []string{"cq-*"}}})
	return &gateway.Snapshot{
		Schemas: set, Catalogue: cat, Policies: rules, Trust: trust,
		CursorKeys: []receipt.CursorKey{{Version: 1, Key: []byte("cursor key of thirty-two bytes!!")}},
		HashKeys:   map[string][]byte{"consumer_complaint": []byte("hash key"), "price_quote": []byte("another")},
	}
}

func (r *rig) build() {
	issued := r.cq.Issue(spiffe.Name{Region: region, Role: spiffe.Signing}, pkitest.Valid(time.Now().Add(-time.Hour), time.Now().AddDate(30, 0, 0)))
	r.signer = signing.New(func() (crypto.Signer, []*x509.Certificate) { return issued.Key, issued.Chain }, r.now)
	r.failures = ledger.NewFailures(r.ledger, region, signing.NewID)
	generous := quota.PerMinute(100_000)
	r.gateway = &gateway.Gateway{
		Region: region, Snapshot: r.composer.Snapshot, Orders: r.control,
		Admission: quota.Admission{Store: quota.NewMemory(1000, time.Now), PerAddress: generous, PerCaller: generous, PerRevocation: generous},
		Quota:     quota.Degrade{Shared: quota.NewMemory(1000, time.Now), Local: quota.NewMemory(1000, time.Now)},
		Subjects:  quota.NewMemorySubjects(10_000, time.Now),
		Reader:    feed.New(r.kafka), Signer: r.signer, Ledger: r.ledger, Failures: r.failures,
		Unseal: sealed.NewOpener(func(ctx context.Context, name string, wrapped []byte) ([]byte, error) {
			r.mu.Lock()
			f := r.unseal
			r.mu.Unlock()
			return f(ctx, name, wrapped)
		}, 16),
		Replays: replay.NewMemory(1000, r.now), Proxies: []string{"edge"},
		SignOrder: func(o control.Order) (string, error) { return o.Sign(time.Now(), issued.Key, issued.Chain) },
		Versions:  r.lines().Versions,
		Now:       r.now, NewID: signing.NewID, Logger: slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func (r *rig) serve() {
	r.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(r.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.url = "https://" + l.Addr().String()
	r.composer.Started.Authority = identity.Authority{Region: region, Issuer: r.url, Roots: r.cq.Pool()}
	r.metrics = httpapi.NewMetrics(region)
	r.api = &httpapi.API{Gateway: r.gateway, Keys: r.signer, Subjects: r.lines(), Metrics: r.metrics, Logger: r.gateway.Logger}
	cert := r.cq.Issue(spiffe.Name{Region: region, Role: spiffe.Gateway}).TLS()
	server := r.api.Server(func() *tls.Certificate { return &cert })
	done := make(chan struct{})
	go func() { defer close(done); _ = server.ServeTLS(l, "", "") }()
	r.t.Cleanup(func() { _ = server.Close(); <-done })
}

// unwrap stands for Transit: the wrapped form of a key is its name.
func unwrap(_ context.Context, name string, wrapped []byte) ([]byte, error) {
	if string(wrapped) != "wrapped:"+name {
		return nil, errors.New("not wrapped by this key")
	}
	key := record.Key([]byte("transit"), []byte(name))
	return key[:], nil
}

// publish puts records of a product into Kafka, as a connector would; change
// alters the values of the i-th.
func (r *rig) publish(product string, n int, change func(i int, set func(path, text string))) {
	r.t.Helper()
	p, _ := r.snapshot.Catalogue.Product(product)
	r.publishAs(p.Schema, product, n, change)
}

// publishAs writes records in a version of the schema that need not be the
// newest.
func (r *rig) publishAs(schema, product string, n int, change func(i int, set func(path, text string))) {
	r.t.Helper()
	p, _ := r.snapshot.Catalogue.Product(product)
	s, _ := r.snapshot.Schemas.Schema(schema)
	producer, err := r.kafka.NewProducer(r.t.Context(), kafkalog.ProducerConfig{})
	if err != nil {
		r.t.Fatal(err)
	}
	name := sealed.KeyName(product, "202611")
	key, _ := unwrap(r.t.Context(), name, []byte("wrapped:"+name))
	sealer, err := sealed.NewSealer(name, []byte("wrapped:"+name), key)
	if err != nil {
		r.t.Fatal(err)
	}
	var records []kafkalog.Record
	for i := range n {
		values := make([]schemas.Value, len(s.Leaves))
		for l := range s.Leaves {
			values[l] = placeholder(&s.Leaves[l], i)
		}
		if change != nil {
			change(i, func(path, text string) {
				l, leaf, ok := s.Leaf(path)
				if !ok {
					r.t.Fatalf("no field %s", path)
				}
				values[l] = schemas.TextValue(text)
				if n, err := strconv.ParseInt(text, 10, 64); err == nil && leaf.Kind != schemas.String {
					values[l] = schemas.IntValue(n)
				}
			})
		}
		recordKey := record.Key([]byte("secret"), fmt.Append(nil, product, i))
		body, err := schemas.NewEncoder(s).Append(schemas.AppendFrame(nil, s.ID), values, recordKey[:], sealer)
		if err != nil {
			r.t.Fatal(err)
		}
		content := record.Content([]byte("secret"), body)
		e := record.Envelope{
			Product: product, Provider: p.Providers[region], Operation: record.Upsert, Version: 1, Content: content,
			EventID: record.EventID(recordKey, content, 1), DecisionTime: time.Unix(int64(i), 0), Warnings: r.doubts,
		}
		if r.alter != nil {
			r.alter(i, &e)
		}
		m := kafkalog.Record{Topic: record.Topic(region, product, 1), Partition: kafkalog.AnyPartition, Key: recordKey[:], Value: body}
		for k, v := range e.Headers() {
			m.Headers = append(m.Headers, kafkalog.Header{Key: k, Value: v})
		}
		records = append(records, m)
	}
	if err := errors.Join(producer.Send(r.t.Context(), records), producer.Close(r.t.Context())); err != nil {
		r.t.Fatal(err)
	}
}

// placeholder is some value of a leaf; texts are told apart by i.
func placeholder(l *schemas.Leaf, i int) schemas.Value {
	switch {
	case l.Repeated:
		return schemas.Value{Set: true, Ints: []int64{0}}
	case l.Check == "region": // may be generalised
		return schemas.TextValue("500112")
	case l.Kind == schemas.String:
		return schemas.TextValue(fmt.Sprintf("值 %s %d", l.Path, i))
	}
	return schemas.IntValue(1)
}

// person is who calls: a certificate and, once it has one, a token.
type person struct {
	issued pkitest.Issued
	token  string
	http   *http.Client
}

func (r *rig) system(id, home string) spiffe.Name {
	return spiffe.Name{Region: home, Role: spiffe.System, Participant: id, System: "test"}
}

// person makes a caller with a certificate, without a token; the zero Issued
// presents none.
func (r *rig) person(issued pkitest.Issued) *person {
	config := &tls.Config{RootCAs: r.cq.Pool(), MinVersion: tls.VersionTLS13}
	if issued.Key != nil {
		cert := issued.TLS()
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	p := &person{issued: issued, http: &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 10 * time.Second}}
	r.t.Cleanup(p.http.CloseIdleConnections)
	return p
}

// admitted makes a caller with certificate and token.
func (r *rig) admitted(id string) *person {
	r.t.Helper()
	ca, home := r.sc, "510000"
	if strings.HasPrefix(id, "cq-") {
		ca, home = r.cq, region
	}
	p := r.person(ca.Issue(r.system(id, home)))
	a := r.grant(p, url.Values{"grant_type": {"client_credentials"}})
	if a.status != http.StatusOK {
		r.t.Fatalf("no grant for %s: %+v", id, a)
	}
	var granted struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(a.body, &granted); err != nil {
		r.t.Fatal(err)
	}
	p.token = granted.Token
	return p
}

// answer is what the gateway answered.
type answer struct {
	status int
	code   problem.Code
	body   []byte
	header http.Header
}

func (r *rig) do(p *person, req *http.Request) answer {
	r.t.Helper()
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	res, err := p.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, body: body, header: res.Header}
	if res.StatusCode != http.StatusOK {
		var d problem.Document
		if err := json.Unmarshal(body, &d); err != nil {
			r.t.Fatalf("status %d without a problem document: %q", res.StatusCode, body)
		}
		a.code = d.Code
		if e := d.Code.Entry(); d.Status != res.StatusCode || d.TitleZH != e.ZH || d.Instance == "" {
			r.t.Errorf("the problem document is not whole: %s", body)
		}
	}
	return a
}

func (r *rig) get(p *person, path string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(p, req)
}

func (r *rig) grant(p *person, form url.Values) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r.do(p, req)
}

// entries reads the ledger, counted refusals included.
func (r *rig) entries() []receipt.Entry {
	r.t.Helper()
	if err := r.failures.Flush(r.t.Context(), time.Time{}); err != nil {
		r.t.Fatal(err)
	}
	var out []receipt.Entry
	if err := r.ledger.Scan(r.t.Context(), func(_ int64, e *receipt.Entry) error { out = append(out, *e); return nil }); err != nil {
		r.t.Fatal(err)
	}
	return out
}

// client is the real client of a participant.
func (r *rig) client(id string) *client.Client { return r.clientWith(id, r.snapshot.Schemas) }

// olderClient was built before the rig's schemas were published.
func (r *rig) olderClient(id string) *client.Client { return r.clientWith(id, nil) }

func (r *rig) clientWith(id string, known *schemas.Set) *client.Client {
	r.t.Helper()
	authority, home := r.sc, "510000"
	if strings.HasPrefix(id, "cq-") {
		authority, home = r.cq, "500000"
	}
	cert := authority.Issue(r.system(id, home)).TLS()
	c, err := client.New(client.Config{
		URL: r.url, Region: region, Participant: id, Roots: r.cq.Pool(), Now: time.Now, Schemas: known,
		Certificate: func() *tls.Certificate { return &cert },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.Close)
	return c
}
