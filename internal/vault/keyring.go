package vault

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// RingOptions say how a [KeyRing] keeps up. The zero value is that of
// production.
type RingOptions struct {
	Every  time.Duration // between two looks at Vault; 0: 30 s
	Settle time.Duration // before a new version makes anything; 0: four times Every
	Keep   time.Duration // of a version after its successor's making; 0: 90 days
}

func (o RingOptions) withDefaults() RingOptions {
	if o.Every <= 0 {
		o.Every = 30 * time.Second
	}
	if o.Settle <= 0 {
		o.Settle = 4 * o.Every
	}
	if o.Keep <= 0 {
		o.Keep = 90 * 24 * time.Hour
	}
	return o
}

// KeyRing is a shared key by its versions, read anew while the process runs. A
// version that somebody rotated in is accepted as soon as it is seen, and used
// to make things once it is Settle old: by then every replica has seen it, so
// that what one makes each can open. Versions go when they were deleted, or
// Keep after their successor came.
//
// While Vault is away the versions at hand stay. Its methods are safe for
// concurrent use.
type KeyRing struct {
	read    func(ctx context.Context) ([]SharedKey, error)
	name    string
	options RingOptions
	now     func() time.Time
	logger  *slog.Logger
	keys    atomic.Pointer[[]SharedKey] // the one that makes, then the others, newest first; never written to
}

// NewKeyRing reads the named key, which must have a version. [KeyRing.Run]
// keeps it fresh.
func (c *Client) NewKeyRing(ctx context.Context, name string, o RingOptions) (*KeyRing, error) {
	r := &KeyRing{
		read: func(ctx context.Context) ([]SharedKey, error) { return c.SharedKeys(ctx, name) },
		name: name, options: o.withDefaults(), now: c.cfg.Now, logger: c.cfg.Logger,
	}
	return r, r.refresh(ctx)
}

// Keys returns the versions: make with the first, accept all. The slice is the
// same one until something changed; do not write to it.
func (r *KeyRing) Keys() []SharedKey { return *r.keys.Load() }

// Run reads the key again and again until ctx ends.
func (r *KeyRing) Run(ctx context.Context) {
	failed := false
	for sleep(ctx, jitter(r.options.Every)) {
		err := r.refresh(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failed:
			r.logger.LogAttrs(ctx, slog.LevelWarn, "vault: shared key not read; going on with the versions at hand",
				slog.String("key", r.name), slog.String("error", problem.From(err).LogText()))
		case err == nil && failed:
			r.logger.LogAttrs(ctx, slog.LevelInfo, "vault: shared key read again", slog.String("key", r.name))
		}
		failed = err != nil
	}
}

// refresh takes up what the server says now, unless that contradicts what it
// said before.
func (r *KeyRing) refresh(ctx context.Context) error {
	keys, err := r.read(ctx)
	if err != nil {
		return err
	}
	before := r.keys.Load()
	if before != nil {
		if err := contradiction(r.name, *before, keys); err != nil {
			return err
		}
	}
	keys = arrange(keys, r.now(), r.options)
	if before == nil || !slices.EqualFunc(*before, keys, func(a, b SharedKey) bool { return a.Version == b.Version }) {
		r.keys.Store(&keys)
	}
	return nil
}

// contradiction finds a version that holds another key than before: versions
// never change, so such an answer is a lie, or of another server.
func contradiction(name string, before, after []SharedKey) error {
	for _, b := range before {
		for _, a := range after {
			if a.Version == b.Version && subtle.ConstantTimeCompare(a.Key, b.Key) == 0 {
				return problem.New(problem.VaultUnavailable, "version %d of %s is not the key that it was: the answer is not believed", a.Version, name)
			}
		}
	}
	return nil
}

// arrange puts the newest version that has settled first and leaves out those
// that are past their time. keys are newest first and not empty.
func arrange(keys []SharedKey, now time.Time, o RingOptions) []SharedKey {
	kept := keys[:1:1]
	for i := 1; i < len(keys); i++ {
		if now.Sub(keys[i-1].Created) < o.Keep {
			kept = append(kept, keys[i])
		}
	}
	maker := len(kept) - 1 // if none has settled, the oldest
	for i, k := range kept {
		if now.Sub(k.Created) >= o.Settle {
			maker = i
			break
		}
	}
	out := []SharedKey{kept[maker]}
	return append(append(out, kept[:maker]...), kept[maker+1:]...)
}
