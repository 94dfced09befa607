package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go/protocol/alterpartitionreassignments"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/incrementalalterconfigs"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// Names of the differences that are no setting of a topic.
const (
	changeTopic      = "topic"
	changePartitions = "partitions"
	changeReplicas   = "replicas"
)

// Kafka's numbers for where a topic's setting comes from, and for what to do
// with it.
const (
	setForTopic  int8 = 1 // DescribeConfigs: on the topic itself
	configSet    int8 = 0 // IncrementalAlterConfigs
	configDelete int8 = 1
)

// Change is one difference between a declared topic and the cluster.
type Change struct {
	Topic string
	What  string // "topic" (it is missing), "partitions", "replicas", or a setting by Kafka's name
	Have  string // "": nothing is there, or the brokers' default
	Want  string // "": nothing is declared, so the brokers' default
	// Refused says why Apply does not do it; "" when it does.
	Refused string

	declared Topic
	found    *metadata.ResponseTopic
}

// String is a line for people: topic, what, have → want.
func (c Change) String() string {
	show := func(v string) string {
		if v == "" {
			return "(default)"
		}
		return v
	}
	line := c.Topic + ": missing"
	if c.What != changeTopic {
		line = fmt.Sprintf("%s: %s %s → %s", c.Topic, c.What, show(c.Have), show(c.Want))
	}
	if c.Refused != "" {
		line += " (refused: " + c.Refused + ")"
	}
	return line
}

// settings are all of a topic's settings by Kafka's names.
func (t *Topic) settings() map[string]string {
	all := maps.Clone(t.Config)
	if all == nil {
		all = make(map[string]string)
	}
	switch {
	case t.Retention < 0:
		all["retention.ms"] = "-1"
	case t.Retention > 0:
		all["retention.ms"] = strconv.FormatInt(t.Retention.Milliseconds(), 10)
	}
	if t.MinInSync > 0 {
		all["min.insync.replicas"] = strconv.Itoa(t.MinInSync)
	}
	return all
}

// check refuses a declaration that cannot be meant.
func (t *Topic) check() error {
	if t.Name == "" || t.Partitions < 1 || t.Replicas < 0 {
		return fmt.Errorf("kafkalog: topic %q with %d partitions and %d replicas cannot be declared", t.Name, t.Partitions, t.Replicas)
	}
	if t.MinInSync < 0 || t.Replicas > 0 && t.MinInSync > t.Replicas {
		return fmt.Errorf("kafkalog: topic %s with %d replicas of which %d must be in sync could not be written to", t.Name, t.Replicas, t.MinInSync)
	}
	if t.Retention > 0 && t.Retention < time.Millisecond {
		return fmt.Errorf("kafkalog: topic %s: Kafka keeps records by the millisecond, not for %v", t.Name, t.Retention)
	}
	for name, typed := range map[string]bool{"retention.ms": t.Retention != 0, "min.insync.replicas": t.MinInSync != 0} {
		if _, twice := t.Config[name]; typed && twice {
			return fmt.Errorf("kafkalog: topic %s: %s is declared twice", t.Name, name)
		}
	}
	return nil
}

// Diff tells where the cluster differs from these declarations: in what order
// Apply would change it. Topics that nobody declares are not looked at. It
// changes nothing.
func (c *Client) Diff(ctx context.Context, topics ...Topic) ([]Change, error) {
	var all []Change
	for i := range topics {
		changes, err := c.diffTopic(ctx, &topics[i])
		if err != nil {
			return nil, err
		}
		all = append(all, changes...)
	}
	return all, nil
}

// Apply brings the cluster to these declarations and returns what it changed.
// A change of the number of partitions is refused, because keys would move to
// other partitions and records of one key lose their order: the error says so,
// and the other changes are made all the same. Replicas that are added are
// still copying when Apply returns; Diff shows them until they are in sync.
func (c *Client) Apply(ctx context.Context, topics ...Topic) ([]Change, error) {
	changes, err := c.Diff(ctx, topics...)
	if err != nil {
		return nil, err
	}
	var made []Change
	var faults []error
	for i := range changes {
		ch := &changes[i]
		if ch.Refused != "" {
			faults = append(faults, fmt.Errorf("kafkalog: %s", ch))
			continue
		}
		if err := c.applyChange(ctx, ch); err != nil {
			faults = append(faults, err)
			continue
		}
		made = append(made, *ch)
	}
	return made, errors.Join(faults...)
}

func (c *Client) diffTopic(ctx context.Context, t *Topic) ([]Change, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	found, err := c.describe(ctx, t.Name, false)
	if errors.Is(err, ErrTopicUnknown) {
		return []Change{{Topic: t.Name, What: changeTopic, Want: "created", declared: *t}}, nil
	}
	if err != nil {
		return nil, err
	}
	have, err := c.topicSettings(ctx, t.Name)
	if err != nil {
		return nil, err
	}
	changes := diffShape(t, found)
	return append(changes, diffSettings(t, have)...), nil
}

func diffShape(t *Topic, found *metadata.ResponseTopic) []Change {
	var changes []Change
	if n := len(found.Partitions); n != t.Partitions {
		changes = append(changes, Change{
			Topic: t.Name, What: changePartitions, Have: strconv.Itoa(n), Want: strconv.Itoa(t.Partitions),
			Refused: "keys would move to other partitions; declare a topic of another name", declared: *t,
		})
	}
	if t.Replicas == 0 {
		return changes
	}
	for i := range found.Partitions {
		p := &found.Partitions[i]
		if n := min(len(p.ReplicaNodes), len(p.IsrNodes)); n != t.Replicas || len(p.ReplicaNodes) != t.Replicas {
			// One line for the topic; Apply looks at each partition.
			return append(changes, Change{
				Topic: t.Name, What: changeReplicas, Have: strconv.Itoa(n), Want: strconv.Itoa(t.Replicas), declared: *t, found: found,
			})
		}
	}
	return changes
}

// setting is a value of a topic and whether it is the topic's own.
type setting struct {
	value string
	own   bool
}

func diffSettings(t *Topic, have map[string]setting) []Change {
	want := t.settings()
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(want)) {
		// A value that is the brokers' default as well is set all the same: the
		// default may change.
		if h := have[name]; h.value != want[name] || !h.own {
			changes = append(changes, Change{Topic: t.Name, What: name, Have: h.value, Want: want[name], declared: *t})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, declared := want[name]; !declared && have[name].own {
			changes = append(changes, Change{Topic: t.Name, What: name, Have: have[name].value, declared: *t})
		}
	}
	return changes
}

func (c *Client) topicSettings(ctx context.Context, topic string) (map[string]setting, error) {
	all := make(map[string]setting)
	err := c.retry(ctx, "reading the configuration of topic "+topic, func(ctx context.Context) error {
		answer, err := call[*describeconfigs.Response](ctx, c.cluster, anyBroker, &describeconfigs.Request{
			Resources: []describeconfigs.RequestResource{{ResourceType: topicResource, ResourceName: topic}},
		})
		if err != nil {
			return err
		}
		for _, r := range answer.Resources {
			if err := codeError(r.ErrorCode); err != nil {
				return err
			}
			for i := range r.ConfigEntries {
				e := &r.ConfigEntries[i]
				all[e.ConfigName] = setting{e.ConfigValue, e.ConfigSource == setForTopic}
			}
		}
		return nil
	})
	return all, err
}

func (c *Client) applyChange(ctx context.Context, ch *Change) error {
	switch ch.What {
	case changeTopic:
		return c.CreateTopics(ctx, ch.declared)
	case changeReplicas:
		return c.reassign(ctx, ch)
	}
	return c.alterSetting(ctx, ch)
}

func (c *Client) alterSetting(ctx context.Context, ch *Change) error {
	operation := configSet
	if ch.Want == "" {
		operation = configDelete
	}
	what := "changing " + ch.What + " of topic " + ch.Topic
	return c.retry(ctx, what, func(ctx context.Context) error {
		answer, err := call[*incrementalalterconfigs.Response](ctx, c.cluster, anyBroker, &incrementalalterconfigs.Request{
			Resources: []incrementalalterconfigs.RequestResource{{
				ResourceType: topicResource, ResourceName: ch.Topic,
				Configs: []incrementalalterconfigs.RequestConfig{{Name: ch.What, ConfigOperation: operation, Value: ch.Want}},
			}},
		})
		if err != nil {
			return err
		}
		for _, r := range answer.Responses {
			if err := answered(r.ErrorCode, r.ErrorMessage); err != nil {
				return err
			}
		}
		return nil
	})
}

// reassign gives every partition as many replicas as are declared: those it
// has stay, as far as they are wanted.
func (c *Client) reassign(ctx context.Context, ch *Change) error {
	brokers := c.cluster.nodes()
	if len(brokers) < ch.declared.Replicas {
		return fmt.Errorf("kafkalog: topic %s is declared with %d replicas, and the cluster has %d brokers",
			ch.Topic, ch.declared.Replicas, len(brokers))
	}
	topic := alterpartitionreassignments.RequestTopic{Name: ch.Topic}
	for i := range ch.found.Partitions {
		p := &ch.found.Partitions[i]
		topic.Partitions = append(topic.Partitions, alterpartitionreassignments.RequestPartition{
			PartitionIndex: p.PartitionIndex, Replicas: replicas(p, brokers, ch.declared.Replicas),
		})
	}
	return c.retry(ctx, "changing the replicas of topic "+ch.Topic, func(ctx context.Context) error {
		answer, err := call[*alterpartitionreassignments.Response](ctx, c.cluster, controller, &alterpartitionreassignments.Request{
			TimeoutMs: int32(c.attempt.Milliseconds()), Topics: []alterpartitionreassignments.RequestTopic{topic},
		})
		if err != nil {
			return err
		}
		return reassigned(answer)
	})
}

func reassigned(answer *alterpartitionreassignments.Response) error {
	if err := answered(answer.ErrorCode, answer.ErrorMessage); err != nil {
		return err
	}
	for _, t := range answer.Results {
		for _, p := range t.Partitions {
			if err := answered(p.ErrorCode, p.ErrorMessage); err != nil {
				return fmt.Errorf("partition %d: %w", p.PartitionIndex, err)
			}
		}
	}
	return nil
}

// replicas are n brokers for a partition: its leader, those it has, others in
// turn from partition to partition.
func replicas(p *metadata.ResponsePartition, brokers []int32, n int) []int32 {
	chosen := make([]int32, 0, n)
	take := func(node int32) {
		if len(chosen) < n && slices.Contains(brokers, node) && !slices.Contains(chosen, node) {
			chosen = append(chosen, node)
		}
	}
	take(p.LeaderID)
	for _, node := range p.ReplicaNodes {
		take(node)
	}
	for i := range brokers {
		take(brokers[(int(p.PartitionIndex)+i)%len(brokers)])
	}
	return chosen
}

// answered is the error of one answer with the broker's own words.
func answered(code int16, message string) error {
	err := codeError(code)
	if err == nil || message == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, message)
}
