package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/csvfile"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// manifestType is the media type in the header of a batch manifest.
const manifestType = "hub-manifest+jws"

// connectorPass carries the file once.
func (w *world) connectorPass(h *connectorHost, b *broker) (pass, error) {
	job, err := w.newCarriage(h, b)
	if err != nil {
		return pass{}, err
	}
	return pass{run: job.run, close: job.close}, nil
}

// connectorHost is what a connector gets from Vault: the product's secret, data
// keys and a certificate. None of it is asked for per row.
type connectorHost struct {
	productKey []byte
	dataKey    []byte
	sign       func([]byte) (string, error)
}

func newConnectorHost(w *world) (*connectorHost, error) {
	now := time.Now()
	h := &connectorHost{productKey: make([]byte, 32), dataKey: make([]byte, 32)}
	for _, key := range [][]byte{h.productKey, h.dataKey} {
		if _, err := rand.Read(key); err != nil {
			return nil, fmt.Errorf("random key: %w", err)
		}
	}
	ca, err := newAuthority(region, now)
	if err != nil {
		return nil, err
	}
	issued, err := ca.issue(spiffe.Name{Region: region, Role: spiffe.Connector, Participant: provider, System: w.product.ID}, now)
	if err != nil {
		return nil, err
	}
	signer, err := jws.NewSigner(issued.key, issued.chain, manifestType)
	if err != nil {
		return nil, err
	}
	h.sign = signer.Sign
	return h, nil
}

// carriage is one drop of the rows and the pipeline that carries it.
type carriage struct {
	dir      string
	pipeline *connectors.Pipeline
	last     connectors.Position
}

// errCarried ends a pipeline, which else waits for the next file.
var errCarried = errors.New("the file is carried")

// oneFile is a source that ends behind its first file.
type oneFile struct {
	connectors.Source
	taken bool
}

func (s *oneFile) Next(ctx context.Context) (*source.Batch, error) {
	if s.taken {
		return nil, errCarried
	}
	s.taken = true
	return s.Source.Next(ctx)
}

func (w *world) newCarriage(h *connectorHost, b *broker) (_ *carriage, err error) {
	c := &carriage{}
	if c.dir, err = os.MkdirTemp(w.dir, "connector-"); err != nil {
		return nil, err
	}
	drop := filepath.Join(c.dir, "drop")
	config := csvfile.Config{Config: dropdir.Config{Dir: drop, Settle: time.Nanosecond, Poll: time.Millisecond, Now: time.Now}}
	files, err := config.Open(w.mapping.Columns())
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := os.Link(w.file, filepath.Join(drop, "rows.csv")); err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.pipeline, err = connectors.NewPipeline(connectors.Config{
		Region: region, Provider: provider, Product: w.product, Schema: w.schema, Mapping: w.mapping,
		Source: &oneFile{Source: files}, Kafka: b.client, ProductKey: h.productKey, Sign: h.sign,
		DataKey: func(context.Context, string) (plain, wrapped []byte, err error) {
			return h.dataKey, []byte("bench"), nil
		},
		QuarantineDir: filepath.Join(c.dir, "quarantine"), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Progress: func(p connectors.Position) { c.last = p },
	})
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// run carries the file and returns how many of its rows were published.
func (c *carriage) run(ctx context.Context) (int, error) {
	if err := c.pipeline.Run(ctx); !errors.Is(err, errCarried) {
		return 0, err
	}
	if n := c.last.Counts.QuarantinedRows(); n > 0 {
		return 0, fmt.Errorf("%d of the sample rows were quarantined, as %v: is this machine's clock right?", n, c.last.Counts.Quarantined)
	}
	return int(c.last.Counts.Published), nil
}

func (c *carriage) close() error { return os.RemoveAll(c.dir) }

// publish carries all rows into a broker.
func (w *world) publish(ctx context.Context, h *connectorHost, b *broker) error {
	job, err := w.newCarriage(h, b)
	if err != nil {
		return err
	}
	n, err := job.run(ctx)
	if err == nil && n != w.rows {
		err = fmt.Errorf("%d of %d rows were published", n, w.rows)
	}
	return errors.Join(err, job.close())
}
