package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/segmentio/kafka-go"
)

// What a caller can tell apart with errors.Is. Every error of this package
// names the operation, the topic and partition or transactional id, and the
// broker's own answer; none holds a byte of a record (invariant 5). A closed
// client or producer answers net.ErrClosed.
var (
	// ErrFenced: another producer has been opened with the same transactional
	// id. The producer is finished; what it had not committed is aborted.
	ErrFenced = errors.New("another producer has taken over the transactional id")
	// ErrExpired: the transaction was open for longer than its
	// TransactionTimeout, so its coordinator aborted it and fenced the
	// producer. The producer is finished; open a new one and repeat.
	ErrExpired = errors.New("the transaction was open for longer than its timeout")
	// ErrAbortOnly: something of the transaction failed, so that it can only
	// be aborted. It is certain that it has not committed.
	ErrAbortOnly = errors.New("the transaction can only be aborted")
	// ErrTooLarge: the record is larger than a batch or than the topic allows.
	ErrTooLarge = errors.New("the record is too large")
	// ErrTopicUnknown: there is no such topic or partition.
	ErrTopicUnknown = errors.New("there is no such topic or partition")
	// ErrNotAuthorised: the cluster does not let this client do it.
	ErrNotAuthorised = errors.New("the cluster does not authorise this client")
	// ErrUnavailable: the deadline passed while the cluster did not answer or
	// kept answering that it could not. Whether a write took effect is not
	// known, unless the method says otherwise.
	ErrUnavailable = errors.New("the cluster is unavailable")
	// ErrCorrupt: fetched bytes are not a sound record batch, or would unpack
	// to more than the limits of this package.
	ErrCorrupt = errors.New("the record batch is corrupt")
)

// RangeError says that a partition does not hold the offset that was asked for:
// it has expired, or has not been written.
type RangeError struct {
	Topic     string
	Partition int32
	Offset    int64 // what was asked for
	Start     int64 // first offset that the partition still holds
	End       int64 // offset of the next record to be written
}

// Error names the partition, the offset and the range that there is.
func (e *RangeError) Error() string {
	return fmt.Sprintf("kafkalog: offset %d of %s/%d is out of range: the log holds [%d, %d)",
		e.Offset, e.Topic, e.Partition, e.Start, e.End)
}

// brokerError is an error code in an answer (Kafka protocol, "Error Codes").
type brokerError kafka.Error

// codeError is nil for code 0.
func codeError(code int16) error {
	if code == 0 {
		return nil
	}
	return brokerError(code)
}

// Error gives the code with the protocol's own name and description.
func (e brokerError) Error() string { return kafka.Error(e).Error() }

// Is maps a code to the sentinel that callers know.
func (e brokerError) Is(target error) bool {
	switch kafka.Error(e) {
	case kafka.ProducerFenced, kafka.InvalidProducerEpoch:
		return target == ErrFenced
	case kafka.MessageSizeTooLarge, kafka.RecordListTooLarge:
		return target == ErrTooLarge
	case kafka.UnknownTopicOrPartition, kafka.InvalidTopic, kafka.UnknownTopicID:
		return target == ErrTopicUnknown
	case kafka.TopicAuthorizationFailed, kafka.ClusterAuthorizationFailed,
		kafka.TransactionalIDAuthorizationFailed, kafka.SASLAuthenticationFailed,
		kafka.GroupAuthorizationFailed:
		return target == ErrNotAuthorised
	}
	return false
}

// hasCode reports whether err is one of these answers.
func hasCode(err error, codes ...kafka.Error) bool {
	e, ok := errors.AsType[brokerError](err)
	if !ok {
		return false
	}
	return slices.Contains(codes, kafka.Error(e))
}

// transientError reports an answer after which the same request may succeed.
func transientError(err error) bool {
	return hasCode(err,
		kafka.Unknown, kafka.InvalidMessage, kafka.LeaderNotAvailable, kafka.NotLeaderForPartition,
		kafka.RequestTimedOut, kafka.BrokerNotAvailable, kafka.ReplicaNotAvailable, kafka.NetworkException,
		kafka.GroupLoadInProgress, kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup,
		kafka.NotEnoughReplicas, kafka.NotEnoughReplicasAfterAppend, kafka.NotController,
		kafka.ConcurrentTransactions, kafka.KafkaStorageError, kafka.ListenerNotFound,
		kafka.FencedLeaderEpoch, kafka.UnknownLeaderEpoch, kafka.OffsetNotAvailable,
		kafka.ThrottlingQuotaExceeded)
}

// movedError reports that what we believe of the cluster's layout is out of date.
func movedError(err error) bool {
	if _, ok := errors.AsType[*transportError](err); ok {
		return true
	}
	return hasCode(err,
		kafka.UnknownTopicOrPartition, kafka.LeaderNotAvailable, kafka.NotLeaderForPartition,
		kafka.BrokerNotAvailable, kafka.ReplicaNotAvailable, kafka.NotController,
		kafka.KafkaStorageError, kafka.ListenerNotFound, kafka.FencedLeaderEpoch,
		kafka.UnknownLeaderEpoch)
}

// unsettledError reports that a write may have taken effect although it was
// not acknowledged, or may still do so.
func unsettledError(err error) bool {
	if t, ok := errors.AsType[*transportError](err); ok {
		return t.sent
	}
	return hasCode(err, kafka.Unknown, kafka.RequestTimedOut, kafka.NetworkException,
		kafka.NotEnoughReplicasAfterAppend, kafka.KafkaStorageError)
}

// refusedError reports that a batch was refused for what it holds, so that it
// is certain not to have been stored, and that another batch may be accepted.
func refusedError(err error) bool {
	return hasCode(err, kafka.MessageSizeTooLarge, kafka.RecordListTooLarge,
		kafka.InvalidRecord, kafka.InvalidTimestamp)
}

// transportError is a call that got no answer.
type transportError struct {
	address string
	sent    bool // the request may have reached the broker
	err     error
}

// Error names the broker.
func (e *transportError) Error() string { return "broker " + e.address + ": " + e.err.Error() }

// Unwrap returns the cause.
func (e *transportError) Unwrap() error { return e.err }

// worthRetrying reports whether the same call may succeed a little later. fresh
// is true in the first moments, in which a topic that is not known may yet be
// one that has not reached every broker.
func worthRetrying(err error, fresh bool) bool {
	if t, ok := errors.AsType[*transportError](err); ok {
		return !hopeless(t.err)
	}
	if errors.Is(err, ErrTopicUnknown) {
		return hasCode(err, kafka.UnknownTopicOrPartition) && fresh
	}
	return transientError(err)
}

// unavailable is the error of a call whose context ended; last is what its last
// attempt met.
func unavailable(ctx context.Context, what string, last error) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, net.ErrClosed):
		return fmt.Errorf("kafkalog: %s: the client was closed: %w (%w)", what, net.ErrClosed, last)
	case errors.Is(cause, context.Canceled):
		return fmt.Errorf("kafkalog: %s: %w (last attempt: %w)", what, context.Canceled, last)
	}
	return fmt.Errorf("kafkalog: %s: %w; last attempt: %w", what, ErrUnavailable, last)
}
