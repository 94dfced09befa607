package connectors_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/csvfile"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/internal/sample"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// rig is a pipeline with everything around it: a broker, a drop directory, a
// certificate authority, keys in place of Vault's.
type rig struct {
	t       *testing.T
	cluster *kfake.Cluster
	kafka   *kafkalog.Client
	product *catalogue.Product
	schema  *schemas.Schema
	ca      *pkitest.Authority
	drop    string
	config  connectors.Config

	mu       sync.Mutex
	position connectors.Position
	refused  []*problem.Problem
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
)

func newRig(t *testing.T, productID string) *rig {
	t.Helper()
	return newRigWith(t, productID, mapping(t, productID))
}

func newRigWith(t *testing.T, productID string, m *connectors.Mapping) *rig {
	t.Helper()
	set, err := shippedSchemas()
	if err != nil {
		t.Fatal(err)
	}
	cat, err := shippedCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	product, _ := cat.Product(productID)
	s, _ := set.Schema(product.Schema)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	r := &rig{t: t, cluster: cluster, product: product, schema: s, ca: pkitest.New(t, "Chongqing"), drop: filepath.Join(t.TempDir(), "drop")}
	r.kafka, err = kafkalog.Open(t.Context(), kafkalog.Config{Brokers: cluster.ListenAddrs(), Timeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.kafka.Close() })
	if err := r.kafka.CreateTopics(t.Context(),
		kafkalog.Topic{Name: r.topic(), Partitions: 3}, kafkalog.Topic{Name: record.PositionTopic("500000"), Partitions: 1},
		kafkalog.Topic{Name: record.ManifestTopic("500000"), Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	r.config = connectors.Config{
		Region: "500000", Provider: "cq-test", Product: product, Schema: s, Mapping: m,
		Kafka: r.kafka, ProductKey: []byte("a product's secret of 32 bytes!!"), DataKey: dataKey, Unwrap: unwrap, Sign: r.sign(),
		QuarantineDir: filepath.Join(t.TempDir(), "quarantine"), Now: time.Now, Logger: slog.New(slog.DiscardHandler), ChunkRows: 200,
		Progress: func(p connectors.Position) { r.mu.Lock(); r.position = p; r.mu.Unlock() },
		Refused:  func(p *problem.Problem) { r.mu.Lock(); r.refused = append(r.refused, p); r.mu.Unlock() },
	}
	r.config.Source = r.source()
	return r
}

func (r *rig) topic() string { return record.Topic("500000", r.product.ID, r.product.Major) }

func (r *rig) source() *dropdir.Source {
	r.t.Helper()
	source, err := csvfile.Config{Config: dropdir.Config{Dir: r.drop, Settle: time.Millisecond, Poll: 5 * time.Millisecond, Now: time.Now}}.Open(r.config.Mapping.Columns())
	if err != nil {
		r.t.Fatal(err)
	}
	return source
}

// dataKey stands for Transit: the wrapped form of a key is its name.
func dataKey(_ context.Context, name string) (plain, wrapped []byte, err error) {
	key := record.Key([]byte("transit"), []byte(name))
	return key[:], []byte("wrapped:" + name), nil
}

func unwrap(ctx context.Context, name string, wrapped []byte) ([]byte, error) {
	if string(wrapped) != "wrapped:"+name {
		return nil, errors.New("not wrapped by this key")
	}
	key, _, err := dataKey(ctx, name)
	return key, err
}

func (r *rig) sign() func([]byte) (string, error) {
	issued := r.ca.Issue(spiffe.Name{Region: "500000", Role: spiffe.Connector, Participant: "cq-test", System: r.product.ID})
	signer, err := jws.NewSigner(issued.Key, issued.Chain, manifestType)
	if err != nil {
		r.t.Fatal(err)
	}
	return signer.Sign
}

func (r *rig) put(name string, content []byte) {
	r.t.Helper()
	tmp := filepath.Join(r.drop, "."+name)
	if err := errors.Join(os.WriteFile(tmp, content, 0o600), os.Rename(tmp, filepath.Join(r.drop, name))); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) samples(rows, faultEvery int) (file []byte, declared sample.Declared) {
	r.t.Helper()
	var b bytes.Buffer
	declared, err := sample.CSV(&b, r.product.ID, sample.Options{Region: "500000", Rows: rows, Seed: 1, FaultEvery: faultEvery})
	if err != nil {
		r.t.Fatal(err)
	}
	return b.Bytes(), declared
}

// run runs a pipeline until stop says so or a minute passed.
func (r *rig) run(stop func(connectors.Position) bool) error {
	r.t.Helper()
	p, err := connectors.NewPipeline(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- connectors.Supervise(ctx, p) }()
	for {
		select {
		case err := <-done:
			return err
		case <-time.After(time.Millisecond):
		}
		r.mu.Lock()
		ready := stop(r.position)
		r.mu.Unlock()
		if ready {
			cancel()
			return <-done
		}
	}
}

func batches(n int64) func(connectors.Position) bool {
	return func(p connectors.Position) bool { return p.Batches >= n && p.Complete }
}

// stored is one record of the topic, read back.
type stored struct {
	env  record.Envelope
	line string // the whole record as JSON
}

// records reads all committed records of the topic by key, in their order.
func (r *rig) records() map[string][]stored {
	r.t.Helper()
	all := redact.Obligations{}
	for i := range r.schema.Leaves {
		all[r.schema.Leaves[i].Path] = redact.Obligation{Action: redact.Keep}
	}
	view, err := schemas.CompileView(schemas.ViewSpec{Writer: r.schema, Obligations: all})
	if err != nil {
		r.t.Fatal(err)
	}
	run := schemas.NewRun(nil, sealed.NewOpener(unwrap, 8).Session(r.t.Context(), sealed.Prefix(r.product.ID)))
	out := map[string][]stored{}
	ends, err := r.kafka.Offsets(r.t.Context(), r.topic())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range ends {
		err := r.kafka.ReadRange(r.t.Context(), r.topic(), e.Partition, e.Start, e.Stable, func(m kafkalog.FetchedRecord) error {
			env, err := record.ParseEnvelope(headers(&m))
			if err != nil {
				return err
			}
			_, body, err := schemas.SplitFrame(m.Value)
			if err != nil {
				return err
			}
			line, err := view.Append(nil, body, m.Key, run)
			out[string(m.Key)] = append(out[string(m.Key)], stored{env, string(line)})
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return out
}

func headers(m *kafkalog.FetchedRecord) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, h := range m.Headers {
			if !yield(h.Key, h.Value) {
				return
			}
		}
	}
}

func (r *rig) once(want int) {
	r.t.Helper()
	got := r.records()
	for key, versions := range got {
		if len(versions) != 1 || versions[0].env.Version != 1 {
			r.t.Errorf("key %x took effect %d times", key[:4], len(versions))
		}
	}
	if len(got) != want {
		r.t.Errorf("%d keys in the topic, want %d", len(got), want)
	}
}
