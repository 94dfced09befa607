package feed

import (
	"bytes"
	"context"
	"errors"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

var errFound = errors.New("found")

// Event finds the record of an event in the ranges of a receipt, which are no
// more than a page's. One that is not there, or has expired, is
// problem.EventUnknown.
func (f *Feed) Event(ctx context.Context, topic string, ranges []receipt.Range, id string) (value, key []byte, err error) {
	ends, err := f.client.Offsets(ctx, topic)
	if err != nil {
		return nil, nil, problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	for _, r := range ranges {
		for _, e := range ends {
			if e.Partition != r.Partition || r.To <= e.Start {
				continue
			}
			err := f.client.ReadRange(ctx, topic, r.Partition, max(r.From, e.Start), min(r.To, e.Stable), func(m kafkalog.FetchedRecord) error {
				env, err := record.ParseEnvelope(headers(&m))
				if err != nil || env.EventID != id {
					return nil //nolint:nilerr // an unreadable record was not released, so it is not the one
				}
				value, key = bytes.Clone(m.Value), bytes.Clone(m.Key)
				return errFound
			})
			switch {
			case errors.Is(err, errFound):
				return value, key, nil
			case err != nil:
				return nil, nil, problem.Wrap(problem.KafkaUnavailable, err, "")
			}
		}
	}
	return nil, nil, problem.New(problem.EventUnknown, "")
}
