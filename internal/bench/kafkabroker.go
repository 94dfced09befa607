package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// The brokers of the scenarios that measure a client alone. Each runs in a
// process of its own, so that none of its work is in the client's figures.
const (
	swallows = "swallows" // acknowledges every batch and stores none
	repeats  = "repeats"  // sends one batch again and again, which it is given first
)

const (
	kafkaTopic = "bench"
	batchOf    = 1000     // records of the batch that a broker sends
	maxBatch   = 16 << 20 // bytes of it
)

// ServeBroker is the other process: it runs the broker of that kind, prints
// its address on out, and ends with ctx or at the end of in, from which it
// first reads what it is to send.
func ServeBroker(ctx context.Context, kind string, in io.Reader, out io.Writer) error {
	opts := []kfake.Opt{kfake.NumBrokers(1)}
	switch kind {
	case swallows:
		opts = append(opts, kfake.BlackholeProduce())
	case repeats:
		var size uint32
		if err := binary.Read(in, binary.BigEndian, &size); err != nil || size > maxBatch {
			return fmt.Errorf("the size of the batch, %d: %w", size, err)
		}
		set := make([]byte, size)
		if _, err := io.ReadFull(in, set); err != nil {
			return fmt.Errorf("the batch: %w", err)
		}
		opts = append(opts, kfake.SyntheticFetch(kfake.SyntheticBatch{Batch: set}))
	default:
		return problem.New(problem.ConfigInvalid, "there is no broker %q", kind)
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	defer cluster.Close()
	if _, err := fmt.Fprintln(out, cluster.ListenAddrs()[0]); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, in) // until whoever started it is gone
	}()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	return nil
}

// otherProcess is a broker that another process runs.
type otherProcess struct {
	cmd     *exec.Cmd
	stop    io.Closer
	address string
	client  *kafkalog.Client
}

// startOther runs ServeBroker by the command line that Options name, with one
// topic of one partition; set is what it is to send.
func startOther(ctx context.Context, self []string, kind string, set []byte) (_ *otherProcess, err error) {
	if len(self) == 0 {
		return nil, problem.New(problem.ConfigInvalid, "the benchmark has no command that runs its broker")
	}
	args := append(append([]string(nil), self[1:]...), kind)
	cmd := exec.CommandContext(ctx, self[0], args...) //nolint:gosec // the caller's own program
	stop, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the broker's process: %w", err)
	}
	o := &otherProcess{cmd: cmd, stop: stop}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	if set != nil {
		if _, err := stop.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(set))), set...)); err != nil { //nolint:gosec // at most maxBatch
			return nil, fmt.Errorf("the batch for the broker's process: %w", err)
		}
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the broker's process does not name its address: %w", err)
	}
	o.address = strings.TrimSpace(line)
	o.client, err = kafkalog.Open(ctx, kafkalog.Config{Brokers: []string{o.address}, ClientID: "bench", Timeout: callTimeout})
	if err != nil {
		return nil, err
	}
	return o, o.client.CreateTopics(ctx, kafkalog.Topic{Name: kafkaTopic, Partitions: 1})
}

func (o *otherProcess) close() error {
	var err error
	if o.client != nil {
		err = o.client.Close()
	}
	return errors.Join(err, o.stop.Close(), o.cmd.Wait())
}
