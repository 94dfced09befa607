package connectors_test

import (
	"bytes"
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

// publicAt is the day on which the rows of these tests may be published.
var publicAt = time.Date(2026, 5, 1, 9, 0, 0, 0, time.FixedZone("", 8*3600))

// embargoRig is a rig of bid notices with a clock of its own.
func embargoRig(t *testing.T, fields []string) (*rig, *atomic.Int64) {
	t.Helper()
	r := newRigWith(t, "bid_notice", fieldByField(t, "bid_notice", "bid_notice.v1", fields))
	clock := &atomic.Int64{} // seconds before publicAt
	clock.Store(3600)
	r.config.Now = func() time.Time { return publicAt.Add(-time.Duration(clock.Load()) * time.Second) }
	return r, clock
}

// numbered is n notices; every third one may be published at once.
func numbered(n int) (rows []written) {
	for i := range n {
		row := notice.with(written{"notice_no": "N" + strconv.Itoa(i), "notice_name": "绝密项目" + strconv.Itoa(i)})
		if i%3 == 0 {
			row = row.with(written{"publish_time": "2026-05-01 08:00", "data_time": "2026-05-01 07:00"})
		}
		rows = append(rows, row.with(written{"data_time": "2026-05-01 07:00"}))
	}
	return rows
}

// Until its publication time a row is nowhere but on the provider's disk, and
// sealed there; then it goes out once, whatever was restarted meanwhile.
func TestEmbargo(t *testing.T) {
	t.Parallel()
	rows := numbered(30)
	fields := fieldsOf(rows...)
	r, clock := embargoRig(t, fields)
	r.put("a.csv", csvOf(t, fields, rows...))
	if err := r.run(batches(1)); err != nil {
		t.Fatal(err)
	}
	if c := r.position.Totals; c.Read != 30 || c.Published != 10 || c.Held != 20 {
		t.Fatalf("before its time: %+v", c)
	}
	r.once(10)
	if n := filesHolding(t, filepath.Join(r.config.QuarantineDir, "bid_notice"), "绝密项目"); n != 0 {
		t.Errorf("%d files on the provider's disk hold an embargoed row in clear", n)
	}

	clock.Store(1) // a second before: a restart lets nothing out
	if err := r.run(func(p connectors.Position) bool { return true }); err != nil {
		t.Fatal(err)
	}
	r.once(10)

	clock.Store(0)
	if err := r.run(func(p connectors.Position) bool { return p.Totals.Held == 0 }); err != nil {
		t.Fatal(err)
	}
	if c := r.position.Totals; c.Read != 30 || c.Published != 30 || c.Duplicates != 0 {
		t.Errorf("at its time: %+v", c)
	}
	r.once(30)
	r.config.Source = r.source()
	r.put("b.csv", csvOf(t, fields, rows...))
	if err := r.run(batches(2)); err != nil {
		t.Fatal(err)
	}
	if c := r.position.Totals; c.Published != 30 || c.Duplicates != 30 {
		t.Errorf("the same file again: %+v", c)
	}
	if left := filesHolding(t, filepath.Join(r.config.QuarantineDir, "bid_notice", "held"), ""); left != 0 {
		t.Errorf("%d files are left in the hold", left)
	}
}

func filesHolding(t *testing.T, dir, text string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, []byte(text)) {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What is withdrawn or corrected before its time never goes out.
func TestWithdrawnBeforeItsTime(t *testing.T) {
	t.Parallel()
	secret := notice.with(written{"data_time": "2026-05-01 07:00"})
	withdrawal := secret.with(written{
		"version": "2", "status": "withdrawn", "data_time": "2026-05-01 07:30", "publish_time": "2026-05-01 07:30", "notice_name": "撤销",
	})
	fields := fieldsOf(secret, withdrawal)
	r, clock := embargoRig(t, fields)
	r.put("a.csv", csvOf(t, fields, secret))
	r.put("b.csv", csvOf(t, fields, withdrawal))
	if err := r.run(batches(2)); err != nil {
		t.Fatal(err)
	}
	clock.Store(0)
	if err := r.run(func(p connectors.Position) bool { return p.Totals.Held == 0 }); err != nil {
		t.Fatal(err)
	}
	if c := r.position.Totals; c.Read != 2 || c.Published != 1 || c.Superseded != 1 {
		t.Errorf("%+v", c)
	}
	for _, stored := range r.records() {
		if len(stored) != 1 || stored[0].env.Version != 2 || stored[0].env.Operation != record.Removal {
			t.Errorf("in the topic: %+v", stored)
		}
	}
}

// The pipeline is stopped again and again, wherever it stands, while rows are
// held and let out: none is lost, none goes out twice or early.
func TestEmbargoThroughRestarts(t *testing.T) {
	t.Parallel()
	rows := numbered(60)
	fields := fieldsOf(rows...)
	r, clock := embargoRig(t, fields)
	r.config.ChunkRows = 4
	r.put("a.csv", csvOf(t, fields, rows...))
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	stopAnywhere := func() {
		p, err := connectors.NewPipeline(r.config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(30))*time.Millisecond)
		defer cancel()
		_ = p.Run(ctx) // stopped wherever it is
		r.config.Source = r.source()
	}
	for range 6 {
		stopAnywhere()
	}
	if err := r.run(batches(1)); err != nil {
		t.Fatal(err)
	}
	r.once(20)
	clock.Store(-1)
	for range 6 {
		stopAnywhere()
	}
	if err := r.run(func(p connectors.Position) bool { return p.Totals.Held == 0 }); err != nil {
		t.Fatal(err)
	}
	if c := r.position.Totals; c.Read != 60 || c.Published != 60 || c.Duplicates != 0 {
		t.Errorf("%+v", c)
	}
	r.once(60)
}

// Rows that are gone from the disk are missed, never passed over.
func TestHeldRowsGone(t *testing.T) {
	t.Parallel()
	rows := numbered(3)
	fields := fieldsOf(rows...)
	r, _ := embargoRig(t, fields)
	r.put("a.csv", csvOf(t, fields, rows...))
	if err := r.run(batches(1)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(r.config.QuarantineDir, "bid_notice", "held")); err != nil {
		t.Fatal(err)
	}
	p, err := connectors.NewPipeline(r.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); problem.CodeOf(err) != problem.HeldRowsMissing {
		t.Errorf("got %v", err)
	}
}
