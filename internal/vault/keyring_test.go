package vault

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

var (
	ringNow     = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	ringOptions = RingOptions{Every: time.Second, Settle: time.Minute, Keep: 24 * time.Hour}
)

// version is a key that is so old.
func version(n int, age time.Duration) SharedKey {
	return SharedKey{Version: n, Key: make([]byte, sharedKeySize), Created: ringNow.Add(-age)}
}

func numbers(keys []SharedKey) []int {
	var out []int
	for _, k := range keys {
		out = append(out, k.Version)
	}
	return out
}

func TestArrange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		title string
		keys  []SharedKey // newest first
		want  []int       // the first one makes
	}{
		{"just provisioned", []SharedKey{version(1, 0)}, []int{1}},
		{"rotated just now: accepted, not used", []SharedKey{version(2, 0), version(1, time.Hour)}, []int{1, 2}},
		{"a second short of settled", []SharedKey{version(2, 59*time.Second), version(1, time.Hour)}, []int{1, 2}},
		{"settled", []SharedKey{version(2, time.Minute), version(1, time.Hour)}, []int{2, 1}},
		{"rotated twice in a hurry", []SharedKey{version(3, 1), version(2, 2), version(1, time.Hour)}, []int{1, 3, 2}},
		{"none has settled", []SharedKey{version(2, 1), version(1, 2)}, []int{1, 2}},
		{"superseded too long ago", []SharedKey{version(3, time.Hour), version(2, 24*time.Hour), version(1, 48*time.Hour)}, []int{3, 2}},
		{"old, but the only one", []SharedKey{version(1, 999*time.Hour)}, []int{1}},
		{"made by a server whose clock is ahead", []SharedKey{version(2, -time.Hour), version(1, time.Hour)}, []int{1, 2}},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			given := slices.Clone(c.keys)
			if got := numbers(arrange(c.keys, ringNow, ringOptions)); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if !slices.Equal(numbers(given), numbers(c.keys)) {
				t.Error("it changed what it was given")
			}
		})
	}
}

// Whatever was made with the first key of one replica is accepted by another
// that last looked at any time within Settle before.
func TestWhatOneReplicaMakesAllOpen(t *testing.T) {
	t.Parallel()
	all := []SharedKey{version(4, 10*time.Second), version(3, 70*time.Second), version(2, 3*time.Hour), version(1, 30*time.Hour)}
	maker := arrange(all, ringNow, ringOptions)[0]
	for lag := time.Duration(0); lag < ringOptions.Settle; lag += time.Second {
		then := ringNow.Add(-lag)
		var seen []SharedKey
		for _, k := range all {
			if !k.Created.After(then) {
				seen = append(seen, k)
			}
		}
		if !slices.Contains(numbers(arrange(seen, then, ringOptions)), maker.Version) {
			t.Errorf("a replica that looked %s ago does not know version %d", lag, maker.Version)
		}
	}
}

func TestRingBelievesNoLie(t *testing.T) {
	t.Parallel()
	answer, failure := []SharedKey{version(1, time.Hour)}, error(nil)
	r := &KeyRing{
		read: func(context.Context) ([]SharedKey, error) { return answer, failure },
		name: "cursor", options: ringOptions, now: func() time.Time { return ringNow }, logger: slog.New(slog.DiscardHandler),
	}
	if err := r.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := r.Keys()
	failure = problem.New(problem.VaultUnavailable, "away")
	if err := r.refresh(t.Context()); !errors.Is(err, failure) || &r.Keys()[0] != &first[0] {
		t.Errorf("with Vault away: %v, %v", numbers(r.Keys()), err)
	}
	failure = nil
	other := version(1, time.Hour)
	other.Key = []byte("another key of the same version!")
	answer = []SharedKey{version(2, time.Hour), other}
	if err := r.refresh(t.Context()); err == nil || problem.CodeOf(err) != problem.VaultUnavailable || !slices.Equal(numbers(r.Keys()), []int{1}) {
		t.Errorf("a version that changed was believed: %v, %v", numbers(r.Keys()), err)
	}
	answer = []SharedKey{version(2, time.Hour), version(1, time.Hour)}
	if err := r.refresh(t.Context()); err != nil || !slices.Equal(numbers(r.Keys()), []int{2, 1}) {
		t.Errorf("after a rotation: %v, %v", numbers(r.Keys()), err)
	}
	before := r.Keys()
	if err := r.refresh(t.Context()); err != nil || &before[0] != &r.Keys()[0] {
		t.Error("nothing changed, and the slice is another")
	}
}
