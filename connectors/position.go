package connectors

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

// Counts says what became of the rows of a batch, or of all batches.
//
//	Read = Published + Duplicates + the sum of Quarantined + Held + Superseded
//
// Held are the rows whose publication time has not come: of a batch, those that
// it put into the hold; of all, those that lie there now. Superseded were held
// and are not published any more, because a newer version of them was.
// Warned counts among those published.
type Counts struct {
	Read        int64                  `json:"read"`
	Published   int64                  `json:"published"`
	Duplicates  int64                  `json:"duplicates"`
	Quarantined map[problem.Code]int64 `json:"quarantined,omitempty"` // by the first reason of each row
	Held        int64                  `json:"held,omitempty"`
	Superseded  int64                  `json:"superseded,omitempty"`
	Warned      map[problem.Code]int64 `json:"warned,omitempty"` // by each reason of each row
}

// Add adds other to c.
func (c *Counts) Add(other *Counts) {
	c.Read += other.Read
	c.Published += other.Published
	c.Duplicates += other.Duplicates
	c.Held += other.Held
	c.Superseded += other.Superseded
	for code, n := range other.Quarantined {
		c.quarantine(code, n)
	}
	for code, n := range other.Warned {
		c.warn(code, n)
	}
}

func (c *Counts) warn(code problem.Code, n int64) {
	if c.Warned == nil {
		c.Warned = map[problem.Code]int64{}
	}
	c.Warned[code] += n
}

func (c *Counts) quarantine(code problem.Code, n int64) {
	if c.Quarantined == nil {
		c.Quarantined = map[problem.Code]int64{}
	}
	c.Quarantined[code] += n
}

// QuarantinedRows is the number of rows in quarantine.
func (c *Counts) QuarantinedRows() int64 {
	var n int64
	for _, v := range c.Quarantined {
		n += v
	}
	return n
}

func (c *Counts) clone() Counts {
	out := *c
	out.Quarantined, out.Warned = maps.Clone(c.Quarantined), maps.Clone(c.Warned)
	return out
}

// Position is where a connector stands: how far it has carried a batch. It is
// written in the transaction of the records that it stands behind (invariant
// 1) and holds no row values.
type Position struct {
	Batch      string                     `json:"batch"`           // "" before the first
	Rows       int64                      `json:"rows"`            // rows of the batch that are carried
	Complete   bool                       `json:"complete"`        // the batch is carried whole and its manifest written
	Fault      problem.Code               `json:"fault,omitempty"` // why the batch broke off
	Counts     Counts                     `json:"counts"`          // of this batch
	Totals     Counts                     `json:"totals"`          // of all batches
	Batches    int64                      `json:"batches"`         // completed
	Partitions []record.ManifestPartition `json:"partitions,omitempty"`
	Held       []HeldBatch                `json:"held,omitempty"` // batches with rows that wait for their publication time
}

// ReadPosition reads the last committed position of a connector.
func ReadPosition(ctx context.Context, k *kafkalog.Client, region, transactionalID string) (Position, error) {
	topic := record.PositionTopic(region)
	var p Position
	ends, err := k.Offsets(ctx, topic)
	if err != nil {
		return p, fmt.Errorf("positions: %w", err)
	}
	for _, e := range ends {
		err := k.ReadRange(ctx, topic, e.Partition, e.Start, e.Stable, func(r kafkalog.FetchedRecord) error {
			if string(r.Key) != transactionalID {
				return nil
			}
			p = Position{}
			return json.Unmarshal(r.Value, &p)
		})
		if err != nil {
			return Position{}, fmt.Errorf("position of %s: %w", transactionalID, err)
		}
	}
	return p, nil
}

// extend enters a record's offset and digests into the partitions of a batch.
func (p *Position) extend(partition int32, offset int64, key, content record.Digest) {
	for i := range p.Partitions {
		if m := &p.Partitions[i]; m.Partition == partition {
			m.Last, m.Records, m.Digest = offset, m.Records+1, record.Chain(m.Digest, key, content)
			return
		}
	}
	p.Partitions = append(p.Partitions, record.ManifestPartition{
		Partition: partition, First: offset, Last: offset, Records: 1, Digest: record.Chain(nil, key, content),
	})
}
