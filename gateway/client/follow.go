package client

import (
	"context"
	"errors"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Follow pulls page after page and hands each to use, which keeps the cursor
// with what it made of the records. With wait it stays at the end and asks
// again in that interval; without, it returns nil at the end. What passes by
// itself (429, 503, a gateway that does not answer) is waited for, up to
// patience in one stretch; anything else is returned.
func (c *Client) Follow(ctx context.Context, q Query, wait, patience time.Duration, use func(*Page) error) error {
	for {
		page, err := c.persist(ctx, q, patience)
		if err != nil {
			return err
		}
		if err := use(page); err != nil {
			return err
		}
		// Only an empty page that leads back to itself is the end: a range
		// that is read to its end may have another behind it.
		atRest := page.AtEnd && page.Receipt == nil && page.Next == q.Cursor
		q.Cursor = page.Next
		switch {
		case !atRest:
			continue
		case wait <= 0:
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// persist pulls a page, and waits for what passes by itself.
func (c *Client) persist(ctx context.Context, q Query, patience time.Duration) (*Page, error) {
	pause := 200 * time.Millisecond
	began := c.config.Now()
	for {
		page, err := c.Records(ctx, q)
		if err == nil || !passing(err) || c.config.Now().Sub(began) > patience {
			return page, err
		}
		if err := sleep(ctx, max(pause, retryAfter(err))); err != nil {
			return nil, err
		}
		pause = min(2*pause, 10*time.Second)
	}
}

// passing says whether a failure may pass by itself.
func passing(err error) bool {
	switch code := problem.CodeOf(err); code {
	case problem.GatewayUnreachable, problem.RateLimited, problem.QuotaExhausted:
		return true
	default:
		return code.Entry().Status == 503
	}
}

func retryAfter(err error) time.Duration {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused.RetryAfter
	}
	return 0
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
