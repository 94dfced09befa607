package connectors

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// resume is the one way to begin, after a start, a crash and a failure alike:
// the new producer fences a former one and resolves its open transaction, and
// what counts is then read from Kafka.
func (p *Pipeline) resume(ctx context.Context) (_ *session, err error) {
	s := &session{Pipeline: p, index: newIndex(p.QuarantineDir), values: make([]schemas.Value, len(p.Schema.Leaves))}
	s.index.versioned = p.version >= 0
	s.producer, err = p.Kafka.NewProducer(ctx, kafkalog.ProducerConfig{TransactionalID: p.txID})
	if err != nil {
		return nil, fmt.Errorf("producer of %s: %w", p.txID, err)
	}
	defer func() {
		if err != nil {
			s.close(ctx)
		}
	}()
	if s.position, err = ReadPosition(ctx, p.Kafka, p.Region, p.txID); err != nil {
		return nil, err
	}
	s.reset()
	if err := s.fold(ctx); err != nil {
		return nil, err
	}
	key := QuarantineKey(p.Provider, p.Product.ID)
	plain, wrapped, err := p.DataKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("quarantine key: %w", err)
	}
	sealer, err := sealed.NewSealer(key, wrapped, plain)
	if err != nil {
		return nil, err
	}
	if s.quarant, err = NewQuarantine(p.QuarantineDir, p.Product.ID, sealer); err != nil {
		return nil, err
	}
	return s, s.openHold(ctx, sealer)
}

// fold reads the index from the records of this provider in the topic.
func (s *session) fold(ctx context.Context) error {
	ends, err := s.Kafka.Offsets(ctx, s.topic)
	if err != nil {
		return fmt.Errorf("index of %s: %w", s.topic, err)
	}
	for _, e := range ends {
		err := s.Kafka.ReadRange(ctx, s.topic, e.Partition, e.Start, e.Stable, func(r kafkalog.FetchedRecord) error {
			env, err := record.ParseEnvelope(headersOf(&r))
			if err != nil {
				return fmt.Errorf("%s, partition %d, offset %d: %w", s.topic, e.Partition, r.Offset, err)
			}
			if env.Provider == s.Provider && len(r.Key) == record.DigestSize {
				return s.index.fold(record.Digest(r.Key), env.Content, env.Version)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("index of %s: %w", s.topic, err)
		}
	}
	return nil
}

func headersOf(r *kafkalog.FetchedRecord) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, h := range r.Headers {
			if !yield(h.Key, h.Value) {
				return
			}
		}
	}
}

func (s *session) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := errors.Join(s.producer.Close(ctx), s.index.close())
	if s.quarant != nil {
		err = errors.Join(err, s.quarant.Close())
	}
	if s.hold != nil {
		err = errors.Join(err, s.hold.Close())
	}
	if err != nil {
		s.Logger.WarnContext(ctx, "closing the pipeline", slog.String("product", s.Product.ID), slog.Any("error", err))
	}
}
