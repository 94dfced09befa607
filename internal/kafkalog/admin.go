package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

const topicResource int8 = 2 // resource type of a topic in DescribeConfigs

// Topic declares a topic.
type Topic struct {
	Name       string
	Partitions int // at least 1
	Replicas   int // 0: the brokers' default
	// Retention is how long records are kept at least. 0: the brokers' default;
	// negative: for ever.
	Retention time.Duration
	// MinInSync is how many replicas must have a record before it is
	// acknowledged (min.insync.replicas). 0: the brokers' default.
	MinInSync int
	// Config are other settings by Kafka's names, e.g. cleanup.policy; what
	// is not named is the brokers' default.
	Config map[string]string
}

// CreateTopics creates the topics that are missing and returns when each has a
// leader for every partition. A topic that is there with another number of
// partitions is an error that names both numbers, because keys would change
// their partition; other differences (replicas, Config) are logged as
// warnings and left alone. Nothing is ever created by any other call.
func (c *Client) CreateTopics(ctx context.Context, topics ...Topic) error {
	for _, t := range topics {
		if err := t.check(); err != nil {
			return err
		}
	}
	var faults []error
	for _, t := range topics {
		if err := c.ensureTopic(ctx, &t); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (c *Client) ensureTopic(ctx context.Context, t *Topic) error {
	found, err := c.describe(ctx, t.Name, false)
	if errors.Is(err, ErrTopicUnknown) {
		var created bool
		if created, err = c.createTopic(ctx, t); err != nil {
			return err
		}
		if found, err = c.describe(ctx, t.Name, true); created {
			return err
		}
	}
	if err != nil {
		return err
	}
	if len(found.Partitions) != t.Partitions {
		return fmt.Errorf("kafkalog: topic %s has %d partitions and is declared with %d: change the declaration, or create a topic of another name",
			t.Name, len(found.Partitions), t.Partitions)
	}
	for _, p := range found.Partitions {
		if t.Replicas > 0 && len(p.ReplicaNodes) != t.Replicas {
			c.log.WarnContext(ctx, "kafkalog: topic differs from its declaration", slog.String("topic", t.Name),
				slog.Int("partition", int(p.PartitionIndex)), slog.Int("replicas", len(p.ReplicaNodes)), slog.Int("declared", t.Replicas))
		}
	}
	return c.reportConfig(ctx, t)
}

// createTopic reports false if somebody else created it meanwhile.
func (c *Client) createTopic(ctx context.Context, t *Topic) (bool, error) {
	want := createtopics.RequestTopic{Name: t.Name, NumPartitions: int32(t.Partitions), ReplicationFactor: int16(t.Replicas)}
	if t.Replicas == 0 {
		want.ReplicationFactor = -1
	}
	settings := t.settings()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		want.Configs = append(want.Configs, createtopics.RequestConfig{Name: name, Value: settings[name]})
	}
	err := c.retry(ctx, "creating topic "+t.Name, func(ctx context.Context) error {
		err := c.askToCreate(ctx, want)
		if movedError(err) {
			// The controller may have moved.
			return errors.Join(err, c.cluster.refresh(ctx, ""))
		}
		return err
	})
	if hasCode(err, kafka.TopicAlreadyExists) {
		return false, nil
	}
	return err == nil, err
}

func (c *Client) askToCreate(ctx context.Context, want createtopics.RequestTopic) error {
	answer, err := call[*createtopics.Response](ctx, c.cluster, controller, &createtopics.Request{
		Topics: []createtopics.RequestTopic{want}, TimeoutMs: int32(c.attempt.Milliseconds()),
	})
	if err != nil {
		return err
	}
	for _, r := range answer.Topics {
		if r.Name != want.Name {
			continue
		}
		return answered(r.ErrorCode, r.ErrorMessage)
	}
	return fmt.Errorf("the answer does not speak of the topic: %w", brokerError(kafka.Unknown))
}

// describe looks a topic up in the cluster. With settled it waits until the
// topic is there and every partition has a leader.
func (c *Client) describe(ctx context.Context, topic string, settled bool) (*metadata.ResponseTopic, error) {
	var found *metadata.ResponseTopic
	err := c.retry(ctx, "looking up topic "+topic, func(ctx context.Context) error {
		answer, err := call[*metadata.Response](ctx, c.cluster, anyBroker, &metadata.Request{TopicNames: []string{topic}})
		if err != nil {
			return err
		}
		c.cluster.learn(answer)
		if len(answer.Topics) != 1 || answer.Topics[0].Name != topic {
			return fmt.Errorf("the answer does not speak of the topic: %w", brokerError(kafka.Unknown))
		}
		found = &answer.Topics[0]
		if kafka.Error(found.ErrorCode) == kafka.UnknownTopicOrPartition {
			if settled { // it has been created, and this broker has not heard of it
				return fmt.Errorf("broker lags behind: %w", brokerError(kafka.LeaderNotAvailable))
			}
			return nil // not worth waiting for
		}
		if err := codeError(found.ErrorCode); err != nil || !settled {
			return err
		}
		for _, p := range found.Partitions {
			if p.LeaderID < 0 {
				return fmt.Errorf("partition %d has no leader yet: %w", p.PartitionIndex, brokerError(kafka.LeaderNotAvailable))
			}
		}
		return c.cluster.learnTopic(found)
	})
	if err == nil && found.ErrorCode != 0 {
		err = fmt.Errorf("kafkalog: topic %s: %w", topic, codeError(found.ErrorCode))
	}
	return found, err
}

// reportConfig logs where the topic's settings differ from its declaration.
func (c *Client) reportConfig(ctx context.Context, t *Topic) error {
	if len(t.settings()) == 0 {
		return nil
	}
	have, err := c.topicSettings(ctx, t.Name)
	if err != nil {
		return err
	}
	for _, ch := range diffSettings(t, have) {
		if ch.Want != "" && ch.Want != ch.Have {
			c.log.WarnContext(ctx, "kafkalog: topic differs from its declaration", slog.String("topic", t.Name),
				slog.String("config", ch.What), slog.String("value", ch.Have), slog.String("declared", ch.Want))
		}
	}
	return nil
}
