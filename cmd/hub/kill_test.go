//go:build e2e

package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/sample"
)

const (
	killRows  = 100_000
	killFiles = 400
	kills     = 30
)

// TestKillNine kills the whole hub at random instants while rows flow: after
// the last restart every row of the files has taken effect exactly once, and
// was counted exactly once (invariant 1). The files are small, the last
// transaction of each holds rows, and the broker takes its time over commits, so
// that most of the kills fall between a commit and what comes before and after
// it.
func TestKillNine(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	dir, data := t.TempDir(), t.TempDir()
	files := manyFiles(t, dir, filepath.Join(data, "500000", "drop", "price_quote"))

	for i := range kills {
		before := waiting(t, data)
		hub := live(t, "--data", data, "--rows", "10", "--chunk", "200", "--commit-delay", "30ms")
		for deadline := time.Now().Add(time.Minute); i%3 > 0 && waiting(t, data) == before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nothing flows")
			}
		}
		time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond) // a third of them while it starts, all others while rows flow
		if err := hub.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := <-hub.done; err == nil {
			t.Fatal("it had ended by itself")
		}
	}
	left := waiting(t, data)
	t.Logf("after %d kills %d of %d files are left", kills, left, killFiles)
	if left == 0 {
		t.Error("all rows had passed before the last kill: the test proves too little")
	}

	hub := live(t, "--data", data, "--rows", "10")
	counts := func(line string) map[string]int64 {
		out := map[string]int64{}
		for field := range strings.FieldsSeq(line) {
			if name, value, ok := strings.Cut(field, "="); ok {
				out[name], _ = strconv.ParseInt(value, 10, 64)
			}
		}
		return out
	}
	last, c := "", map[string]int64{}
	for changed := true; changed && (c["read"] < killRows || c["released"] < c["published"]); {
		last, changed = hub.until(t, 10*time.Second, func(line string) bool {
			return strings.HasPrefix(line, "500000 price_quote ") && line != last
		})
		if changed {
			c = counts(last)
		}
	}
	if c["read"] != killRows || c["published"] != killRows || c["quarantined"] != 0 || c["duplicates"] != 0 || c["released"] != killRows {
		t.Errorf("counts: %v, want %d read, published and released, and nothing else", c, killRows)
	}
	hub.stop(t)
	comparePrices(t, data, files...)
}

// manyFiles writes the rows as files of equal size, and copies them to where a
// connector finds them.
func manyFiles(t *testing.T, dir, drop string) []string {
	t.Helper()
	rows := writeSample(t, filepath.Join(dir, "all.csv"), "price_quote", sample.Options{Region: "500000", Rows: killRows, Seed: 11})
	if err := os.MkdirAll(drop, 0o700); err != nil {
		t.Fatal(err)
	}
	each := len(rows) / killFiles
	for i := range killFiles {
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		name := fmt.Sprintf("%03d.csv", i)
		if err := errors.Join(w.Write([]string{"品名", "最低价", "平均价", "最高价", "规格", "单位", "发布日期"}), w.WriteAll(rows[i*each:(i+1)*each]),
			os.WriteFile(filepath.Join(drop, name), b.Bytes(), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return []string{filepath.Join(dir, "all.csv")}
}

// waiting counts the files that are not let go of.
func waiting(t *testing.T, data string) int {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(data, "500000", "drop", "price_quote", "*.csv"))
	if err != nil {
		t.Fatal(err)
	}
	return len(left)
}
