package sample

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Options say what to generate.
type Options struct {
	Region string // 500000 or 510000
	Rows   int
	Seed   uint64
	First  int // number of the first row: samples of other numbers have other keys
	// FaultEvery breaks every n-th row, in turn with each kind of fault, of
	// which the last is that the good row before it comes again; 0 breaks none.
	FaultEvery int
	// Planted replaces the text of named columns: secrets that a test looks
	// for afterwards.
	Planted map[string]string
}

// row is one row: column → text. Columns that it lacks are empty.
type row map[string]string

func (r row) clone() row {
	out := make(row, len(r)+8)
	maps.Copy(out, r)
	return out
}

// kind is how the rows of one product are made.
type kind struct {
	columns []string
	rows    func(w *world) func(i int) row // the i-th row; called in order
	faults  []fault
}

// fault breaks a row so that it is quarantined for one reason.
type fault struct {
	code   problem.Code
	damage func(row)
}

// kinds of rows, by product.
func kinds() map[string]kind {
	all := lists()
	maps.Copy(all, map[string]kind{
		"price_quote": priceQuote, "price_bulletin": priceBulletin, "consumer_complaint": consumerComplaint, "consumer_report": consumerReport,
		"bid_notice": bidNotice, "bid_result": bidResult, "bid_market_entity": bidMarketEntity,
	})
	return all
}

// Products are the products that samples exist for.
func Products() []string { return slices.Sorted(maps.Keys(kinds())) }

// Columns are the columns of a product's rows, in their order.
func Columns(product string) []string { return slices.Clone(kinds()[product].columns) }

// Faults are the reasons for which rows of a product are broken, in turn.
func Faults(product string) []problem.Code {
	var out []problem.Code
	for _, f := range kinds()[product].faults {
		out = append(out, f.code)
	}
	return out
}

// Declared is what is wrong with the rows of a sample, which a connector must
// find: how many it must quarantine for which reason, and how many it must pass
// over because they came before.
type Declared struct {
	Quarantined map[problem.Code]int64
	Duplicates  int64
}

// CSV writes rows of a product with a header.
func CSV(w io.Writer, product string, o Options) (Declared, error) {
	return Write(w, FormatCSV, product, o)
}

// Write writes rows of a product as a file of a format. It holds two rows in
// memory.
func Write(w io.Writer, format Format, product string, o Options) (Declared, error) {
	d := Declared{Quarantined: map[problem.Code]int64{}}
	k, ok := kinds()[product]
	if !ok {
		return d, fmt.Errorf("no sample for product %q: there are %v", product, Products())
	}
	if _, ok := counties[o.Region]; !ok {
		return d, fmt.Errorf("no samples for region %q: there are 500000 and 510000", o.Region)
	}
	out, err := newEncoder(w, format, k.columns)
	if err != nil {
		return d, err
	}
	next := k.rows(&world{Rand: rand.New(rand.NewPCG(o.Seed, uint64(len(product)))), region: o.Region, first: o.First}) //nolint:gosec // samples, not secrets
	cells := make([]string, len(k.columns))
	var good row // the last one
	for i := range o.Rows {
		r := next(o.First + i)
		o.plant(k.columns, r, i)
		if o.FaultEvery > 0 && (i+1)%o.FaultEvery == 0 {
			r = d.damage(k.faults, i/o.FaultEvery, r, good)
		} else {
			good = r
		}
		for c, name := range k.columns {
			cells[c] = r[name]
		}
		if err := out.row(cells); err != nil {
			return d, err
		}
	}
	return d, out.close()
}

// damage makes the n-th broken row of r, or gives the last good one again, and
// declares it. Where no row is good, none comes again.
func (d *Declared) damage(faults []fault, n int, r, good row) row {
	kinds := len(faults)
	if good != nil {
		kinds++
	}
	if n %= kinds; n == len(faults) {
		d.Duplicates++
		return good
	}
	d.Quarantined[faults[n].code]++
	faults[n].damage(r)
	return r
}

// plant puts the planted texts into a row.
func (o *Options) plant(columns []string, r row, i int) {
	for name, text := range o.Planted {
		if !slices.Contains(columns, name) {
			continue
		}
		r[name] = text
		if name == "投诉编号" { // a key stays one of its own
			r[name] += strconv.Itoa(i)
		}
	}
}
