package revocation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Config is what a fetcher is made of; all of it is required.
type Config struct {
	// Sources are the authorities to ask now; they may change at any time.
	Sources func() []identity.Source
	// Every is how often a CRL is fetched, and the longest wait for anything.
	Every  time.Duration
	Now    func() time.Time
	Logger *slog.Logger
}

// Fetcher asks authorities in the background and answers from what it knows.
// It is safe for concurrent use.
type Fetcher struct {
	Config
	http  *http.Client
	state atomic.Pointer[State]

	mu     sync.Mutex
	wanted map[leafID]*question // certificates that somebody came with
	crls   map[crlID]schedule
	busy   map[issuerID]bool
}

// crlID is an authority and where its list may be: roots of one province share
// their URLs.
type crlID struct {
	issuer issuerID
	url    string
}

// question is a certificate whose issuer may answer by OCSP.
type question struct {
	cert, issuer *x509.Certificate
	by           issuerID
	asked        time.Time // last by a caller
	schedule
}

// schedule is when to ask again; the wait doubles with every failure.
type schedule struct {
	due  time.Time
	wait time.Duration
}

var _ identity.Status = (*Fetcher)(nil)

const (
	// maxWanted bounds the certificates that are asked about; they passed
	// their authority's signature, so it takes an authority to fill it.
	maxWanted = 10_000
	// idle is how long after its last use a certificate is asked about.
	idle = 15 * time.Minute
	// minWait is between two questions about the same.
	minWait = 2 * time.Second
	tick    = 250 * time.Millisecond
)

// New returns a fetcher that knows nothing yet. Refresh asks once; Run goes on.
func New(c Config) *Fetcher {
	f := &Fetcher{Config: c, http: newHTTP(), wanted: map[leafID]*question{}, crls: map[crlID]schedule{}, busy: map[issuerID]bool{}}
	f.state.Store(&State{})
	return f
}

// Check implements identity.Status. A certificate that nothing is known of yet
// is asked about in the background; its caller may come again.
func (f *Fetcher) Check(cert, issuer *x509.Certificate, now time.Time) error {
	err := f.state.Load().Check(cert, issuer, now)
	if err == nil || problem.CodeOf(err) != problem.CertificateRevoked {
		f.want(cert, issuer, now)
	}
	return err
}

func (f *Fetcher) want(cert, issuer *x509.Certificate, now time.Time) {
	id := leafID(sha256.Sum256(cert.Raw))
	f.mu.Lock()
	defer f.mu.Unlock()
	if q := f.wanted[id]; q != nil {
		q.asked = now
		return
	}
	if len(f.wanted) < maxWanted {
		f.wanted[id] = &question{cert: cert, issuer: issuer, by: idOf(issuer), asked: now}
	}
}

// Run asks whatever is due until ctx ends. An authority that does not answer
// keeps none of the others waiting.
func (f *Fetcher) Run(ctx context.Context) {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	var all sync.WaitGroup
	for ctx.Err() == nil {
		f.start(ctx, &all)
		select {
		case <-ctx.Done():
		case <-ticks.C:
		}
	}
	all.Wait()
	f.http.CloseIdleConnections()
}

// Refresh asks whatever is due, once, and waits for the answers.
func (f *Fetcher) Refresh(ctx context.Context) {
	var all sync.WaitGroup
	f.start(ctx, &all)
	all.Wait()
}

// start asks every authority that is not being asked already, each by itself.
func (f *Fetcher) start(ctx context.Context, all *sync.WaitGroup) {
	sources := f.Sources()
	f.forget(sources)
	for _, s := range sources {
		id := idOf(s.Issuer)
		f.mu.Lock()
		free := !f.busy[id]
		f.busy[id] = true
		f.mu.Unlock()
		if free {
			all.Go(func() {
				f.ask(ctx, s)
				f.mu.Lock()
				defer f.mu.Unlock()
				delete(f.busy, id)
			})
		}
	}
}

// ask asks one authority for what is due. What it answered before goes on to
// hold until it ends.
func (f *Fetcher) ask(ctx context.Context, s identity.Source) {
	for _, url := range s.CRL {
		f.mu.Lock()
		at := f.crls[crlID{idOf(s.Issuer), url}]
		f.mu.Unlock()
		if now := f.Now(); !now.Before(at.due) {
			at = f.next(at, now, f.fetchCRL(ctx, s.Issuer, url), now.Add(f.Every))
			f.mu.Lock()
			f.crls[crlID{idOf(s.Issuer), url}] = at
			f.mu.Unlock()
		}
	}
	for _, q := range f.questions(s) {
		half, err := f.fetchAnswer(ctx, q, s.OCSP)
		f.mu.Lock()
		q.schedule = f.next(q.schedule, f.Now(), err, half)
		f.mu.Unlock()
	}
}

// next is when to ask again: then, or, after a failure, in twice the time of
// the last; within the bounds of minWait and Every.
func (f *Fetcher) next(s schedule, now time.Time, err error, then time.Time) schedule {
	wait := then.Sub(now)
	if err != nil {
		wait = 2 * s.wait
	}
	wait = max(minWait, min(wait, f.Every))
	if err == nil {
		return schedule{due: now.Add(wait)}
	}
	return schedule{due: now.Add(wait), wait: wait}
}

func (f *Fetcher) fetchCRL(ctx context.Context, issuer *x509.Certificate, url string) error {
	raw, err := ask(ctx, f.http, url, nil, maxCRL)
	var l *list
	if err == nil {
		l, err = parseCRL(raw, issuer, f.Now())
	}
	if err != nil {
		f.failed(ctx, issuer, url, err)
		return err
	}
	f.change(func(s *State) *State { return s.withList(issuer, l) })
	return nil
}

// forget drops the certificates that nobody comes with any more, and those that
// no authority answers about: they would count towards maxWanted for ever.
func (f *Fetcher) forget(sources []identity.Source) {
	answering := map[issuerID]bool{}
	for _, s := range sources {
		if len(s.OCSP) > 0 {
			answering[idOf(s.Issuer)] = true
		}
	}
	now := f.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.wanted, func(_ leafID, q *question) bool {
		return !answering[q.by] || now.Sub(q.asked) > idle || now.After(q.cert.NotAfter)
	})
}

// questions are the certificates to ask an authority about now.
func (f *Fetcher) questions(s identity.Source) []*question {
	if len(s.OCSP) == 0 {
		return nil
	}
	now, by := f.Now(), idOf(s.Issuer)
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*question
	for _, q := range f.wanted {
		if q.by == by && !now.Before(q.due) {
			out = append(out, q)
		}
	}
	return out
}

// fetchAnswer asks the responders in turn and says when half of the answer's
// life is over, so that the next is there before it ends.
func (f *Fetcher) fetchAnswer(ctx context.Context, q *question, urls []string) (half time.Time, err error) {
	body, err := ocsp.CreateRequest(q.cert, q.issuer, nil)
	if err != nil {
		return time.Time{}, err
	}
	var faults []error
	for _, url := range urls {
		raw, err := ask(ctx, f.http, url, body, maxOCSP)
		var a *answer
		if err == nil {
			a, err = parseOCSP(raw, q.cert, q.issuer, f.Now())
		}
		if err == nil {
			f.change(func(s *State) *State { return s.withAnswer(q.cert, a, f.Now()) })
			return a.half(), nil
		}
		faults = append(faults, err)
	}
	err = errors.Join(faults...)
	f.failed(ctx, q.issuer, strings.Join(urls, " "), err)
	return time.Time{}, err
}

func (f *Fetcher) change(to func(*State) *State) {
	for {
		s := f.state.Load()
		if f.state.CompareAndSwap(s, to(s)) {
			return
		}
	}
}

// failed writes down that an authority could not be asked.
func (f *Fetcher) failed(ctx context.Context, issuer *x509.Certificate, url string, err error) {
	if ctx.Err() == nil {
		f.Logger.WarnContext(ctx, "what an authority revoked cannot be fetched, will try again",
			slog.String("authority", issuer.Subject.String()), slog.String("url", url), slog.Any("error", err))
	}
}
