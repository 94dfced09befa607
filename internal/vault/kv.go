package vault

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

const (
	sharedKeySize = 32
	maxVersions   = 32 // of one shared key that are read, newest first
)

// SharedKey is one version of a symmetric key that several processes share.
type SharedKey struct {
	Version int
	Key     []byte    // 32 bytes
	Created time.Time // by the server's clock
}

// SharedKeys returns every live version of the named key, newest first, at
// most 32: make with the first, accept all. There is at least one, or
// [ErrNotFound].
func (c *Client) SharedKeys(ctx context.Context, name string) ([]SharedKey, error) {
	if err := checkPath("shared key", name); err != nil {
		return nil, err
	}
	meta, err := c.do(ctx, request{what: "list the versions of " + name, method: http.MethodGet, path: c.cfg.Mounts.KV + "/metadata/" + name})
	if err != nil {
		return nil, err
	}
	versions := liveVersions(meta.Data, c.cfg.Now())
	if len(versions) > maxVersions {
		versions = versions[:maxVersions]
	}
	var keys []SharedKey
	for _, v := range versions {
		key, err := c.sharedKey(ctx, name, v.Version)
		if errors.Is(err, ErrNotFound) {
			continue // deleted since the list was made
		}
		if err != nil {
			return nil, err
		}
		v.Key = key
		keys = append(keys, v)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("shared key %s has no live version: %w", name, ErrNotFound)
	}
	return keys, nil
}

// liveVersions reads the metadata of a KV entry: versions that are neither
// destroyed nor deleted by now, newest first.
func liveVersions(metadata map[string]any, now time.Time) []SharedKey {
	entries, _ := metadata["versions"].(map[string]any)
	var live []SharedKey
	for text, v := range entries {
		version, err := strconv.Atoi(text)
		entry, ok := v.(map[string]any)
		if err != nil || !ok {
			continue
		}
		if destroyed, _ := entry["destroyed"].(bool); destroyed {
			continue
		}
		if deletion, _ := entry["deletion_time"].(string); deletion != "" {
			// A deletion may lie in the future; one that cannot be read has
			// happened.
			at, err := time.Parse(time.RFC3339Nano, deletion)
			if err != nil || !at.After(now) {
				continue
			}
		}
		created, _ := entry["created_time"].(string)
		at, _ := time.Parse(time.RFC3339Nano, created) // unreadable: it counts as old
		live = append(live, SharedKey{Version: version, Created: at})
	}
	slices.SortFunc(live, func(a, b SharedKey) int { return cmp.Compare(b.Version, a.Version) })
	return live
}

func (c *Client) sharedKey(ctx context.Context, name string, version int) ([]byte, error) {
	s, err := c.do(ctx, request{
		what: "read " + name, method: http.MethodGet, path: c.cfg.Mounts.KV + "/data/" + name,
		query: map[string][]string{"version": {strconv.Itoa(version)}}, quiet: true,
	})
	if err != nil {
		return nil, err
	}
	data, ok := s.Data["data"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("read %s version %d: %w", name, version, ErrNotFound)
	}
	text, _ := data["key"].(string)
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != sharedKeySize {
		return nil, fmt.Errorf("read %s version %d: the field \"key\" is not 32 bytes in base64", name, version)
	}
	return key, nil
}
