package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Kafka is one kfake broker in this process.
type Kafka struct {
	cluster *kfake.Cluster
	address string
	lock    *os.File
	close   sync.Once
}

// StartKafka starts a broker on loopback that keeps its data below dir. Port 0
// or one in use: another is taken and, in the second case, logged; Address
// tells which it is.
//
// It never creates a topic because a client names it: such a topic would be
// lost, with all its records, when the process is killed before it is closed.
func StartKafka(dir string, port int, logger *slog.Logger) (*Kafka, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	abs, err := privateDir(dir)
	if err != nil {
		return nil, fmt.Errorf("embedded kafka: %w", err)
	}
	lock, err := lockPath(context.Background(), filepath.Join(abs, lockFile), lockWait)
	if err != nil {
		return nil, fmt.Errorf("embedded kafka: %w", err)
	}
	start := func(port int) (*kfake.Cluster, error) {
		return kfake.NewCluster(
			kfake.Ports(port),
			kfake.DataDir(filepath.Join(abs, "data")),
			kfake.WithLogger(&kafkaLog{logger: logger, now: time.Now}),
		)
	}
	cluster, err := start(port)
	if port != 0 && errors.Is(err, syscall.EADDRINUSE) {
		logger.LogAttrs(context.Background(), slog.LevelInfo, "embedded kafka: the port is in use; taking another", slog.Int("port", port))
		cluster, err = start(0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded kafka in %s: %w", abs, err), lock.Close())
	}
	return &Kafka{cluster: cluster, address: cluster.ListenAddrs()[0], lock: lock}, nil
}

// Address is the broker's host and port.
func (k *Kafka) Address() string { return k.address }

// Close ends the broker and writes down what it holds.
func (k *Kafka) Close() error {
	var err error
	k.close.Do(func() {
		k.cluster.Close()
		err = k.lock.Close()
	})
	return err
}
