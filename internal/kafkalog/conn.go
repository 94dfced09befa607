package kafkalog

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
)

const (
	// maxAnswer bounds one answer. The largest are fetches: a broker sends at
	// least one whole batch, however small the limit in the request is.
	maxAnswer = 128 << 20
	// frameHeader is a frame's size and correlation id.
	frameHeader = 8
	// firstPiece is what is set aside for an answer before its bytes arrive.
	firstPiece = 64 << 10
	// maxLife is the longest that a connection is used.
	maxLife = 10 * time.Minute
)

// dialer opens connections to brokers.
type dialer struct {
	clientID string
	tls      func() *tls.Config // nil: plaintext
	sasl     *SASL              // nil: none
	timeout  time.Duration
	wrap     func(net.Conn) net.Conn // set by tests that disturb connections
}

// conn is one connection to one broker, used by one call at a time: a broker
// answers the requests of a connection in order anyway, and a call that is
// given up can then close it without harm to others.
type conn struct {
	net       net.Conn
	buffered  *bufio.Reader
	address   string
	clientID  string
	versions  map[protocol.ApiKey]int16
	serial    int32
	idleSince time.Time
	until     time.Time // when it is not used any more
}

// dial connects, does the TLS handshake and agrees on protocol versions.
func (d *dialer) dial(ctx context.Context, address string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &transportError{address: address, err: err}
	}
	if d.wrap != nil {
		raw = d.wrap(raw)
	}
	if d.tls != nil {
		raw, err = d.secure(ctx, raw, address)
		if err != nil {
			return nil, &transportError{address: address, err: err}
		}
	}
	c := &conn{net: raw, buffered: bufio.NewReader(raw), address: address, clientID: d.clientID}
	if err := d.introduce(ctx, c); err != nil {
		c.close()
		// Nothing that has an effect has been sent.
		return nil, &transportError{address: address, err: err}
	}
	return c, nil
}

// introduce agrees on versions, shows who we are, and limits the connection's
// life, so that certificates and passwords that have been exchanged are used.
func (d *dialer) introduce(ctx context.Context, c *conn) error {
	if err := c.agree(ctx); err != nil {
		return err
	}
	life := maxLife - rand.N(maxLife/4) //nolint:gosec // it only spreads the work
	if d.sasl != nil {
		session, err := c.authenticate(ctx, d.sasl)
		if err != nil {
			return err
		}
		if session > 0 { // go before the broker ends it
			life = min(life, session*4/5)
		}
	}
	c.until = time.Now().Add(life)
	return nil
}

func (d *dialer) secure(ctx context.Context, raw net.Conn, address string) (net.Conn, error) {
	config := d.tls()
	if config == nil {
		return nil, errors.Join(errors.New("there is no TLS configuration"), raw.Close())
	}
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS13)
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		config.ServerName = host
	}
	secured := tls.Client(raw, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("TLS handshake: %w", err), raw.Close())
	}
	return secured, nil
}

// agree asks for the versions that the broker speaks (KIP-35). The answer is
// the first that a stranger gives, so it is not read by kafka-go, which sets
// aside what an array's length claims.
func (c *conn) agree(ctx context.Context) error {
	c.versions = map[protocol.ApiKey]int16{protocol.ApiVersions: 0}
	_, body, err := c.callRaw(ctx, new(apiversions.Request), nil)
	if err != nil {
		return fmt.Errorf("asking for protocol versions (is this a Kafka listener, and is TLS set as it asks?): %w", err)
	}
	r := wire{b: body}
	if err := codeError(r.int16()); err != nil {
		return err
	}
	for range r.count(6) {
		key, lowest, highest := protocol.ApiKey(r.int16()), r.int16(), r.int16()
		least, most := spoken(key)
		highest = min(highest, most)
		if highest >= max(lowest, least) {
			c.versions[key] = highest
		}
	}
	if r.bad {
		return errors.New("asking for protocol versions: the answer is not well formed")
	}
	return nil
}

func (c *conn) close() {
	// Nothing can be done about a connection that does not close.
	_ = c.net.Close()
}

// call sends a request and decodes its answer.
func (c *conn) call(ctx context.Context, req protocol.Message) (protocol.Message, error) {
	var answer protocol.Message
	err := c.exchange(ctx, req.ApiKey(), c.writing(req), func(version int16) error {
		var err error
		answer, err = c.decode(req.ApiKey(), version)
		return err
	})
	return answer, err
}

// callRaw sends a request and reads its answer's body into a buffer, without
// looking at it. It returns the version of the answer and its body.
func (c *conn) callRaw(ctx context.Context, req protocol.Message, into []byte) (int16, []byte, error) {
	var version int16
	err := c.exchange(ctx, req.ApiKey(), c.writing(req), func(v int16) error {
		var err error
		version = v
		into, err = c.readBody(into)
		return err
	})
	return version, into, err
}

// callFrame is callRaw for a request that is encoded already, but for its
// version and serial number.
func (c *conn) callFrame(ctx context.Context, key protocol.ApiKey, frame, into []byte) (version int16, body []byte, err error) {
	send := func(v int16) error {
		version = v
		binary.BigEndian.PutUint16(frame[atFrameVersion:], uint16(v))
		binary.BigEndian.PutUint32(frame[atFrameSerial:], uint32(c.serial))
		_, err := c.net.Write(frame)
		return err
	}
	err = c.exchange(ctx, key, send, func(int16) (err error) {
		into, err = c.readBody(into)
		return err
	})
	return version, into, err
}

// writing has kafka-go encode a request.
func (c *conn) writing(req protocol.Message) func(version int16) error {
	return func(version int16) error { return protocol.WriteRequest(c.net, version, c.serial, c.clientID, req) }
}

// exchange lets send write a request and receive read the answer, within ctx.
// After an error the connection is unusable.
func (c *conn) exchange(ctx context.Context, key protocol.ApiKey, send, receive func(version int16) error) error {
	version, ok := c.versions[key]
	if !ok {
		return fmt.Errorf("broker %s speaks no version of %s that this client knows; it needs Kafka 2.5 or later", c.address, key)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("a call to a broker needs a deadline") // a fault of this package
	}
	if err := c.net.SetDeadline(deadline); err != nil {
		return &transportError{address: c.address, err: err}
	}
	disarm := context.AfterFunc(ctx, func() {
		// An error means that the connection is closed, which is as good.
		_ = c.net.SetDeadline(time.Unix(1, 0))
	})
	c.serial++
	err := send(version)
	if err == nil {
		err = receive(version)
	}
	if !disarm() && err == nil {
		// The answer is whole, but the deadline may be moved into the past at
		// any later time: report the call as failed, so that nobody uses the
		// connection again.
		err = context.Cause(ctx)
	}
	if err != nil {
		return &transportError{address: c.address, sent: true, err: err}
	}
	return nil
}

// frame checks the size of the next answer without consuming it.
func (c *conn) frame() (int, error) {
	head, err := c.buffered.Peek(frameHeader)
	if err != nil {
		if len(head) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	size := int64(binary.BigEndian.Uint32(head))
	if size < 4 || size > maxAnswer {
		return 0, fmt.Errorf("an answer claims %d bytes: more than %d or not Kafka's protocol", size, maxAnswer)
	}
	return int(size), nil
}

// decode reads an answer with kafka-go's decoder, which panics on counts that
// make no sense: such an answer costs the connection, not the process.
func (c *conn) decode(key protocol.ApiKey, version int16) (answer protocol.Message, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the answer to %s v%d cannot be decoded: %v", key, version, fault)
		}
	}()
	if _, err := c.frame(); err != nil {
		return nil, err
	}
	serial, answer, err := protocol.ReadResponse(c.buffered, key, version)
	if err == nil && serial != c.serial {
		err = fmt.Errorf("answer to request %d where %d was expected", serial, c.serial)
	}
	return answer, err
}

// readBody reads an answer after its correlation id. Room is made as bytes
// arrive, so that a false size does not set memory aside.
func (c *conn) readBody(into []byte) ([]byte, error) {
	size, err := c.frame()
	if err != nil {
		return into, err
	}
	head, err := c.buffered.Peek(frameHeader)
	if err != nil {
		return into, err
	}
	if serial := int32(binary.BigEndian.Uint32(head[4:])); serial != c.serial {
		return into, fmt.Errorf("answer to request %d where %d was expected", serial, c.serial)
	}
	if _, err := c.buffered.Discard(frameHeader); err != nil {
		return into, err
	}
	return readGrowing(c.buffered, into[:0], size-4)
}

// readGrowing appends exactly n bytes to into, which grows at most to twice
// what has arrived.
func readGrowing(r io.Reader, into []byte, n int) ([]byte, error) {
	for len(into) < n {
		room := min(n, max(cap(into), 2*len(into), firstPiece))
		if cap(into) < room {
			into = append(make([]byte, 0, room), into...)
		}
		at := len(into)
		into = into[:room]
		if _, err := io.ReadFull(r, into[at:]); err != nil {
			return into[:at], err
		}
	}
	return into, nil
}

// hopeless reports a failure to connect that repeating does not mend: the two
// sides' certificates do not fit, what listens there is not TLS, or it does not
// take our name and password.
func hopeless(err error) bool {
	if errors.Is(err, ErrNotAuthorised) || hasCode(err, kafka.UnsupportedSASLMechanism, kafka.IllegalSASLState) {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.AlertError](err)
	return ok
}
