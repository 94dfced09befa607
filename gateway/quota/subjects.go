package quota

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Subject stands for whom or what a record is about: the HMAC of its business
// key under a key of the agreement. Equal subjects are equal within one
// agreement, and a store of them says nothing about anybody (invariant 5).
type Subject [16]byte

// Window is for how long a subject counts once it was released.
const Window = 24 * time.Hour

// SubjectStore counts the different subjects that were released under a key.
//
// Of every implementation:
//   - the first subject of a key begins its [Window]; when that is over, the
//     count begins anew;
//   - Admit counts all of the subjects or none of them: none if the window
//     would then hold more than limit; one that it holds already is free, and
//     so is one that is named twice;
//   - a limit below 1 admits nobody;
//   - what is said of [Store] about atomicity, clocks, deadlines, repetition,
//     errors and keys holds here too.
//
// quotatest.RunSubjects holds an implementation to this.
type SubjectStore interface {
	Admit(ctx context.Context, key string, limit int64, subjects []Subject) (SubjectDecision, error)
}

// SubjectDecision is what a store says. The zero value refuses.
type SubjectDecision struct {
	Allowed    bool
	New        int64         // how many of the subjects the window did not hold before
	Left       int64         // how many new ones it can still take, after this decision
	RetryAfter time.Duration // of a refusal: until the window is over
}

// Different sorts subjects and leaves out what stands there twice.
func Different(subjects []Subject) []Subject {
	out := slices.Clone(subjects)
	slices.SortFunc(out, func(a, b Subject) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(out)
}

// AdmitSubjects counts the subjects of a page that is about to leave under an
// agreement. [Unlimited] counts nothing. A refusal is a [*RefusedError] with
// problem.QuotaExhausted that says how many new ones would be admitted; a store
// that fails, or none, is problem.QuotaUnavailable.
func AdmitSubjects(ctx context.Context, store SubjectStore, agreement string, perDay int64, subjects []Subject) error {
	if perDay == Unlimited || len(subjects) == 0 {
		return nil
	}
	if store == nil {
		return problem.New(problem.QuotaUnavailable, "nothing counts the subjects of agreement %s", agreement)
	}
	d, err := store.Admit(ctx, "subjects/"+agreement, perDay, subjects)
	if err != nil {
		return fmt.Errorf("counting the subjects of agreement %s: %w", agreement, err)
	}
	if d.Allowed {
		return nil
	}
	return &RefusedError{RetryAfter: d.RetryAfter, Problem: problem.New(problem.QuotaExhausted,
		"the limit is %d different subjects of agreement %s in %v: this page has %d new ones and %d are left; ask for a shorter page, or again in %v",
		perDay, agreement, Window, d.New, d.Left, d.RetryAfter)}
}

// MemorySubjects is a [SubjectStore] in this process.
type MemorySubjects struct {
	now  func() time.Time
	most int

	mu      sync.Mutex
	held    int // subjects of all windows
	windows map[string]*window
}

type window struct {
	ends time.Time
	seen map[Subject]struct{}
}

var _ SubjectStore = (*MemorySubjects)(nil)

// NewMemorySubjects returns an empty store of at most that many subjects in
// all, about 40 bytes each.
func NewMemorySubjects(most int, now func() time.Time) *MemorySubjects {
	return &MemorySubjects{now: now, most: most, windows: map[string]*window{}}
}

// Admit implements [SubjectStore]. A store that is full is [ErrFull].
func (m *MemorySubjects) Admit(ctx context.Context, key string, limit int64, subjects []Subject) (SubjectDecision, error) {
	if err := ready(ctx, key); err != nil {
		return SubjectDecision{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.forgetEnded(now)
	w := m.windows[key]
	if w == nil {
		w = &window{ends: now.Add(Window), seen: map[Subject]struct{}{}}
	}
	fresh := slices.DeleteFunc(Different(subjects), func(s Subject) bool {
		_, held := w.seen[s]
		return held
	})
	d := DecideSubjects(limit, int64(len(w.seen)), int64(len(fresh)), w.ends.Sub(now))
	if !d.Allowed || len(fresh) == 0 {
		return d, nil
	}
	if m.held+len(fresh) > m.most {
		return SubjectDecision{}, problem.Wrap(problem.QuotaUnavailable, ErrFull, "more than %d subjects at once", m.most)
	}
	for _, s := range fresh {
		w.seen[s] = struct{}{}
	}
	m.held += len(fresh)
	m.windows[key] = w
	return d, nil
}

// forgetEnded drops windows that are over. There is one for each agreement
// that counts subjects, so looking at all of them is cheap.
func (m *MemorySubjects) forgetEnded(now time.Time) {
	for key, w := range m.windows {
		if !now.Before(w.ends) {
			m.held -= len(w.seen)
			delete(m.windows, key)
		}
	}
}

// DecideSubjects decides on fresh subjects for a window that holds some and
// ends in a while. Pure.
func DecideSubjects(limit, held, fresh int64, ends time.Duration) SubjectDecision {
	d := SubjectDecision{New: fresh, Left: max(0, limit-held)}
	if limit < 1 || fresh > d.Left {
		d.RetryAfter = ends
		return d
	}
	d.Allowed = true
	d.Left -= fresh
	return d
}
