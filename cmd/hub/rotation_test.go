//go:build e2e

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// rotationTime is how long the load lasts: HUB_ROTATION_TIME, 1 minute if it is
// not set. `make test-faults` runs it for ten.
func rotationTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("HUB_ROTATION_TIME")
	if text == "" {
		return time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 30*time.Second {
		t.Fatalf("HUB_ROTATION_TIME=%q: a duration of at least 30s", text)
	}
	return d
}

const (
	rotations = 20
	outages   = 5
)

// TestRotationUnderLoad exchanges cursor keys and certificates while consumers
// pull without pause, and has Vault sealed, killed and paused meanwhile. Every
// page must be right: each record of the product exactly once in each pass,
// each receipt verified. Prices lie in the clear, so that nothing about them
// may be refused: their certificates outlive each outage. Complaints lie in
// sealed blocks, and may be refused with vault_unavailable while Vault is away,
// and for nothing else.
func TestRotationUnderLoad(t *testing.T) {
	lasts := rotationTime(t)
	server := startFailingVault(t)
	data := t.TempDir()
	t.Setenv("VAULT_ADDR", server.Address)
	t.Setenv("VAULT_TOKEN", server.token)
	// Certificates live for four rotations, so that each overlaps the next,
	// and the longest outage is shorter than what is left at their exchange.
	life := max(lasts/8, 30*time.Second)
	hub := live(t, "--data", data, "--rows", "200", "--rotation-certificates", life.String(), "--rotation-settle", "2s")
	defer hub.stop(t)
	prices := newLoad(t, data, "price_quote")
	complaints := newLoad(t, data, "consumer_complaint")
	prices.settle(t)
	complaints.settle(t)

	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { prices.run(ctx, nil) })
		all.Go(func() { complaints.run(ctx, server.away) })
	}
	all.Go(func() { server.rotate(ctx, lasts/(2*rotations)) })
	all.Go(func() { server.fail(ctx, lasts/(outages+1)) })
	all.Wait()

	for _, l := range []*load{prices, complaints} {
		l.report(t)
	}
	if n := server.rotated(); n != rotations {
		t.Errorf("%d rotations of the cursor key took place, want %d", n, rotations)
	}
	if server.outages != outages {
		t.Errorf("%d outages, want %d", server.outages, outages)
	}
	if prices.keys() < 3 {
		t.Errorf("pages were signed with %d keys: no certificate was exchanged", prices.keys())
	}
	t.Logf("%s: %d rotations of the cursor key, %d signing certificates, %d outages", lasts, server.rotated(), prices.keys(), server.outages)
}

// load is consumers of one product.
type load struct {
	product, consumer, purpose string
	client                     *client.Client
	want                       int // records of a pass

	mu      sync.Mutex
	passes  int
	pages   int
	refused map[problem.Code]int
	wrong   []string
	signers map[string]bool
}

func newLoad(t *testing.T, data, product string) *load {
	t.Helper()
	w, err := loadWorld("")
	if err != nil {
		t.Fatal(err)
	}
	p, _ := w.catalogue.Product(product)
	l := &load{product: product, refused: map[problem.Code]int{}, signers: map[string]bool{}}
	if l.consumer, l.purpose, err = w.fullConsumer("500000", p); err != nil {
		t.Fatal(err)
	}
	profile, err := client.LoadProfile(filepath.Join(data, "510000", "participants", l.consumer, "profile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if l.client, err = profile.Client("500000", time.Now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.client.Close)
	return l
}

// settle waits until the samples lie in Kafka: two passes that agree.
func (l *load) settle(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
		n := 0
		err := l.client.Follow(t.Context(), client.Query{Product: l.product, Purpose: l.purpose, Limit: 50}, 0, time.Minute, func(p *client.Page) error {
			n += len(p.Records)
			return nil
		})
		switch {
		case err != nil:
			t.Fatal(problem.From(err).LogText())
		case n > 0 && n == l.want:
			return
		case time.Now().After(deadline):
			t.Fatalf("%s: %d records, and still changing", l.product, n)
		}
		l.want = n
	}
}

// run pulls pass after pass until ctx ends. A refusal is counted and the page
// asked for again with the same cursor; away says whether vault_unavailable
// may be one.
func (l *load) run(ctx context.Context, away func() bool) {
	for ctx.Err() == nil {
		seen := map[string]int{}
		q := client.Query{Product: l.product, Purpose: l.purpose, Limit: 50}
		for ctx.Err() == nil {
			before := away != nil && away()
			page, err := l.client.Records(ctx, q)
			if err != nil {
				if ctx.Err() == nil {
					l.refuse(err, before || away != nil && away())
					time.Sleep(50 * time.Millisecond)
				}
				continue
			}
			l.note(page)
			for _, r := range page.Records {
				seen[r.EventID]++
			}
			if page.AtEnd && len(page.Records) == 0 && page.Next == q.Cursor {
				l.pass(seen)
				break
			}
			q.Cursor = page.Next
			time.Sleep(20 * time.Millisecond) // a load, not a flood
		}
		l.client.Close() // the next pass opens new connections
	}
}

func (l *load) refuse(err error, permitted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	code := problem.CodeOf(err)
	l.refused[code]++
	rated := code == problem.RateLimited || code == problem.QuotaExhausted // the load is more than an agreement allows
	if rated || permitted && code == problem.VaultUnavailable {
		return
	}
	l.wrong = append(l.wrong, problem.From(err).LogText())
}

func (l *load) note(p *client.Page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages++
	if p.Receipt != nil {
		header, _, _ := strings.Cut(p.Signed, ".") // which names the key
		l.signers[header] = true
	}
}

func (l *load) pass(seen map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passes++
	if len(seen) != l.want {
		l.wrong = append(l.wrong, fmt.Sprintf("a pass of %d records, want %d", len(seen), l.want))
	}
	for id, n := range seen {
		if n != 1 {
			l.wrong = append(l.wrong, fmt.Sprintf("%s came %d times", id, n))
		}
	}
}

func (l *load) keys() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.signers)
}

func (l *load) report(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("%s: %d passes, %d pages, refused %v", l.product, l.passes, l.pages, l.refused)
	if l.passes < 2 {
		t.Errorf("%s: only %d passes: the test proves little", l.product, l.passes)
	}
	for i, w := range l.wrong {
		if i < 10 {
			t.Errorf("%s: %s", l.product, w)
		}
	}
}
