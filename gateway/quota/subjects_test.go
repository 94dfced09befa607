package quota_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/quota/quotatest"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

func TestMemorySubjects(t *testing.T) {
	t.Parallel()
	quotatest.RunSubjects(t, func(*testing.T) (quota.SubjectStore, quotatest.Clock) {
		clock := quotatest.NewFakeClock()
		return quota.NewMemorySubjects(10_000, clock.Now), clock
	})
}

// A full store forgets nobody whose window runs, and takes new ones when one is over.
func TestMemorySubjectsIsBounded(t *testing.T) {
	t.Parallel()
	clock := quotatest.NewFakeClock()
	m := quota.NewMemorySubjects(2, clock.Now)
	if d, err := m.Admit(t.Context(), "a", 9, []quota.Subject{{1}, {2}}); err != nil || !d.Allowed {
		t.Fatal(d, err)
	}
	if d, err := m.Admit(t.Context(), "b", 9, []quota.Subject{{1}}); !errors.Is(err, quota.ErrFull) || problem.CodeOf(err) != problem.QuotaUnavailable || d.Allowed {
		t.Fatalf("%+v, %v", d, err)
	}
	if d, err := m.Admit(t.Context(), "a", 9, []quota.Subject{{2}}); err != nil || !d.Allowed {
		t.Errorf("what is held already needs no room: %+v, %v", d, err)
	}
	clock.Advance(quota.Window)
	if d, err := m.Admit(t.Context(), "b", 9, []quota.Subject{{1}, {3}}); err != nil || !d.Allowed || d.New != 2 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestAdmitSubjects(t *testing.T) {
	t.Parallel()
	clock := quotatest.NewFakeClock()
	m := quota.NewMemorySubjects(100, clock.Now)
	page := []quota.Subject{{1}, {2}, {3}}
	if err := quota.AdmitSubjects(t.Context(), nil, "a", quota.Unlimited, page); err != nil {
		t.Errorf("where nothing is counted, nothing counts: %v", err)
	}
	if err := quota.AdmitSubjects(t.Context(), nil, "a", 5, page); problem.CodeOf(err) != problem.QuotaUnavailable {
		t.Errorf("without a store: %v", err)
	}
	if err := quota.AdmitSubjects(t.Context(), m, "a", 4, page); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Hour)
	err := quota.AdmitSubjects(t.Context(), m, "a", 4, []quota.Subject{{3}, {4}, {5}})
	refused, ok := errors.AsType[*quota.RefusedError](err)
	if !ok || problem.CodeOf(err) != problem.QuotaExhausted || refused.RetryAfter != quota.Window-time.Hour ||
		!strings.Contains(err.Error(), "this page has 2 new ones and 1 are left") {
		t.Errorf("%v", err)
	}
	if err := quota.AdmitSubjects(t.Context(), m, "other", 4, page); err != nil {
		t.Errorf("agreements are counted apart: %v", err)
	}
}
