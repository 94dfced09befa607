package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	firstPause    = 500 * time.Millisecond // after the first login that failed in the background
	longestPause  = 15 * time.Second       // between two of them
	readyFraction = 20                     // readiness ends when a 20th of the token's lease is left
)

var errClosed = errors.New("the client of Vault is closed")

// login gets a new token in place of the stale one. Of many callers who find
// the same token dead the first logs in and the others use what it got.
func (c *Client) login(ctx context.Context, stale string) error {
	if err := c.enterLogin(ctx); err != nil {
		return err
	}
	defer func() { <-c.loginSlot }()
	switch {
	case c.closed.Load():
		return errClosed
	case stale != "" && c.api.Token() != stale:
		return nil
	}
	s, err := c.askForToken(ctx)
	if err != nil {
		return err
	}
	c.api.SetToken(s.Auth.ClientToken)
	c.current.Store(s)
	select {
	case c.replaced <- struct{}{}:
	default: // the watcher will find the latest anyway
	}
	return nil
}

// enterLogin waits for a login that is under way.
func (c *Client) enterLogin(ctx context.Context) error {
	select {
	case c.loginSlot <- struct{}{}:
		return nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return fmt.Errorf("wait for a login to Vault that is under way: %w", ctx.Err())
		}
		return problem.Wrap(problem.VaultUnavailable, ctx.Err(), "wait for a login that is under way")
	}
}

// askForToken shows the server the credentials: the certificate of the
// connection, or the AppRole's secret id.
func (c *Client) askForToken(ctx context.Context) (*api.Secret, error) {
	r := request{what: "log in", method: http.MethodPost, quiet: true}
	hint := "check that the certificate's name may log in as " + c.cfg.CertificateRole + " and that it has not expired"
	if c.cfg.Certificate != nil {
		r.path, r.body = "auth/"+c.cfg.Mounts.Cert+"/login", map[string]any{"name": c.cfg.CertificateRole}
	} else {
		secretID, err := c.cfg.SecretID()
		if err != nil {
			return nil, problem.Wrap(problem.ConfigInvalid, err, "the AppRole's secret id for Vault cannot be read")
		}
		r.path, r.body = "auth/"+c.cfg.Mounts.AppRole+"/login", map[string]any{"role_id": c.cfg.RoleID, "secret_id": secretID}
		hint = "check the role id, and that its secret id is neither expired nor revoked"
	}
	s, err := c.send(ctx, r)
	if errors.Is(err, errRejected) {
		// Vault answers 400, not 403, to wrong credentials.
		return nil, fmt.Errorf("%w: %w: %s", ErrDenied, err, hint)
	}
	if err != nil {
		return nil, err
	}
	if s == nil || s.Auth == nil || s.Auth.ClientToken == "" {
		return nil, errAnswer("log in", "no token")
	}
	return s, nil
}

// lease is the life that the current token was given.
func (c *Client) lease() time.Duration {
	return time.Duration(c.current.Load().Auth.LeaseDuration) * time.Second
}

// watch renews the token, and logs in again when that ends, until ctx ends.
func (c *Client) watch(ctx context.Context) {
	defer close(c.done)
	for ctx.Err() == nil {
		s := c.current.Load()
		if c.follow(ctx, s) {
			c.loginUntilDone(ctx, s.Auth.ClientToken)
		}
	}
}

// follow renews one token. It returns true when it is time to log in again,
// and false when ctx ended or another login replaced the token.
func (c *Client) follow(ctx context.Context, s *api.Secret) bool {
	w, err := c.api.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: s})
	if err != nil {
		c.cfg.Logger.LogAttrs(ctx, slog.LevelError, "vault: cannot watch the token", slog.Any("error", err))
		return true
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Start()
	}()
	defer func() {
		w.Stop()
		<-ended
	}()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-c.replaced:
			if c.current.Load() != s {
				return false
			}
		case <-w.RenewCh():
		case err := <-w.DoneCh():
			// Without an error this comes while the token still lives, and
			// says that it cannot be renewed further. Both ask for a login.
			if err != nil {
				c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "vault: the token could not be renewed; logging in again")
			}
			return true
		}
	}
}

// loginUntilDone logs in in place of the stale token, with growing pauses,
// until it succeeds or the client is closed. It says once that it fails, and
// once that it no longer does.
func (c *Client) loginUntilDone(ctx context.Context, stale string) {
	pause, failed := firstPause, false
	for {
		err := c.login(ctx, stale)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && failed:
			c.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "vault: logged in again")
			return
		case err == nil:
			return
		case !failed:
			c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "vault: cannot log in; trying on", slog.String("error", problem.From(err).LogText()))
			failed = true
		}
		if !sleep(ctx, jitter(pause)) {
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// jitter spreads a pause over 80 to 120 %, so that the replicas of a province
// do not come back to a restarted server all at once.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // spreads load, keeps no secret
}

// sleep waits, and returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
