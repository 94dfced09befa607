package quotatest

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// RunSubjects holds a store to the contract of quota.SubjectStore; see [Run].
func RunSubjects(t *testing.T, newStore func(t *testing.T) (quota.SubjectStore, Clock)) {
	t.Helper()
	for _, part := range []struct {
		name string
		run  func(s *subjectSuite)
	}{
		{"all or none", allOrNone},
		{"a window ends", windowEnds},
		{"keys of subjects", subjectKeys},
		{"a big page", bigPage},
		{"subjects at the same time", subjectsConcurrently},
		{"a request that has ended", subjectsEnded},
		{"as a plain set", likeASet},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			store, clock := newStore(t)
			part.run(&subjectSuite{T: t, store: store, clock: clock})
		})
	}
}

type subjectSuite struct {
	*testing.T
	store quota.SubjectStore
	clock Clock
}

// subjects are those of the numbers.
func subjects(of ...int) []quota.Subject {
	var out []quota.Subject
	for _, n := range of {
		var s quota.Subject
		binary.BigEndian.PutUint64(s[3:], uint64(n))
		out = append(out, s)
	}
	return out
}

// want admits subjects and checks the answer.
func (s *subjectSuite) want(key string, limit int64, of []quota.Subject, allowed bool, fresh, left int64) quota.SubjectDecision {
	s.Helper()
	d, err := s.store.Admit(s.Context(), key, limit, of)
	if err != nil {
		s.Fatal(err)
	}
	if d.Allowed != allowed || d.New != fresh || d.Left != left || allowed != (d.RetryAfter == 0) {
		s.Fatalf("%d subjects of %q, limit %d: %+v, want %v with %d new and %d left", len(of), key, limit, d, allowed, fresh, left)
	}
	return d
}

func allOrNone(s *subjectSuite) {
	s.want("k", 3, subjects(1, 2), true, 2, 1)
	s.want("k", 3, subjects(2, 1, 2), true, 0, 1) // known ones are free
	d := s.want("k", 3, subjects(2, 3, 4), false, 2, 1)
	if d.RetryAfter > quota.Window || d.RetryAfter < quota.Window-time.Hour {
		s.Errorf("again in %v", d.RetryAfter)
	}
	s.want("k", 3, subjects(3, 3, 3), true, 1, 0) // none of those that were refused is held
	s.want("k", 3, subjects(1, 2, 3), true, 0, 0)
	s.want("k", 3, subjects(4), false, 1, 0)
	s.want("k", 2, subjects(1), true, 0, 0)    // a lowered limit does not take back
	s.want("k", 5, subjects(4, 5), true, 2, 0) // a raised one gives more
	s.want("k", 5, nil, true, 0, 0)
	for _, limit := range []int64{0, -1, -1 << 63} {
		s.want("none", limit, subjects(1), false, 1, 0)
	}
}

func windowEnds(s *subjectSuite) {
	if _, fake := s.clock.(*FakeClock); !fake {
		s.Skip("only where the clock can be set")
	}
	s.want("k", 2, subjects(1), true, 1, 1)
	s.clock.Advance(quota.Window - time.Hour)
	s.want("k", 2, subjects(2), true, 1, 0)
	d := s.want("k", 2, subjects(3), false, 1, 0)
	if d.RetryAfter != time.Hour {
		s.Errorf("the window began with its first subject: again in %v", d.RetryAfter)
	}
	s.clock.Advance(time.Hour - time.Microsecond)
	s.want("k", 2, subjects(3), false, 1, 0)
	s.clock.Advance(time.Microsecond)
	s.want("k", 2, subjects(3, 2), true, 2, 0)
	s.want("k", 2, subjects(1), false, 1, 0)
}

func subjectKeys(s *subjectSuite) {
	for _, key := range []string{"a", "A", "a/b", "川", strings.Repeat("k", quota.MaxKey)} {
		s.want(key, 1, subjects(1), true, 1, 0)
	}
	for _, key := range []string{"", strings.Repeat("k", quota.MaxKey+1)} {
		if d, err := s.store.Admit(s.Context(), key, 1, subjects(1)); !errors.Is(err, quota.ErrKey) || d != (quota.SubjectDecision{}) {
			s.Errorf("a key of %d bytes: %+v, %v", len(key), d, err)
		}
	}
}

// bigPage is as many as a page may hold, of any bytes.
func bigPage(s *subjectSuite) {
	rng := rand.New(rand.NewPCG(5, 6))
	page := make([]quota.Subject, 5000)
	for i := range page {
		binary.NativeEndian.PutUint64(page[i][:], rng.Uint64())
		binary.NativeEndian.PutUint64(page[i][8:], rng.Uint64())
	}
	s.want("k", 5000, page, true, 5000, 0)
	s.want("k", 5000, page, true, 0, 0)
	s.want("k", 5000, subjects(1), false, 1, 0)
}

func subjectsConcurrently(s *subjectSuite) {
	const limit = 40
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 10 {
				d, err := s.store.Admit(s.Context(), "k", limit, subjects(worker*100+i))
				if err != nil {
					s.Error(err)
				}
				if d.Allowed {
					admitted.Add(d.New)
				}
			}
		})
	}
	wg.Wait()
	if admitted.Load() != limit {
		s.Errorf("%d of 80 were admitted, the limit is %d", admitted.Load(), limit)
	}
}

func subjectsEnded(s *subjectSuite) {
	gone, cancel := context.WithCancel(s.Context())
	cancel()
	if d, err := s.store.Admit(gone, "k", 1, subjects(1)); problem.CodeOf(err) != problem.QuotaUnavailable || d != (quota.SubjectDecision{}) {
		s.Errorf("%+v, %v", d, err)
	}
	s.want("k", 1, subjects(2), true, 1, 0)
}

// likeASet compares random pages with a set of Go.
func likeASet(s *subjectSuite) {
	rng := rand.New(rand.NewPCG(7, 8))
	held := map[quota.Subject]bool{}
	const limit = 60
	for range 300 {
		var page []quota.Subject
		fresh := map[quota.Subject]bool{}
		for range rng.IntN(8) {
			page = append(page, subjects(rng.IntN(100))...)
			if one := page[len(page)-1]; !held[one] {
				fresh[one] = true
			}
		}
		fits := len(held)+len(fresh) <= limit
		left := limit - len(held)
		if fits {
			left -= len(fresh)
			for one := range fresh {
				held[one] = true
			}
		}
		s.want("k", limit, page, fits, int64(len(fresh)), int64(left))
	}
}
