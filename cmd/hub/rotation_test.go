//go:build e2e

package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/connectors/instance"
	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/internal/sample"
	"github.com/chuanyu-exchange/hub/internal/vaulttest"
)

// rotationTime is over what the rotations and outages are spread:
// HUB_ROTATION_TIME, if it is set. `make test-faults` sets ten minutes.
func rotationTime(t *testing.T, usual time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("HUB_ROTATION_TIME")
	if text == "" {
		return usual
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
	// Certificates live for four rotations, so that each overlaps the next,
	// and the longest outage is shorter than what is left at their exchange.
	rotationUnderLoad(t, startFailingVault(t, 1), rotationTime(t, time.Minute), 30*time.Second)
}

// TestRotationUnderLoadRaft is the same with three nodes, of which the leader
// is sealed, killed and paused: Vault is away only until another one leads, and
// the gateway takes up a key from that one while the first is still away.
func TestRotationUnderLoadRaft(t *testing.T) {
	server := startFailingVault(t, 3)
	data := rotationUnderLoad(t, server, rotationTime(t, 30*time.Second), time.Minute)
	for _, file := range []string{"connector-price_quote.yaml", "secrets/auditor.yaml"} {
		text, err := os.ReadFile(filepath.Join(data, "500000", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range server.nodes {
			if !strings.Contains(string(text), strconv.Quote(n.Address)) {
				t.Errorf("%s does not name the node %s:\n%s", file, n.Address, text)
			}
		}
	}
}

// rotationUnderLoad spreads rotations and outages over about so long; the
// certificates live for an eighth of it, and for leastLife at the least. It
// returns where the hub kept its state.
func rotationUnderLoad(t *testing.T, server *failingVault, lasts, leastLife time.Duration) (data string) {
	t.Helper()
	data = t.TempDir()
	t.Setenv("VAULT_ADDR", server.addresses())
	t.Setenv("VAULT_TOKEN", server.token)
	life := max(lasts/8, leastLife)
	hub := live(t, "--data", data, "--rows", "200", "--rotation-certificates", life.String(), "--rotation-settle", "2s")
	defer hub.stop(t)
	prices := newLoad(t, data, "price_quote")
	complaints := newLoad(t, data, "consumer_complaint")
	prices.settle(t)
	complaints.settle(t)

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*lasts+3*time.Minute)
	defer cancel()
	var faults, loads sync.WaitGroup
	for range 2 {
		loads.Go(func() { prices.run(ctx, nil) })
		loads.Go(func() { complaints.run(ctx, server.away) })
	}
	faults.Go(func() { server.rotate(ctx, lasts/(2*rotations)) })
	faults.Go(func() { server.fail(ctx, lasts/(outages+1), prices.newest) })
	faults.Wait()
	vaulttest.Eventually(t, lasts+2*life, "signing certificates were not exchanged twice", func() bool {
		return time.Since(began) >= lasts && prices.keys() >= 3
	})
	cancel()
	loads.Wait()
	carriesOn(t, data)

	for _, l := range []*load{prices, complaints} {
		l.report(t)
	}
	if n := server.rotated(); n < rotations {
		t.Errorf("%d rotations of the cursor key took place, want %d", n, rotations)
	}
	if server.outages != outages {
		t.Errorf("%d outages, want %d", server.outages, outages)
	}
	t.Logf("%s: %d rotations of the cursor key, %d signing certificates, %d outages",
		time.Since(began).Round(time.Second), server.rotated(), prices.keys(), server.outages)
	return data
}

// carriesOn has the connector of prices carry one more file: into a broker that
// exchanged its certificate as the connector did its own, without a restart of
// either.
func carriesOn(t *testing.T, data string) {
	t.Helper()
	f, err := instance.Load(filepath.Join(data, "500000", "connector-price_quote.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	kafka, err := f.ReachKafka(t.Context(), nil)
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	defer func() { _ = kafka.Close() }()
	key := record.TransactionalID(record.Topic("500000", "price_quote", 1), f.Provider)
	signers := func() int {
		ends, err := kafka.Offsets(t.Context(), record.ManifestTopic("500000"))
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		if err := kafka.ReadRange(t.Context(), record.ManifestTopic("500000"), 0, ends[0].Start, ends[0].Stable, func(r kafkalog.FetchedRecord) error {
			if header, _, _ := strings.Cut(string(r.Value), "."); string(r.Key) == key {
				found[header] = true // which names the key
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if n := signers(); n != 1 {
		t.Fatalf("manifests of the first file with %d certificates", n)
	}
	writeSample(t, filepath.Join(data, "500000", "drop", "price_quote", "late.csv"), "price_quote", sample.Options{Region: "500000", Rows: 50, Seed: 99})
	vaulttest.Eventually(t, time.Minute, "no manifest with an exchanged certificate", func() bool { return signers() == 2 })
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
	version uint64 // of the key that sealed a page's cursor, the newest
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
	if cursor, err := base64.RawURLEncoding.DecodeString(p.Next); err == nil && len(cursor) > 0 {
		version, _ := binary.Uvarint(cursor[1:]) // behind the format
		l.version = max(l.version, version)
	}
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

// newest is the newest version of the cursor key that pages came with.
func (l *load) newest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.version
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
