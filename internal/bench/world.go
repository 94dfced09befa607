package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/deploy/config"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/internal/sample"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// Who provides and who consumes: what the shipped catalogue says of the
// product that is measured.
const (
	region       = "500000"
	productID    = "price_quote"
	provider     = "cq-commerce"
	consumer     = "sc-commerce"
	consumerHome = "510000"
	purpose      = "price_monitoring"
)

// world is what all scenarios share: the shipped schemas, catalogue and
// mapping, and the rows, written once.
type world struct {
	schemas   *schemas.Set
	catalogue *catalogue.Catalogue
	product   *catalogue.Product
	schema    *schemas.Schema
	mapping   *connectors.Mapping

	rows int
	dir  string // everything that is written lies below it
	file string // the rows as CSV

	self  []string // runs ServeBroker
	kafka []string // brokers of a running Apache Kafka
}

func newWorld(dir string, rows int) (*world, error) {
	w := &world{rows: rows, dir: dir, file: filepath.Join(dir, "rows.csv")}
	var err error
	if w.schemas, err = schemas.Shipped(); err != nil {
		return nil, err
	}
	if w.catalogue, err = catalogue.Load(catalogue.Shipped(), w.schemas.Sensitivities, catalogue.WithCodes(w.schemas.Codes)); err != nil {
		return nil, err
	}
	var ok bool
	if w.product, ok = w.catalogue.Product(productID); !ok {
		return nil, fmt.Errorf("the catalogue has no product %s", productID)
	}
	if w.schema, ok = w.schemas.Schema(w.product.Schema); !ok {
		return nil, fmt.Errorf("there is no schema %s", w.product.Schema)
	}
	name := "mappings/" + productID + "." + region + ".yaml"
	text, err := config.Files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if w.mapping, err = connectors.ParseMapping(name, text, w.schema); err != nil {
		return nil, err
	}
	return w, w.writeRows()
}

// writeRows writes the sample rows: no faults, every key once, the same in
// every run.
func (w *world) writeRows() error {
	f, err := os.OpenFile(w.file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = sample.CSV(f, productID, sample.Options{Region: region, Rows: w.rows, Seed: 1})
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("sample rows: %w", err)
	}
	return nil
}

func (w *world) topic() string { return record.Topic(region, productID, w.product.Major) }

// topics are those that a connector writes.
func (w *world) topics() []kafkalog.Topic {
	return []kafkalog.Topic{
		{Name: w.topic(), Partitions: w.product.Partitions},
		{Name: record.PositionTopic(region), Partitions: 1},
		{Name: record.ManifestTopic(region), Partitions: 1},
	}
}

// scan calls fn with every record of the product's topic, which is valid only
// during the call.
func (w *world) scan(ctx context.Context, b *broker, fn func(partition int32, r *kafkalog.FetchedRecord)) error {
	ends, err := b.client.Offsets(ctx, w.topic())
	if err != nil {
		return err
	}
	for _, e := range ends {
		err := b.client.ReadRange(ctx, w.topic(), e.Partition, e.Start, e.Stable, func(r kafkalog.FetchedRecord) error {
			fn(e.Partition, &r)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
