package vault

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// transitSteps make the keys that never leave Transit.
func (v *provisioner) transitSteps(context.Context) ([]step, error) {
	steps := []step{
		v.transitKey(KeyTrustBundle, map[string]any{"type": "ed25519"}, nil), v.transitKey(KeyGatewaySigning, map[string]any{"type": "ed25519"}, nil),
	}
	for _, c := range v.province.Connectors {
		steps = append(steps, v.transitKey(c.QuarantineKey(), sealKeyType, sealKeyConfig))
	}
	return steps, nil
}

// transitKey is a key of a type, which is made once and never changed, with a
// configuration that may be.
func (v *provisioner) transitKey(name string, kind, config map[string]any) step {
	path := v.mounts.Transit + "/keys/" + name
	return step{
		what: "Transit key " + name, path: path,
		look: func(ctx context.Context) (bool, []string, error) {
			have, err := v.read(ctx, "look for "+name, path)
			return have == nil, differences(config, have), err
		},
		put: func(ctx context.Context) error {
			// Of a key that is there this changes nothing.
			if err := v.write(ctx, "create "+name, path, kind); err != nil || config == nil {
				return err
			}
			return v.write(ctx, "configure "+name, path+"/config", config)
		},
	}
}

// sharedSteps make the keys that several processes share.
func (v *provisioner) sharedSteps(context.Context) ([]step, error) {
	names := []string{KeyCursor}
	for _, p := range v.province.Products {
		names = append(names, KeyRecord(p), KeyHash(p))
	}
	var steps []step
	for _, name := range names {
		steps = append(steps, v.sharedKey(name))
	}
	return steps, nil
}

// sharedKey makes a random key unless there is or ever was one of this name:
// what was deleted on purpose does not come back.
func (v *provisioner) sharedKey(name string) step {
	metadata := v.mounts.KV + "/metadata/" + name
	keep := map[string]any{"max_versions": keptVersions}
	return step{
		what: "shared key " + name, path: v.mounts.KV + "/data/" + name,
		look: func(ctx context.Context) (bool, []string, error) {
			have, err := v.read(ctx, "look for "+name, metadata)
			return have == nil, differences(keep, have), err
		},
		put: func(ctx context.Context) error {
			have, err := v.read(ctx, "look for "+name, metadata)
			if err == nil && have == nil {
				err = v.newVersion(ctx, v.mounts.KV, name, map[string]any{"cas": 0}) // only if it is absent
			}
			if errors.Is(err, errRejected) {
				err = nil // someone else made it in between
			}
			if err != nil {
				return err
			}
			return v.write(ctx, "keep the versions of "+name, metadata, keep)
		},
	}
}

// newVersion writes a random key as the next version of a shared key.
func (c *conn) newVersion(ctx context.Context, kv, name string, options map[string]any) error {
	key := make([]byte, sharedKeySize)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	_, err := c.send(ctx, request{
		what: "make " + name, method: http.MethodPost, path: kv + "/data/" + name, quiet: true,
		body: map[string]any{"options": options, "data": map[string]any{"key": base64.StdEncoding.EncodeToString(key)}},
	})
	return err
}

// differences names the settings of want that have does not have so, sorted.
// Of what the server adds by itself nothing is said.
func differences(want, have map[string]any) []string {
	if have == nil {
		return nil
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !sameSetting(want[name], have[name]) {
			out = append(out, name)
		}
	}
	return out
}

// sameSetting compares a value as it is written with the form in which the
// server gives it back: durations as seconds, lists as []any, numbers as
// json.Number, text with other space around it.
func sameSetting(want, have any) bool {
	switch w := want.(type) {
	case []string:
		list, _ := have.([]any)
		got := make([]string, len(list))
		for i, v := range list {
			got[i] = fmt.Sprint(v)
		}
		return slices.Equal(slices.Sorted(slices.Values(w)), slices.Sorted(slices.Values(got)))
	case string:
		if n, ok := have.(json.Number); ok {
			d, err := time.ParseDuration(w)
			return err == nil && n.String() == fmt.Sprint(int64(d/time.Second))
		}
		text, _ := have.(string)
		return strings.TrimSpace(w) == strings.TrimSpace(text)
	default:
		return fmt.Sprint(want) == fmt.Sprint(have)
	}
}
