package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/chuanyu-exchange/hub/connectors/instance"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// mark is where the topics of a road ended before a run.
type mark struct {
	topic, manifests []kafkalog.PartitionOffsets
}

func (d *dev) mark(ctx context.Context) (map[*road]mark, error) {
	marks := map[*road]mark{}
	for _, r := range d.roads {
		topic, err := r.province.kafka.Offsets(ctx, r.topic())
		if err != nil {
			return nil, err
		}
		manifests, err := r.province.kafka.Offsets(ctx, record.ManifestTopic(r.province.region))
		if err != nil {
			return nil, err
		}
		marks[r] = mark{topic, manifests}
	}
	return marks, nil
}

func (r *road) topic() string { return record.Topic(r.province.region, r.product.ID, r.product.Major) }

// audit holds what the consumer pulled against what lies in the topic behind
// the mark, and that against the manifests that the connector signed. It
// returns what is not true.
func (r *road) audit(ctx context.Context, m mark) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	published := 0
	for _, at := range m.topic {
		err := r.scan(ctx, r.topic(), at, func(rec *kafkalog.FetchedRecord) error {
			env, err := record.ParseEnvelope(headers(rec))
			if err != nil {
				return err
			}
			published++
			if n := r.seen[env.EventID]; n != 1 {
				fault("the record at partition %d, offset %d was pulled %d times", at.Partition, rec.Offset, n)
			}
			return nil
		})
		if err != nil {
			fault("the topic cannot be read: %v", err)
		}
	}
	if len(r.seen) != published {
		fault("%d distinct records were pulled, %d lie in the topic", len(r.seen), published)
	}
	for _, at := range m.manifests {
		err := r.scan(ctx, record.ManifestTopic(r.province.region), at, func(rec *kafkalog.FetchedRecord) error {
			if string(rec.Key) != record.TransactionalID(r.topic(), r.product.Providers[r.province.region]) {
				return nil
			}
			if err := r.checkManifest(ctx, string(rec.Value)); err != nil {
				fault("manifest at offset %d: %v", rec.Offset, err)
			}
			return nil
		})
		if err != nil {
			fault("the manifests cannot be read: %v", err)
		}
	}
	const shown = 10
	if len(faults) > shown {
		faults = append(faults[:shown], fmt.Sprintf("and %d more", len(faults)-shown))
	}
	return faults
}

// scan reads what came behind a mark.
func (r *road) scan(ctx context.Context, topic string, from kafkalog.PartitionOffsets, fn func(*kafkalog.FetchedRecord) error) error {
	ends, err := r.province.kafka.Offsets(ctx, topic)
	if err != nil {
		return err
	}
	for _, e := range ends {
		if e.Partition == from.Partition {
			return r.province.kafka.ReadRange(ctx, topic, e.Partition, from.Stable, e.Stable, func(rec kafkalog.FetchedRecord) error { return fn(&rec) })
		}
	}
	return nil
}

// checkManifest verifies a manifest's signature and its digests against the
// records that it names.
func (r *road) checkManifest(ctx context.Context, signed string) error {
	m, err := r.openManifest(signed)
	if err != nil {
		return err
	}
	for _, p := range m.Partitions {
		var digest []byte
		var n int64
		err := r.province.kafka.ReadRange(ctx, r.topic(), p.Partition, p.First, p.Last+1, func(rec kafkalog.FetchedRecord) error {
			env, err := record.ParseEnvelope(headers(&rec))
			if err != nil {
				return err
			}
			if env.Batch == m.Batch {
				digest, n = record.Chain(digest, record.Digest(rec.Key), env.Content), n+1
			}
			return nil
		})
		if err != nil {
			return err
		}
		if n != p.Records || !bytes.Equal(digest, p.Digest) {
			return fmt.Errorf("batch %s, partition %d: %d records with another digest than the manifest's %d", m.Batch, p.Partition, n, p.Records)
		}
	}
	return nil
}

// openManifest reads a manifest that the road's own connector signed.
func (r *road) openManifest(signed string) (m record.Manifest, err error) {
	message, err := jws.Parse(signed, instance.ManifestType)
	if err != nil {
		return m, err
	}
	roots := x509.NewCertPool()
	for _, c := range r.province.roots {
		roots.AddCert(c)
	}
	leaf, err := message.Verify(roots, time.Now())
	if err != nil {
		return m, err
	}
	want := spiffe.Name{Region: r.province.region, Role: spiffe.Connector, Participant: r.product.Providers[r.province.region], System: r.product.ID}
	if name, err := spiffe.Of(leaf); err != nil || name != want {
		return m, fmt.Errorf("it is not signed by the connector of %s", r.product.ID)
	}
	return m, json.Unmarshal(message.Unverified, &m)
}

func headers(r *kafkalog.FetchedRecord) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, h := range r.Headers {
			if !yield(h.Key, h.Value) {
				return
			}
		}
	}
}
