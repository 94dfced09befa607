package quota_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/quota/quotatest"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

var errDown = errors.New("connection refused")

// down is a store that does not answer, after the first okay calls.
type down struct {
	quota.Store
	okay int
}

func (s *down) fails() error {
	if s.okay--; s.okay >= 0 {
		return nil
	}
	return problem.Wrap(problem.QuotaUnavailable, errDown, "the quota store did not answer")
}

func (s *down) Spend(ctx context.Context, key string, limit quota.Limit, n int64) (quota.Decision, error) {
	if err := s.fails(); err != nil {
		return quota.Decision{}, err
	}
	return s.Store.Spend(ctx, key, limit, n)
}

func (s *down) Take(ctx context.Context, key string, limit quota.Limit, most int64) (quota.Decision, error) {
	if err := s.fails(); err != nil {
		return quota.Decision{}, err
	}
	return s.Store.Take(ctx, key, limit, most)
}

func (s *down) Refund(ctx context.Context, key string, limit quota.Limit, n int64) error {
	if err := s.fails(); err != nil {
		return err
	}
	return s.Store.Refund(ctx, key, limit, n)
}

func newMemory() (*quota.Memory, *quotatest.FakeClock) {
	clock := quotatest.NewFakeClock()
	return quota.NewMemory(100, clock.Now), clock
}

func wantRefused(t *testing.T, err error, code problem.Code, wait time.Duration) {
	t.Helper()
	r, ok := errors.AsType[*quota.RefusedError](err)
	if !ok {
		t.Fatalf("want a refusal, got %v", err)
	}
	if problem.CodeOf(err) != code || r.RetryAfter != wait {
		t.Errorf("%v after %v, want %s after %v", err, r.RetryAfter, code, wait)
	}
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	m, clock := newMemory()
	a := quota.Admission{Store: m, PerAddress: quota.PerMinute(3), PerCaller: quota.PerMinute(2)}
	address := func(address string) error { return a.AdmitAddress(t.Context(), netip.MustParseAddr(address)) }
	caller := func(name string) error { return a.AdmitCaller(t.Context(), name) }
	for range 3 {
		if err := address("192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
	wantRefused(t, address("192.0.2.1"), problem.RateLimited, 20*time.Second)
	wantRefused(t, address("::ffff:192.0.2.1"), problem.RateLimited, 20*time.Second) // the same
	if err := address("192.0.2.2"); err != nil {
		t.Errorf("another address: %v", err)
	}
	for range 2 {
		if err := caller("192.0.2.1"); err != nil { // whatever its name is
			t.Fatal(err)
		}
	}
	wantRefused(t, caller("192.0.2.1"), problem.RateLimited, 30*time.Second)
	if err := caller("51-amr"); err != nil {
		t.Errorf("another caller: %v", err)
	}
	clock.Advance(30 * time.Second)
	if err := errors.Join(address("192.0.2.1"), caller("192.0.2.1")); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestAdmitTakesAnIPv6NetworkAsOne(t *testing.T) {
	t.Parallel()
	m, _ := newMemory()
	a := quota.Admission{Store: m, PerAddress: quota.PerMinute(1)}
	if err := a.AdmitAddress(t.Context(), netip.MustParseAddr("2001:db8:0:1::1")); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"2001:db8:0:1:ffff:ffff:ffff:ffff": false,
		"2001:db8:0:1::1%eth0":             false,
		"2001:db8:0:2::1":                  true,
	} {
		err := a.AdmitAddress(t.Context(), netip.MustParseAddr(address))
		if (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAdmitDeniesByDefault(t *testing.T) {
	t.Parallel()
	m, _ := newMemory()
	here := netip.MustParseAddr("192.0.2.1")
	zero := quota.Admission{Store: m}
	wantRefused(t, zero.AdmitAddress(t.Context(), here), problem.RateLimited, 0)
	wantRefused(t, zero.AdmitCaller(t.Context(), "a"), problem.RateLimited, 0)
	open := quota.Admission{Store: m, PerAddress: quota.PerMinute(9), PerCaller: quota.PerMinute(9)}
	if err := open.AdmitAddress(t.Context(), netip.Addr{}); problem.CodeOf(err) != problem.RequestInvalid {
		t.Errorf("no address: %v", err)
	}
	if err := open.AdmitCaller(t.Context(), ""); problem.CodeOf(err) != problem.CallerUnknown {
		t.Errorf("no caller: %v", err)
	}
	if err := open.AdmitCaller(t.Context(), strings.Repeat("a", quota.MaxKey)); !errors.Is(err, quota.ErrKey) {
		t.Errorf("an endless caller: %v", err)
	}
	open.Store = &down{}
	for _, err := range []error{open.AdmitAddress(t.Context(), here), open.AdmitCaller(t.Context(), "a")} {
		if problem.CodeOf(err) != problem.QuotaUnavailable || !errors.Is(err, errDown) {
			t.Errorf("no store: %v", err)
		}
	}
}

var claim = quota.Claim{
	Agreement: "SC-CQ-2026-001",
	Allowance: quota.Allowance{RequestsPerMinute: 60, RecordsPerDay: 86_400},
	Records:   50_000,
}

func TestReserve(t *testing.T) {
	t.Parallel()
	m, clock := newMemory()
	reserve := func() *quota.Reservation {
		t.Helper()
		r, err := quota.Reserve(t.Context(), m, claim)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := reserve()
	if first.Granted() != 50_000 {
		t.Errorf("granted %d of 50000", first.Granted())
	}
	if second := reserve(); second.Granted() != 36_400 { // what is left
		t.Errorf("granted %d of the 36400 that are left", second.Granted())
	}
	other := claim
	other.Agreement = "SC-CQ-2026-002"
	if r, err := quota.Reserve(t.Context(), m, other); err != nil || r.Granted() != 50_000 {
		t.Errorf("another agreement has a quota of its own: %v", err)
	}
	_, err := quota.Reserve(t.Context(), m, claim)
	wantRefused(t, err, problem.QuotaExhausted, time.Second)
	if !strings.Contains(err.Error(), claim.Agreement) || !strings.Contains(err.Error(), "records") {
		t.Errorf("the refusal does not say of what: %v", err)
	}
	// Used 20 000 of the first: 30 000 come back, and only once.
	for range 3 {
		if err := first.Settle(t.Context(), 20_000); err != nil {
			t.Fatal(err)
		}
	}
	if third := reserve(); third.Granted() != 30_000 {
		t.Errorf("granted %d of the 30000 that were not used", third.Granted())
	}
	clock.Advance(time.Second)
	if fourth := reserve(); fourth.Granted() != 1 { // a page of one record
		t.Errorf("granted %d of one", fourth.Granted())
	}
}

func TestReserveCountsRequests(t *testing.T) {
	t.Parallel()
	m, clock := newMemory()
	for range 60 {
		r, err := quota.Reserve(t.Context(), m, claim)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Settle(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	_, err := quota.Reserve(t.Context(), m, claim)
	wantRefused(t, err, problem.QuotaExhausted, time.Second)
	if !strings.Contains(err.Error(), "requests") {
		t.Errorf("the refusal does not say of what: %v", err)
	}
	other := claim
	other.Agreement = "SC-CQ-2026-002"
	if _, err := quota.Reserve(t.Context(), m, other); err != nil {
		t.Errorf("another agreement: %v", err)
	}
	clock.Advance(time.Second)
	if _, err := quota.Reserve(t.Context(), m, claim); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

func TestReserveDeniesByDefault(t *testing.T) {
	t.Parallel()
	m, _ := newMemory()
	for name, allowance := range map[string]quota.Allowance{
		"nothing":         {},
		"no requests":     {RecordsPerDay: quota.Unlimited},
		"no records":      {RequestsPerMinute: quota.Unlimited},
		"negative":        {RequestsPerMinute: -2, RecordsPerDay: -2},
		"more than fits":  {RequestsPerMinute: quota.Unlimited, RecordsPerDay: 1 << 62},
		"more than fits2": {RequestsPerMinute: 1 << 62, RecordsPerDay: quota.Unlimited},
	} {
		_, err := quota.Reserve(t.Context(), m, quota.Claim{Agreement: name, Allowance: allowance, Records: 1})
		wantRefused(t, err, problem.QuotaExhausted, 0)
	}
	if err := (quota.Allowance{RequestsPerMinute: 1 << 62}).Check(); !errors.Is(err, quota.ErrLimit) {
		t.Errorf("Check of too many requests: %v", err)
	}
	if err := (quota.Allowance{RecordsPerDay: -2}).Check(); !errors.Is(err, quota.ErrLimit) {
		t.Errorf("Check of negative records: %v", err)
	}
	free := quota.Allowance{RequestsPerMinute: quota.Unlimited, RecordsPerDay: quota.Unlimited}
	if err := free.Check(); err != nil {
		t.Errorf("Check of unlimited: %v", err)
	}
	r, err := quota.Reserve(t.Context(), m, quota.Claim{Agreement: "free", Allowance: free, Records: 1 << 40})
	if err != nil || r.Granted() != 1<<40 {
		t.Fatalf("unlimited: %v", err)
	}
	if err := r.Settle(t.Context(), 1); err != nil || m.Len() != 0 {
		t.Errorf("settling the unlimited: %v, %d keys", err, m.Len())
	}
	for _, records := range []int64{0, -1} {
		_, err := quota.Reserve(t.Context(), m, quota.Claim{Agreement: "free", Allowance: free, Records: records})
		if problem.CodeOf(err) != problem.LimitOutOfRange {
			t.Errorf("%d records: %v", records, err)
		}
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		used int64
		left int64 // of 86 400, after a reservation of 50 000
		fail bool
	}{
		"nothing used":   {0, 86_400, false},
		"all used":       {50_000, 36_400, false},
		"some used":      {1, 86_399, false},
		"more than held": {50_001, 36_400, true},
		"negative":       {-1, 36_400, true},
	} {
		m, _ := newMemory()
		r, err := quota.Reserve(t.Context(), m, claim)
		if err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel() // the caller hung up
		if err := r.Settle(gone, c.used); (err != nil) != c.fail {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.Settle(t.Context(), 0); err != nil {
			t.Errorf("%s, again: %v", name, err)
		}
		all := claim
		all.Records = 1e6
		if r, err = quota.Reserve(t.Context(), m, all); err != nil {
			t.Fatalf("%s: %v", name, err)
		} else if r.Granted() != c.left {
			t.Errorf("%s: %d are left, want %d", name, r.Granted(), c.left)
		}
	}
}

func TestSettleIsNotRepeatedAfterAnError(t *testing.T) {
	t.Parallel()
	m, _ := newMemory()
	store := &down{Store: m, okay: 2}
	r, err := quota.Reserve(t.Context(), store, claim)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Settle(t.Context(), 0); problem.CodeOf(err) != problem.QuotaUnavailable {
		t.Errorf("the store is down: %v", err)
	}
	store.okay = 9
	if err := r.Settle(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if r, err = quota.Reserve(t.Context(), store, claim); err != nil || r.Granted() != 36_400 {
		t.Errorf("a refund whose outcome is unknown was repeated: %d, %v", r.Granted(), err)
	}
}

func TestSettleOfManyAtOnceRefundsOnce(t *testing.T) {
	t.Parallel()
	m, _ := newMemory()
	if _, err := quota.Reserve(t.Context(), m, claim); err != nil { // another request's, which stays spent
		t.Fatal(err)
	}
	r, err := quota.Reserve(t.Context(), m, claim)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := r.Settle(context.Background(), 0); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all := claim
	all.Records = 1e6
	if r, err = quota.Reserve(t.Context(), m, all); err != nil || r.Granted() != 36_400 {
		t.Errorf("%d are left, want 36400 (%v)", r.Granted(), err)
	}
}

func TestDegrade(t *testing.T) {
	t.Parallel()
	type outcome struct {
		degraded bool
		code     problem.Code // "" for a reservation
	}
	for name, c := range map[string]struct {
		okay     int // calls that the shared store answers
		failOpen bool
		ended    bool
		want     outcome
	}{
		"shared answers":                         {9, true, false, outcome{false, ""}},
		"shared answers, conditional":            {9, false, false, outcome{false, ""}},
		"shared is down, unconditional":          {0, true, false, outcome{true, ""}},
		"shared is down, conditional":            {0, false, false, outcome{false, problem.QuotaUnavailable}},
		"shared falls in between":                {1, true, false, outcome{true, ""}},
		"shared falls in between, conditional":   {1, false, false, outcome{false, problem.QuotaUnavailable}},
		"the request has ended, nobody to serve": {0, true, true, outcome{false, problem.QuotaUnavailable}},
	} {
		shared, _ := newMemory()
		local, _ := newMemory()
		store := &down{Store: shared, okay: c.okay}
		ctx, cancel := context.WithCancel(t.Context())
		if c.ended {
			cancel()
		}
		r, degraded, err := quota.Degrade{Shared: store, Local: local}.Reserve(ctx, c.failOpen, claim)
		got := outcome{degraded: degraded}
		if err != nil {
			got.code = problem.CodeOf(err)
		}
		if got != c.want || (r == nil) != (err != nil) {
			t.Errorf("%s: %+v, want %+v (%v)", name, got, c.want, err)
		}
		// What was granted by one store is given back to that one.
		if r != nil {
			store.okay = 9
			if err := r.Settle(ctx, 0); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for which, m := range map[string]*quota.Memory{"shared": shared, "local": local} {
				if d, err := m.Take(ctx, "records/"+claim.Agreement, quota.PerDay(86_400), 1e6); err != nil || d.Granted != 86_400 {
					t.Errorf("%s: %s has %d left of 86400 (%v)", name, which, d.Granted, err)
				}
			}
		}
		cancel()
	}
}

func TestDegradeStillLimits(t *testing.T) {
	t.Parallel()
	local, _ := newMemory()
	g := quota.Degrade{Shared: &down{}, Local: local}
	small := claim
	small.Allowance.RequestsPerMinute = 2
	for range 2 {
		if _, degraded, err := g.Reserve(t.Context(), true, small); err != nil || !degraded {
			t.Fatal(degraded, err)
		}
	}
	_, degraded, err := g.Reserve(t.Context(), true, small)
	wantRefused(t, err, problem.QuotaExhausted, 30*time.Second)
	if !degraded || !errors.Is(err, errDown) {
		t.Errorf("the log would not show that the shared store is down: %v", err)
	}
	// A refusal of the shared store is no reason to ask another.
	shared, _ := newMemory()
	small.Allowance = quota.Allowance{}
	_, degraded, err = quota.Degrade{Shared: shared, Local: local}.Reserve(t.Context(), true, small)
	wantRefused(t, err, problem.QuotaExhausted, 0)
	if degraded {
		t.Error("a refusal was taken elsewhere")
	}
}
