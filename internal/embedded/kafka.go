package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// noCompaction is how long kfake waits before it compacts. It deletes a topic's
// segments and then writes new ones: a kill between the two would lose the
// positions of all connectors.
const noCompaction = 10 * 365 * 24 * time.Hour

// Kafka is one kfake broker in this process.
type Kafka struct {
	cluster *kfake.Cluster
	journal *journal
	address string
	lock    *os.File
	close   sync.Once
}

// KafkaOptions say where a broker listens and keeps its data.
type KafkaOptions struct {
	DataDir string       // closed to others
	Port    int          // on loopback; 0 or one in use: another is taken and, in the second case, logged
	TLS     *tls.Config  // nil: plain
	Logger  *slog.Logger // nil: nothing is logged
}

// StartKafka starts a broker; Address tells where it listens.
//
// It never creates a topic because a client names it: such a topic would be
// lost, with all its records, when the process is killed before it is closed.
func StartKafka(o KafkaOptions) (*Kafka, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	abs, err := privateDir(o.DataDir)
	if err != nil {
		return nil, fmt.Errorf("embedded kafka: %w", err)
	}
	lock, err := lockPath(context.Background(), filepath.Join(abs, lockFile), lockWait)
	if err != nil {
		return nil, fmt.Errorf("embedded kafka: %w", err)
	}
	k := &Kafka{lock: lock}
	if err := k.start(abs, o); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded kafka in %s: %w", abs, err), lock.Close())
	}
	return k, nil
}

// start opens the broker over what a former one left, killed or closed.
func (k *Kafka) start(dir string, o KafkaOptions) error {
	data := filepath.Join(dir, "data")
	open := func(port int, more ...kfake.Opt) (*kfake.Cluster, error) {
		return kfake.NewCluster(append(more, kfake.Ports(port), kfake.DataDir(data),
			kfake.BrokerConfigs(map[string]string{"log.cleaner.backoff.ms": strconv.FormatInt(noCompaction.Milliseconds(), 10)}),
			kfake.WithLogger(&kafkaLog{logger: o.Logger, now: time.Now}))...)
	}
	path := filepath.Join(dir, journalFile)
	killed, err := readJournal(path)
	if err == nil && killed != nil {
		if err = cutUnindexed(data); err == nil {
			err = recoverTransactions(data, killed, func() (*kfake.Cluster, error) { return open(0) })
		}
	}
	if err != nil {
		return fmt.Errorf("recover the transactions of a killed broker: %w", err)
	}
	if k.journal, err = openJournal(path); err != nil {
		return err
	}
	var security []kfake.Opt
	if o.TLS != nil {
		security = append(security, kfake.TLS(o.TLS))
	}
	k.cluster, err = open(o.Port, security...)
	if o.Port != 0 && errors.Is(err, syscall.EADDRINUSE) {
		o.Logger.LogAttrs(context.Background(), slog.LevelInfo, "embedded kafka: the port is in use; taking another", slog.Int("port", o.Port))
		k.cluster, err = open(0, security...)
	}
	if err != nil {
		return errors.Join(err, k.journal.remove())
	}
	limitByPartition(k.cluster)
	k.journal.attach(k.cluster)
	k.address = k.cluster.ListenAddrs()[0]
	return nil
}

// Address is the broker's host and port.
func (k *Kafka) Address() string { return k.address }

// DelayCommits makes the broker take that long over every end of a transaction,
// as a loaded cluster does: a test that kills clients then hits what lies
// between the parts of a commit. 0, the default: no delay.
func (k *Kafka) DelayCommits(d time.Duration) { k.journal.delay.Store(int64(d)) }

// Close ends the broker and writes down what it holds.
func (k *Kafka) Close() error {
	var err error
	k.close.Do(func() {
		k.cluster.Close()
		err = errors.Join(k.journal.remove(), k.lock.Close())
	})
	return err
}
