package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	apiTimeout = 20 * time.Second // of one call; the first one writes the whole storage
	maxAnswer  = 1 << 20
)

// serverAPI is the base address of a server that nobody has logged in to yet:
// of its HTTP API, the three calls that need no token.
type serverAPI string

func (s serverAPI) initialised(ctx context.Context) (bool, error) {
	var answer struct {
		Initialized bool `json:"initialized"`
	}
	_, err := s.call(ctx, http.MethodGet, "/v1/sys/init", nil, &answer)
	return answer.Initialized, err
}

// initKeys are what an initialisation gives out once.
type initKeys struct{ root, recovery string }

func (s serverAPI) initialise(ctx context.Context) (initKeys, error) {
	var answer struct {
		RootToken    string   `json:"root_token"`
		RecoveryKeys []string `json:"recovery_keys_base64"`
	}
	// With a seal that opens by itself there are no unseal keys to share out.
	_, err := s.call(ctx, http.MethodPut, "/v1/sys/init", map[string]int{"recovery_shares": 1, "recovery_threshold": 1}, &answer)
	if err != nil {
		return initKeys{}, err
	}
	if answer.RootToken == "" || len(answer.RecoveryKeys) != 1 {
		return initKeys{}, errors.New("initialise the server: it gave no root token or no recovery key")
	}
	return initKeys{root: answer.RootToken, recovery: answer.RecoveryKeys[0]}, nil
}

// awaitUnsealed waits until the server is unsealed and active.
func (s serverAPI) awaitUnsealed(ctx context.Context) error {
	for {
		status, err := s.call(ctx, http.MethodGet, "/v1/sys/health", nil, nil)
		if status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait until the server is unsealed; it answers with status %d: %w", status, ctx.Err()), err)
		case <-time.After(healthPoll):
		}
	}
}

// call makes one call and decodes a good answer. The error never holds the
// answer, which may hold a token.
func (s serverAPI) call(ctx context.Context, method, path string, body, answer any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, string(s)+path, content)
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Client{}).Do(req) // ctx bounds it
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, fmt.Errorf("%s %s: status %d", method, path, resp.StatusCode)
	}
	if answer == nil {
		return resp.StatusCode, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer); err != nil {
		return resp.StatusCode, fmt.Errorf("%s %s: the answer is not what was expected", method, path)
	}
	return resp.StatusCode, nil
}
