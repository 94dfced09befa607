package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// SASL mechanisms.
const (
	Plain       = "PLAIN"         // RFC 4616; only over TLS, because it shows the password to the broker
	ScramSHA256 = "SCRAM-SHA-256" // RFC 7677; broker and client show each other that they know the password
	ScramSHA512 = "SCRAM-SHA-512"
)

// maxSteps bounds the challenges of a broker; SCRAM has two.
const maxSteps = 8

// SASL says how a client shows brokers who it is.
type SASL struct {
	Mechanism string // Plain, ScramSHA256 or ScramSHA512
	// Credentials is asked for every connection, so that a password can change
	// while the client runs.
	Credentials func(ctx context.Context) (user, password string, err error)
}

func (s *SASL) check(secure bool) error {
	switch {
	case s.Credentials == nil:
		return errors.New("kafkalog: SASL is configured without credentials")
	case s.Mechanism == Plain && !secure:
		return errors.New("kafkalog: SASL PLAIN sends the password as it is: set TLS too, or use SCRAM-SHA-512")
	case s.Mechanism != Plain && s.Mechanism != ScramSHA256 && s.Mechanism != ScramSHA512:
		return fmt.Errorf("kafkalog: SASL mechanism %q is not one of %s, %s, %s", s.Mechanism, Plain, ScramSHA256, ScramSHA512)
	}
	return nil
}

// mechanism for one connection.
func (s *SASL) mechanism(ctx context.Context) (sasl.Mechanism, error) {
	user, password, err := s.Credentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("SASL credentials: %w", err)
	}
	switch s.Mechanism {
	case ScramSHA256:
		return scram.Mechanism(scram.SHA256, user, password)
	case ScramSHA512:
		return scram.Mechanism(scram.SHA512, user, password)
	}
	return plain.Mechanism{Username: user, Password: password}, nil
}

// authenticate shows the broker who we are (KIP-152), and says how long that
// holds (KIP-368): 0 for as long as the connection. The answers are read here
// and not by kafka-go: they may be a stranger's.
func (c *conn) authenticate(ctx context.Context, s *SASL) (time.Duration, error) {
	m, err := s.mechanism(ctx)
	if err != nil {
		return 0, err
	}
	if err := c.handshake(ctx, m.Name()); err != nil {
		return 0, err
	}
	state, say, err := m.Start(ctx)
	if err != nil {
		return 0, fmt.Errorf("SASL %s: %w", m.Name(), err)
	}
	for range maxSteps {
		heard, lifetime, err := c.tell(ctx, say)
		if err != nil {
			return 0, fmt.Errorf("SASL %s: %w", m.Name(), err)
		}
		var done bool
		if done, say, err = state.Next(ctx, heard); err != nil {
			// A broker that does not know the password either.
			return 0, fmt.Errorf("SASL %s: %w: %w", m.Name(), ErrNotAuthorised, err)
		}
		if done {
			return lifetime, nil
		}
	}
	return 0, fmt.Errorf("SASL %s: the broker asks without an end", m.Name())
}

func (c *conn) handshake(ctx context.Context, mechanism string) error {
	_, body, err := c.callRaw(ctx, &saslhandshake.Request{Mechanism: mechanism}, nil)
	if err != nil {
		return fmt.Errorf("SASL handshake (does this listener ask for SASL?): %w", err)
	}
	r := wire{b: body}
	code := r.int16()
	var offered []string
	for range r.count(2) {
		offered = append(offered, string(r.bytes(int(r.int16()))))
	}
	switch {
	case r.bad:
		return fmt.Errorf("SASL handshake: %w", errAnswer)
	case code != 0:
		return fmt.Errorf("SASL %s: %w (the broker offers %q)", mechanism, codeError(code), offered)
	}
	return nil
}

// tell sends one message of the mechanism and returns the broker's.
func (c *conn) tell(ctx context.Context, say []byte) (heard []byte, lifetime time.Duration, err error) {
	version, body, err := c.callRaw(ctx, &saslauthenticate.Request{AuthBytes: say}, nil)
	if errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("the broker hung up, as some do on a wrong name or password: %w", err)
	} else if err != nil {
		return nil, 0, err
	}
	r := wire{b: body}
	code := r.int16()
	reason := r.bytes(int(r.int16()))
	heard = r.bytes(int(r.int32()))
	if version >= 1 {
		lifetime = time.Duration(r.int64()) * time.Millisecond
	}
	switch {
	case r.bad || lifetime < 0:
		return nil, 0, errAnswer
	case code != 0 && len(reason) > 0:
		return nil, 0, fmt.Errorf("%w (%.200q)", codeError(code), reason)
	}
	return heard, lifetime, codeError(code)
}
