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
// was counted exactly once (invariant 1). The files are small and the last
// transaction of each holds rows, so that many of the kills fall between a
// commit and what comes before and after it.
func TestKillNine(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	dir, data := t.TempDir(), t.TempDir()
	files := manyFiles(t, dir, filepath.Join(data, "500000", "drop", "price_quote"))

	flowing := 0
	for range kills {
		hub := live(t, "--data", data, "--rows", "10", "--chunk", "200", "--rate", "40000")
		time.Sleep(time.Duration(20+rng.IntN(180)) * time.Millisecond)
		if pending(t, data) {
			flowing++
		}
		if err := hub.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := <-hub.done; err == nil {
			t.Fatal("it had ended by itself")
		}
	}
	t.Logf("%d of %d kills while rows flowed", flowing, kills)
	if flowing < kills*2/3 {
		t.Errorf("only %d of %d kills fell while rows flowed: the test proves little", flowing, kills)
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

func pending(t *testing.T, data string) bool {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(data, "500000", "drop", "price_quote", "*.csv"))
	if err != nil {
		t.Fatal(err)
	}
	return len(left) > 0
}
