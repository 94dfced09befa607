package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"golang.org/x/sync/singleflight"
)

// Brokers that a call can name beside a broker's id.
const (
	anyBroker  int32 = -1
	controller int32 = -2
)

// topicPartition names one partition.
type topicPartition struct {
	topic     string
	partition int32
}

// String is topic/partition.
func (t topicPartition) String() string { return t.topic + "/" + strconv.Itoa(int(t.partition)) }

// cluster knows the layout: which brokers there are and which leads what. It
// asks when it does not know and when an answer shows that it is out of date
// (forget), so that a leader's move costs one failed call and one question,
// and an idle client asks nothing.
type cluster struct {
	dialer  *dialer
	seeds   []string
	attempt time.Duration // limit of one question
	base    context.Context

	asking singleflight.Group

	mu         sync.Mutex
	closed     bool
	pools      map[string]*pool // by address
	brokers    map[int32]string // id to address
	controller int32
	leaders    map[string][]int32 // topic to the leader of each partition, -1 for none
}

func newCluster(base context.Context, d *dialer, seeds []string, attempt time.Duration) *cluster {
	return &cluster{
		dialer: d, seeds: seeds, attempt: attempt, base: base,
		pools:   make(map[string]*pool),
		brokers: make(map[int32]string), controller: anyBroker,
		leaders: make(map[string][]int32),
	}
}

// call sends req to a broker and returns its answer, which is of type T.
func call[T protocol.Message](ctx context.Context, c *cluster, node int32, req protocol.Message) (T, error) {
	var typed T
	addresses, err := c.addresses(ctx, node)
	if err != nil {
		return typed, err
	}
	var answer protocol.Message
	for _, address := range addresses {
		p := c.pool(address)
		err = p.with(ctx, p.calls, func(conn *conn) error {
			var err error
			answer, err = conn.call(ctx, req)
			return err
		})
		if _, silent := errors.AsType[*transportError](err); !silent || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return typed, err
	}
	typed, ok := answer.(T)
	if !ok {
		return typed, fmt.Errorf("unexpected answer %T to %T", answer, req)
	}
	return typed, nil
}

// with runs use on a connection to one broker, in one of the places for its
// kind of call.
func (c *cluster) with(ctx context.Context, node int32, kind func(*pool) chan struct{}, use func(*conn) error) error {
	addresses, err := c.addresses(ctx, node)
	if err != nil {
		return err
	}
	p := c.pool(addresses[0])
	return p.with(ctx, kind(p), use)
}

// addresses of a broker: one for an id, all in random order for anyBroker.
func (c *cluster) addresses(ctx context.Context, node int32) ([]string, error) {
	for asked := false; ; asked = true {
		c.mu.Lock()
		closed := c.closed
		if node == controller {
			node = c.controller
		}
		address, ok := c.brokers[node]
		c.mu.Unlock()
		switch {
		case closed:
			return nil, &transportError{address: "(none)", err: net.ErrClosed}
		case node == anyBroker:
			return c.all(), nil
		case ok:
			return []string{address}, nil
		case asked:
			return nil, fmt.Errorf("broker %d is not part of the cluster: %w", node, brokerError(kafka.BrokerNotAvailable))
		}
		if err := c.refresh(ctx, ""); err != nil {
			return nil, err
		}
	}
}

// nodes are the ids of the brokers, in order.
func (c *cluster) nodes() []int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.brokers))
}

func (c *cluster) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := make([]string, 0, len(c.brokers)+len(c.seeds))
	seen := make(map[string]bool)
	for _, address := range c.brokers {
		known = append(known, address)
		seen[address] = true
	}
	brokers := len(known)
	for _, address := range c.seeds {
		if !seen[address] {
			known = append(known, address)
		}
	}
	// Seeds come last: an address that only the configuration knows may be a
	// load balancer's, or long gone.
	for _, part := range [][]string{known[:brokers], known[brokers:]} {
		rand.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] }) //nolint:gosec // it spreads load
	}
	return known
}

func (c *cluster) pool(address string) *pool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pools[address]
	if p == nil {
		p = newPool(address, c.dialer)
		if c.closed {
			p.close()
		}
		c.pools[address] = p
	}
	return p
}

// leader of a partition, asking the cluster when it is not known.
func (c *cluster) leader(ctx context.Context, at topicPartition) (int32, error) {
	leaders, err := c.topic(ctx, at.topic)
	if err != nil {
		return 0, err
	}
	if at.partition < 0 || int(at.partition) >= len(leaders) {
		return 0, fmt.Errorf("%s has %d partitions: %w", at.topic, len(leaders), brokerError(kafka.UnknownTopicOrPartition))
	}
	if leaders[at.partition] < 0 {
		c.forget(at.topic)
		return 0, fmt.Errorf("%s has no leader: %w", at, brokerError(kafka.LeaderNotAvailable))
	}
	return leaders[at.partition], nil
}

// topic gives the leader of each of a topic's partitions.
func (c *cluster) topic(ctx context.Context, topic string) ([]int32, error) {
	if leaders := c.cached(topic); leaders != nil {
		return leaders, nil
	}
	if err := c.refresh(ctx, topic); err != nil {
		return nil, err
	}
	if leaders := c.cached(topic); leaders != nil {
		return leaders, nil
	}
	// Another call found it out of date meanwhile.
	return nil, brokerError(kafka.LeaderNotAvailable)
}

func (c *cluster) cached(topic string) []int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaders[topic]
}

// forget makes the next question about the topic go to the cluster.
func (c *cluster) forget(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.leaders, topic)
}

// refresh asks for the brokers and one topic ("" for none). Concurrent
// questions about the same topic are one.
func (c *cluster) refresh(ctx context.Context, topic string) error {
	asked := c.asking.DoChan(topic, func() (any, error) {
		// Not the caller's context: others wait for the same answer.
		ctx, cancel := context.WithTimeout(c.base, c.attempt)
		defer cancel()
		return nil, c.ask(ctx, topic)
	})
	select {
	case answer := <-asked:
		return answer.Err
	case <-ctx.Done():
		return &transportError{address: "(any)", err: context.Cause(ctx)}
	}
}

func (c *cluster) ask(ctx context.Context, topic string) error {
	req := &metadata.Request{TopicNames: []string{}} // nil would ask for every topic
	if topic != "" {
		req.TopicNames = append(req.TopicNames, topic)
	}
	answer, err := call[*metadata.Response](ctx, c, anyBroker, req)
	if err != nil {
		return err
	}
	c.learn(answer)
	for i := range answer.Topics {
		if t := &answer.Topics[i]; t.Name == topic {
			return c.learnTopic(t)
		}
	}
	if topic != "" {
		return fmt.Errorf("%s: %w", topic, brokerError(kafka.UnknownTopicOrPartition))
	}
	return nil
}

// learn takes the brokers of an answer and lets go of those that left.
func (c *cluster) learn(answer *metadata.Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.controller = answer.ControllerID
	brokers := make(map[int32]string, len(answer.Brokers))
	keep := make(map[string]bool)
	for _, b := range answer.Brokers {
		address := net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
		brokers[b.NodeID] = address
		keep[address] = true
	}
	for _, address := range c.seeds {
		keep[address] = true
	}
	c.brokers = brokers
	for address, p := range c.pools {
		if !keep[address] {
			p.close()
			delete(c.pools, address)
		}
	}
}

func (c *cluster) learnTopic(t *metadata.ResponseTopic) error {
	if t.ErrorCode != 0 {
		c.forget(t.Name)
		return fmt.Errorf("%s: %w", t.Name, codeError(t.ErrorCode))
	}
	leaders := make([]int32, len(t.Partitions))
	for i := range leaders {
		leaders[i] = -1
	}
	for _, p := range t.Partitions {
		if p.PartitionIndex < 0 || int(p.PartitionIndex) >= len(leaders) {
			return fmt.Errorf("%s: the cluster lists partition %d of %d", t.Name, p.PartitionIndex, len(leaders))
		}
		if p.ErrorCode == 0 || hasCode(codeError(p.ErrorCode), kafka.ReplicaNotAvailable) {
			leaders[p.PartitionIndex] = p.LeaderID
		}
	}
	if len(leaders) == 0 {
		return fmt.Errorf("%s: %w", t.Name, brokerError(kafka.LeaderNotAvailable))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaders[t.Name] = leaders
	return nil
}

func (c *cluster) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, p := range c.pools {
		p.close()
	}
}
