//go:build faults

package kafkalog

import (
	"fmt"
	"sync"
)

// outcome of a record or of a transaction, as its writer knows it.
type outcome int

const (
	unknown  outcome = iota // may be there, once
	stands                  // acknowledged or committed: is there, once
	vanished                // aborted, or never sent: is not there
)

// entry is what a writer knows of one record.
type entry struct {
	partition int32
	offset    int64 // where it was acknowledged; -1: it was not
	outcome   outcome
}

// attempt is what the pipe knows of one transaction: the rows it carries.
type attempt struct {
	from, to int
	outcome  outcome
}

// book is what the writers of a round know. The log is held against it.
type book struct {
	mu       sync.Mutex
	records  map[string]entry // by value; values are unique
	attempts []attempt
}

func newBook() *book { return &book{records: make(map[string]entry)} }

func (b *book) enter(r *Record, o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records[string(r.Value)] = entry{r.Partition, r.Offset, o}
}

// begin enters a transaction and returns its number.
func (b *book) begin(from, to int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.attempts = append(b.attempts, attempt{from: from, to: to})
	return len(b.attempts) - 1
}

func (b *book) end(n int, o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.attempts[n].outcome = o
}

// place is a record as the log holds it.
type place struct {
	offset int64
	value  string
}

// checkRecords holds what partition holds against what the writers of single
// records know: every acknowledged one is there once, where it was
// acknowledged, and in the order of its writer; an unacknowledged one is there
// at most once; what is there was sent.
func (b *book) checkRecords(logs [][]place) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	seen := map[string]bool{}
	for partition, log := range logs {
		last := map[int]int{} // by writer: number of its last acknowledged record
		for _, p := range log {
			e, sent := b.records[p.value]
			var writer, n int
			if _, err := fmt.Sscanf(p.value, "w%d.%d", &writer, &n); err != nil || !sent {
				fault("partition %d holds %q at %d, which nobody sent", partition, p.value, p.offset)
				continue
			}
			if seen[p.value] {
				fault("%s is there twice, the second time at %d/%d", p.value, partition, p.offset)
			}
			seen[p.value] = true
			switch {
			case int(e.partition) != partition:
				fault("%s was sent to partition %d and is in %d", p.value, e.partition, partition)
			case e.outcome == vanished:
				fault("%s is there although it was not sent", p.value)
			case e.outcome == stands && e.offset != p.offset:
				fault("%s was acknowledged at %d and is at %d", p.value, e.offset, p.offset)
			case e.outcome == stands && n < last[writer]:
				fault("%s is behind w%d.%d of the same writer", p.value, writer, last[writer])
			case e.outcome == stands:
				last[writer] = n
			}
		}
	}
	for value, e := range b.records {
		if e.outcome == stands && !seen[value] {
			fault("%s was acknowledged at %d/%d and is not there", value, e.partition, e.offset)
		}
	}
	return faults
}

// checkTransactions holds what the partitions hold against what the pipe
// knows: a transaction is there whole or not at all, each row in one of them,
// and rows of a partition are in order.
func (b *book) checkTransactions(logs [][]place, rows int) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	found := make([]int, len(b.attempts)) // rows of each transaction
	times := make([]int, rows)
	for partition, log := range logs {
		last := -1
		for _, p := range log {
			var n, row int
			if _, err := fmt.Sscanf(p.value, "t%d.%d", &n, &row); err != nil || n >= len(b.attempts) || row >= rows {
				fault("partition %d holds %q at %d, which nobody sent", partition, p.value, p.offset)
				continue
			}
			found[n]++
			times[row]++
			if row <= last {
				fault("row %d is behind row %d in partition %d", row, last, partition)
			}
			last = row
		}
	}
	for n, a := range b.attempts {
		whole := a.to - a.from
		switch {
		case found[n] != 0 && found[n] != whole:
			fault("transaction %d is there with %d of %d rows", n, found[n], whole)
		case a.outcome == stands && found[n] == 0:
			fault("transaction %d was committed and is not there", n)
		case a.outcome == vanished && found[n] != 0:
			fault("transaction %d was aborted and is there", n)
		}
	}
	for row, n := range times {
		if n != 1 {
			fault("row %d is there %d times", row, n)
		}
	}
	return faults
}
