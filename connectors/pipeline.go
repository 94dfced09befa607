package connectors

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// DataKey asks Vault's Transit for a data key under a named key, which it
// makes if there is none.
type DataKey func(ctx context.Context, name string) (plain, wrapped []byte, err error)

// Config is what a pipeline is made of. All but the last group is required.
type Config struct {
	Region   string // of the province, GB/T 2260
	Provider string // participant id
	Product  *catalogue.Product
	Schema   *schemas.Schema
	Mapping  *Mapping
	Source   Source

	Kafka         *kafkalog.Client
	ProductKey    []byte                                // keys record keys and content digests
	DataKey       DataKey                               // seals blocks, quarantined and held rows
	Unwrap        sealed.Unwrap                         // opens held rows; only a product with an embargo needs it
	Sign          func(manifest []byte) (string, error) // JWS with the connector's certificate
	QuarantineDir string
	Now           func() time.Time
	Logger        *slog.Logger

	ChunkRows        int                    // rows of one transaction at the most; default 1000
	MaxRowsPerSecond int                    // spares the source's system; 0: no limit
	Progress         func(Position)         // called after every commit
	Refused          func(*problem.Problem) // called for a batch that was put aside, and for a source that cannot be read
}

// Pipeline carries the rows of one product of one provider into the province's
// Kafka. One pipeline runs at a time for each: a second one fences the first.
type Pipeline struct {
	Config
	validator *Validator
	encoder   *schemas.Encoder
	keyLeaves []int
	decision  int      // leaf of the decision time
	version   int      // leaf of the provider's own version; -1 if the connector counts
	embargo   int      // leaf of the publication time; -1 if the product has none
	removals  []symbol // what makes a record a removal
	topic     string
	txID      string
}

// NewPipeline checks the configuration against schema and catalogue.
func NewPipeline(c Config) (*Pipeline, error) {
	p := &Pipeline{Config: c, encoder: schemas.NewEncoder(c.Schema), topic: record.Topic(c.Region, c.Product.ID, c.Product.Major)}
	p.txID = record.TransactionalID(p.topic, c.Provider)
	if p.ChunkRows <= 0 {
		p.ChunkRows = 1000
	}
	if p.Progress == nil {
		p.Progress = func(Position) {}
	}
	if p.Refused == nil {
		p.Refused = func(*problem.Problem) {}
	}
	var err error
	if p.validator, err = NewValidator(c.Schema, c.Product.Rows); err != nil {
		return nil, err
	}
	return p, p.findLeaves()
}

// Run is the road of a row. It carries batch after batch until ctx ends or
// something fails; after a failure it may be called again and continues behind
// the last committed row, see [Supervise].
func (p *Pipeline) Run(ctx context.Context) error {
	s, err := p.resume(ctx) // a former producer is fenced; position and index are read from Kafka
	if err != nil {
		return err
	}
	defer s.close(ctx)
	for {
		batch, err := s.take(ctx) // 1 read: a file; meanwhile held rows whose time has come go out
		if err == nil {
			s.begin(batch)
			err = s.carry(ctx, func(row *source.Row) error {
				faults := p.Mapping.Apply(row, s.values) // 2 map
				if len(faults) == 0 {
					faults = p.validator.Validate(s.values, p.Now()) // 3 validate
				}
				if until, waits := s.embargoed(); waits && !kept(faults) {
					return s.holdBack(row, until, faults) // until its publication time
				}
				id, faults, err := s.judge(row, faults)
				switch {
				case err != nil:
					return err
				case len(faults) > 0:
					return s.quarantine(row, faults)
				case id.duplicate:
					return nil
				}
				value, err := s.encode(ctx, id.key) // 4 seal, 5 encode
				if err == nil {
					err = s.publish(ctx, id, value) // 6, in the transaction that carries the position
				}
				return err
			})
			err = s.finish(ctx, err) // 6 the manifest and the last commit, 7 ack
		}
		if err := p.tolerate(ctx, err); err != nil {
			return err
		}
	}
}

// tolerate tells of a file that was put aside or cannot be read, and goes on.
// What is no fault of a file ends the run.
func (p *Pipeline) tolerate(ctx context.Context, err error) error {
	fault, ok := errors.AsType[*problem.Problem](err)
	if !ok || !fileFault(fault.Code) {
		return err
	}
	p.Logger.WarnContext(ctx, "source", slog.String("product", p.Product.ID), slog.String("problem", fault.LogText()))
	p.Refused(fault)
	if fault.Code == problem.DirectoryUnreadable || fault.Code == problem.FileUnmovable {
		return pause(ctx, 5*time.Second)
	}
	return nil
}

// fileFault says whether a problem is one of a file or its directory, which
// leaves the connector sound.
func fileFault(c problem.Code) bool {
	switch c {
	case problem.FileEmpty, problem.FileEncoding, problem.ColumnMissing, problem.RowTooLong, problem.FileTruncated,
		problem.FileMalformed, problem.FileTooLarge, problem.SheetMissing, problem.FileVanished, problem.FileUnreadable, problem.FileUnmovable, problem.DirectoryUnreadable:
		return true
	}
	return false
}

// Supervise runs a pipeline until ctx ends. After a failure it waits, longer
// each time up to half a minute, and runs it again: the connector keeps its
// position, and nothing is lost or doubled. Only a fault that no repetition
// can mend is returned: another connector took over.
func Supervise(ctx context.Context, p *Pipeline) error {
	const least, most = 250 * time.Millisecond, 30 * time.Second
	wait := least
	for {
		started := p.Now()
		err := p.Run(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // told to stop, not failed
		case errors.Is(err, kafkalog.ErrFenced):
			return problem.Wrap(problem.ConnectorFenced, err, "%s of %s", p.Product.ID, p.Provider)
		case p.Now().Sub(started) > time.Minute:
			wait = least
		}
		p.Logger.ErrorContext(ctx, "pipeline stopped, will go on", slog.String("product", p.Product.ID),
			slog.Duration("again_in", wait), slog.String("problem", problem.From(told(err)).LogText()))
		if !sleeps(ctx, wait) {
			return nil
		}
		wait = min(2*wait, most)
	}
}

// told gives a failure that has no code yet the one that an operator looks up.
func told(err error) error {
	if problem.CodeOf(err) == problem.Internal && errors.Is(err, kafkalog.ErrUnavailable) {
		return problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	if !sleeps(ctx, d) {
		return ctx.Err()
	}
	return nil
}

// sleeps waits, and says whether it could to the end.
func sleeps(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
