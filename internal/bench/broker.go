package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
)

// broker is a Kafka in this process, in memory, with nothing in it but what
// one scenario or one pass puts there.
type broker struct {
	cluster *kfake.Cluster
	address string
	client  *kafkalog.Client
}

func startBroker(ctx context.Context, topics ...kafkalog.Topic) (_ *broker, err error) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1)) // on 127.0.0.1, at a free port
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	b := &broker{cluster: cluster, address: cluster.ListenAddrs()[0]}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.client, err = kafkalog.Open(ctx, kafkalog.Config{Brokers: []string{b.address}, ClientID: "bench"}); err != nil {
		return nil, err
	}
	return b, b.client.CreateTopics(ctx, topics...)
}

func (b *broker) close() error {
	var err error
	if b.client != nil {
		err = b.client.Close()
	}
	b.cluster.Close()
	return err
}
