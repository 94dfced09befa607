package schemas_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

func predicated(t *testing.T, s *schemas.Schema, o redact.Obligations, p redact.Predicate) *schemas.View {
	t.Helper()
	v, err := schemas.CompileView(schemas.ViewSpec{Writer: s, Obligations: o, Predicate: &p})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Each kind and operator, on the golden records.
func TestPredicate(t *testing.T) {
	t.Parallel()
	c, in := redact.Compare, redact.In
	const eq, ne, lt, le, gt, ge, prefix = redact.OpEqual, redact.OpNotEqual, redact.OpLess, redact.OpLessOrEqual, redact.OpGreater, redact.OpGreaterOrEqual, redact.OpPrefix
	for name, tests := range map[string]map[bool][]redact.Predicate{
		"price_quote.v1": {
			true: {
				c("region_code", eq, "500112"), c("region_code", prefix, "50"), c("region_code", lt, "510000"), c("region_code", ge, "500112"),
				in("region_code", "510107", "500112"), redact.Between("region_code", "500000", "500999"), c("region_code", ne, "510107"),
				c("low_price", eq, "3"), c("low_price", lt, "3.0001"), c("low_price", ge, "3.0000"), in("high_price", "1", "40.0005"),
				c("raw_high_price", lt, "0"), redact.Between("raw_high_price", "-0.0001", "0"),
				c("collect_date", eq, "2013-10-04"), c("publish_date", lt, "1970-01-01"), c("price_type", eq, "wholesale"),
				in("price_type", "retail", "wholesale"), redact.IsNull("grade"), redact.Not(redact.IsNull("spec")), c("volume", gt, "12345678.9011"),
				redact.And(c("region_code", eq, "500112"), redact.Or(c("low_price", gt, "5"), c("status", eq, "revised"))),
				redact.Or(c("grade", eq, "x"), c("low_price", eq, "3")), // unknown or true
			},
			false: {
				{},
				c("region_code", eq, "510107"), c("region_code", prefix, "51"), c("low_price", gt, "3"), c("price_type", ne, "wholesale"),
				redact.Not(c("low_price", eq, "3")), redact.And(c("low_price", eq, "3"), redact.Predicate{}),
				// Of what is null nothing can be told, and not is no way round that.
				c("grade", eq, "x"), c("grade", ne, "x"), redact.Not(c("grade", eq, "x")), redact.Not(redact.And(c("grade", eq, "x"), c("low_price", eq, "3"))),
				in("stock", "1"), redact.Not(in("stock", "1")), redact.IsNull("spec"), redact.Or(c("grade", eq, "x"), c("low_price", eq, "4")),
			},
		},
		"consumer_complaint.v1": {
			true: {
				c("complainant.phone", prefix, "138"), c("respondent.uscc", eq, "91500000676129728J"), c("public_flag", eq, "true"),
				c("register_time", eq, "2026-01-01T00:00:00.123Z"), c("register_time", lt, "2026-01-01T08:00:00.124+08:00"),
				redact.IsNull("dossier.linked_case_no"), redact.And(c("complainant.name", eq, "测试甲"), c("dossier.case_no", prefix, "TS"), c("status", eq, "closed")),
			},
			false: {c("complainant.phone", prefix, "139"), c("respondent.address", eq, "x"), c("public_flag", eq, "false"), c("dossier.linked_case_no", le, "x")},
		},
	} {
		s := shipped(t, name)
		body := encode(t, s, values(t, s, goldenRecords[name]))
		want, err := view(t, s, keepAll(s)).Append(nil, body, goldenKey, schemas.NewRun(nil, glassBox{}))
		if err != nil {
			t.Fatal(err)
		}
		run := schemas.NewRun(nil, glassBox{})
		for holds, of := range tests {
			for _, p := range of {
				out, err := predicated(t, s, keepAll(s), p).Append([]byte("x"), body, goldenKey, run)
				switch {
				case holds && (err != nil || string(out) != "x"+string(want)):
					t.Errorf("%s: %v", p, err)
				case !holds && (!errors.Is(err, schemas.ErrExcluded) || string(out) != "x"):
					t.Errorf("%s: %s, %v", p, out, err)
				}
			}
		}
	}
}

func TestPredicateRefuses(t *testing.T) {
	t.Parallel()
	for title, p := range map[string]redact.Predicate{
		"an unknown field":    redact.IsNull("nope"),
		"a block":             redact.IsNull("complainant"),
		"a repeated field":    redact.IsNull("problem_nature"),
		"no number":           redact.Compare("amount", redact.OpEqual, "many"),
		"a finer number":      redact.Compare("amount", redact.OpEqual, "1.001"),
		"no date":             redact.Compare("register_time", redact.OpLess, "yesterday"),
		"a finer instant":     redact.Compare("register_time", redact.OpLess, "2026-01-01T00:00:00.0001Z"),
		"no symbol":           redact.Compare("status", redact.OpEqual, "lost"),
		"an order of symbols": redact.Compare("status", redact.OpLess, "closed"),
		"a prefix of a flag":  redact.Compare("public_flag", redact.OpPrefix, "t"),
		"no form":             redact.And(),
	} {
		_, err := schemas.CompileView(schemas.ViewSpec{Writer: shipped(t, "consumer_complaint.v1"), Predicate: &p})
		if err == nil {
			t.Errorf("%s: compiled", title)
		}
	}
}

// A predicate opens the blocks that it tests a field of, and no other; what it
// cannot open is not released.
func TestPredicateOpensBlocks(t *testing.T) {
	t.Parallel()
	s := shipped(t, "consumer_complaint.v1")
	body := encode(t, s, values(t, s, goldenRecords[s.Name]))
	keep := redact.Obligations{"region_code": {Action: redact.Keep}}
	inBlock, outside := redact.Compare("complainant.name", redact.OpEqual, "测试甲"), redact.Compare("region_code", redact.OpEqual, "510000")
	if _, err := predicated(t, s, keep, outside).Append(nil, body, goldenKey, schemas.NewRun(nil, refusingBox{t})); !errors.Is(err, schemas.ErrExcluded) {
		t.Error(err)
	}
	for key, run := range map[string]*schemas.Run{"golden-key": {}, "other-key": schemas.NewRun(nil, glassBox{})} {
		if out, err := predicated(t, s, keep, inBlock).Append(nil, body, []byte(key), run); err == nil || errors.Is(err, schemas.ErrExcluded) || len(out) > 0 {
			t.Errorf("%s: %s, %v", key, out, err)
		}
	}
	opened := &countingBox{}
	keep["complainant.phone"] = redact.Obligation{Action: redact.Keep}
	if _, err := predicated(t, s, keep, inBlock).Append(nil, body, goldenKey, schemas.NewRun(nil, opened)); err != nil || opened.n != 1 {
		t.Errorf("%d blocks opened, %v", opened.n, err)
	}
}

type countingBox struct {
	glassBox
	n int
}

func (b *countingBox) Open(dst, block, additional []byte) ([]byte, error) {
	b.n++
	return b.glassBox.Open(dst, block, additional)
}

// Random predicates, against an evaluation of the values themselves.
func TestRandomPredicates(t *testing.T) {
	t.Parallel()
	start := seed(t)
	rng := rand.New(rand.NewPCG(start, 1))
	s := shipped(t, "price_quote.v1")
	i, _, _ := s.Leaf("region_code")
	j, _, _ := s.Leaf("volume")
	for range pairs(t, 120) {
		record := values(t, s, goldenRecords[s.Name])
		region, volume := rng.Int64N(5), rng.Int64N(5)
		record[i] = schemas.TextValue(fmt.Sprintf("50011%d", region))
		if record[j] = schemas.IntValue(volume * 10000); volume == 4 {
			record[j] = schemas.Value{}
		}
		p, want := randomPredicate(rng, region, volume, 4)
		_, err := predicated(t, s, nil, p).Append(nil, encode(t, s, record), goldenKey, &schemas.Run{})
		if errors.Is(err, schemas.ErrExcluded) != (want != 1) || err != nil && want == 1 {
			t.Fatalf("region %d, volume %d, %s: %v, want %d", region, volume, p, err, want)
		}
	}
}

// randomPredicate also says what it comes to: -1 false, 0 unknown, 1 true.
func randomPredicate(rng *rand.Rand, region, volume int64, depth int) (redact.Predicate, int) {
	if depth == 0 || rng.IntN(3) == 0 {
		n := rng.Int64N(4)
		sign := func(b bool) int { return map[bool]int{true: 1, false: -1}[b] }
		switch {
		case rng.IntN(2) == 0:
			return redact.Compare("region_code", redact.OpLess, fmt.Sprintf("50011%d", n)), sign(region < n)
		case rng.IntN(3) == 0:
			return redact.IsNull("volume"), sign(volume == 4)
		case volume == 4:
			return redact.Compare("volume", redact.OpGreaterOrEqual, fmt.Sprint(n)), 0
		}
		return redact.Compare("volume", redact.OpGreaterOrEqual, fmt.Sprint(n)), sign(volume >= n)
	}
	a, x := randomPredicate(rng, region, volume, depth-1)
	b, y := randomPredicate(rng, region, volume, depth-1)
	switch rng.IntN(3) {
	case 0:
		return redact.And(a, b), min(x, y)
	case 1:
		return redact.Or(a, b), max(x, y)
	}
	return redact.Not(a), -x
}

// A predicate that excludes says nothing of the record.
func TestExcludedSaysNothing(t *testing.T) {
	t.Parallel()
	if strings.ContainsAny(schemas.ErrExcluded.Error(), "0123456789") {
		t.Error(schemas.ErrExcluded)
	}
}
