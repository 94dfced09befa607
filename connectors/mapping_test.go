package connectors_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
)

func schema(t testing.TB, name string) *schemas.Schema {
	t.Helper()
	set, err := shippedSchemas()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := set.Schema(name)
	if !ok {
		t.Fatalf("no schema %s", name)
	}
	return s
}

func mapping(t testing.TB, product string) *connectors.Mapping {
	t.Helper()
	file := "../deploy/config/mappings/" + strings.ReplaceAll(product, "price_quote", "price_quote.500000") + ".yaml"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := connectors.ParseMapping(file, data, schema(t, product+".v1"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// row makes the cells of a mapping from columns by name.
func row(m *connectors.Mapping, byColumn map[string]string) *source.Row {
	r := &source.Row{Number: 1}
	for _, c := range m.Columns() {
		r.Cells = append(r.Cells, byColumn[c])
	}
	return r
}

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func goodPrice() map[string]string {
	return map[string]string{"品名": "红香酥梨", "最低价": "1.50", "平均价": "1.75", "最高价": "2.00", "规格": "普通", "单位": "斤", "发布日期": "2013-10-04"}
}

func goodComplaint() map[string]string {
	return map[string]string{
		"投诉编号": "TS1", "投诉请求": "退款", "争议事实": "无", "投诉人姓名": "测试甲", "投诉人电话": "13800000000", "证件类型": "身份证",
		"渠道": "12315电话", "登记时间": "2026-01-02 03:04:05", "更新时间": "2026-01-03T03:04:05Z", "受理单位": "局", "发生地": "500112",
		"被投诉人": "川渝测试商贸有限公司", "客体类别": "商品", "商品或服务": "食品", "问题性质": "质量；虚假宣传", "争议金额": "12.5", "状态": "已登记",
	}
}

// apply maps and validates a row.
func apply(t testing.TB, product string, byColumn map[string]string) ([]schemas.Value, []connectors.Fault) {
	t.Helper()
	m := mapping(t, product)
	s := schema(t, product+".v1")
	v, err := connectors.NewValidator(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]schemas.Value, len(s.Leaves))
	if faults := m.Apply(row(m, byColumn), values); len(faults) > 0 {
		return nil, faults
	}
	return values, v.Validate(values, now)
}

func TestApply(t *testing.T) {
	t.Parallel()
	s := schema(t, "price_quote.v1")
	values, faults := apply(t, "price_quote", goodPrice())
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	get := func(path string) schemas.Value { i, _, _ := s.Leaf(path); return values[i] }
	for path, want := range map[string]int64{
		"low_price": 30000, "average_price": 35000, "high_price": 40000, // per 公斤
		"raw_low_price": 15000, "raw_high_price": 20000, "collect_date": 15982, "unit": 0, "price_type": 0,
	} {
		if got := get(path); !got.Set || got.Int != want {
			t.Errorf("%s: %+v, want %d", path, got, want)
		}
	}
	if string(get("raw_unit").Bytes) != "斤" || get("grade").Set || string(get("currency").Bytes) != "CNY" {
		t.Errorf("texts: %q, %v", get("raw_unit").Bytes, get("grade"))
	}

	s = schema(t, "consumer_complaint.v1")
	if values, faults = apply(t, "consumer_complaint", goodComplaint()); len(faults) > 0 {
		t.Fatal(faults)
	}
	if got := get("problem_nature").Ints; fmt.Sprint(got) != "[2 4]" {
		t.Errorf("problem_nature: %v", got)
	}
	if got := get("register_time").Int; got != time.Date(2026, 1, 1, 19, 4, 5, 0, time.UTC).UnixMilli() {
		t.Errorf("a time without a zone is not read as +08:00: %v", time.UnixMilli(got).UTC())
	}
	if get("complainant.id_type").Int != 0 || get("channel").Int != 1 || get("public_flag").Int != 0 || get("amount").Int != 1250 {
		t.Error("codes or defaults are wrong")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		product, column, cell string
		field                 string
		want                  problem.Code
	}{
		{"price_quote", "品名", "", "commodity_name", problem.RequiredMissing},
		{"price_quote", "品名", strings.Repeat("梨", 101), "commodity_name", problem.TextTooLong},
		{"price_quote", "品名", "梨\x00", "commodity_name", problem.TextInvalid},
		{"price_quote", "品名", "梨\ufffd", "commodity_name", problem.TextInvalid},
		{"price_quote", "最低价", "1,5", "low_price", problem.NumberUnreadable},
		{"price_quote", "最低价", "十", "low_price", problem.NumberUnreadable},
		{"price_quote", "最低价", "1.00001", "low_price", problem.NumberOutOfRange},
		{"price_quote", "最高价", "99999999", "high_price", problem.NumberOutOfRange},
		{"price_quote", "最低价", "0", "low_price", problem.NumberOutOfRange},
		{"price_quote", "最低价", "-1", "low_price", problem.NumberOutOfRange},
		{"price_quote", "最低价", "1.9", "average_price", problem.PricesOutOfOrder},
		{"price_quote", "平均价", "2.5", "average_price", problem.PricesOutOfOrder},
		{"price_quote", "单位", "担", "low_price", problem.UnitUnknown},
		{"price_quote", "发布日期", "去年", "collect_date", problem.DateUnreadable},
		{"price_quote", "发布日期", "2013-02-30", "collect_date", problem.DateUnreadable},
		{"price_quote", "发布日期", "2026-11-25", "collect_date", problem.DateInFuture},
		{"consumer_complaint", "渠道", "飞鸽", "channel", problem.CodeUnknown},
		{"consumer_complaint", "问题性质", "质量;无聊", "problem_nature", problem.CodeUnknown},
		{"consumer_complaint", "统一社会信用代码", "9144030071526726XA", "respondent.uscc", problem.IdentifierInvalid},
		{"consumer_complaint", "统一社会信用代码", "9144030071526726xg", "respondent.uscc", problem.IdentifierInvalid},
		{"consumer_complaint", "发生地", "990000", "region_code", problem.IdentifierInvalid},
		{"consumer_complaint", "更新时间", "2025-01-01 00:00:00", "update_time", problem.DatesOutOfOrder},
		{"consumer_complaint", "登记时间", "2027-01-01", "register_time", problem.DateInFuture},
		{"consumer_complaint", "是否公示", "也许", "public_flag", problem.CodeUnknown},
	} {
		cells := goodPrice()
		if c.product == "consumer_complaint" {
			cells = goodComplaint()
		}
		cells[c.column] = c.cell
		_, faults := apply(t, c.product, cells)
		found := false
		for _, f := range faults {
			found = found || f.Field == c.field && f.Code == c.want
			if c.cell != "" && len(c.cell) > 3 && strings.Contains(f.Detail, c.cell) {
				t.Errorf("%s = %q: the fault holds the value: %+v", c.column, c.cell, f)
			}
		}
		if !found {
			t.Errorf("%s = %q: %+v, want %s of %s", c.column, c.cell, faults, c.want, c.field)
		}
	}
}

// A day in China counts as it is there: at 17:00 UTC it is the next day.
func TestNotFutureIsTheDayInChina(t *testing.T) {
	t.Parallel()
	s := schema(t, "price_quote.v1")
	v, err := connectors.NewValidator(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]schemas.Value, len(s.Leaves))
	i, _, _ := s.Leaf("collect_date")
	day := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC).Unix() / 86400
	values[i] = schemas.IntValue(day)
	for at, allowed := range map[time.Time]bool{
		time.Date(2026, 11, 24, 15, 59, 0, 0, time.UTC): false,
		time.Date(2026, 11, 24, 16, 1, 0, 0, time.UTC):  true,
	} {
		if faults := v.Validate(values, at); (len(faults) == 0) != allowed {
			t.Errorf("at %s: %v", at, faults)
		}
	}
}

func TestParseMappingNamesEveryFault(t *testing.T) {
	t.Parallel()
	text := `product: price_quote
schema: price_quote.v1
units:
  column: 单位
  table:
    斤: {unit: stone, factor: "2"}
    两: {unit: kilogram, factor: "-1"}
fields:
  market_code: {}
  no_such_field: {column: x}
  price_type: {column: 类型, codes: {批: wholesail}}
  collect_date: {column: 日期, layouts: ["yyyy-MM-dd"]}
  low_price: {column: 低, convert: weight}
  raw_unit: {column: 单位, convert: price}
  unit: {convert: unit}
`
	_, err := connectors.ParseMapping("m.yaml", []byte(text), schema(t, "price_quote.v1"))
	if problem.CodeOf(err) != problem.ConfigInvalid {
		t.Fatal(err)
	}
	for _, want := range []string{
		"m.yaml:6:8: unit \"stone\"", "m.yaml:7:8: factor \"-1\"", "m.yaml:9:16: field market_code needs", "m.yaml:10:18: schema price_quote.v1 has no field no_such_field",
		"m.yaml:11:35: \"批\" stands for \"wholesail\"", "m.yaml:12:39: layout \"yyyy-MM-dd\"", "m.yaml:13:14: convert", "m.yaml:14:13: convert: price does not fit",
		"field market_name (市场名称) is required and not mapped",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	shipped, err := os.ReadFile("../deploy/config/mappings/price_quote.500000.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for title, bad := range map[string]string{
		"an unknown key":  "product: p\nschema: price_quote.v1\nfeilds: {}\n",
		"not YAML":        "product: [",
		"another schema":  "product: p\nschema: other.v1\nfields: {}\n",
		"a wrong default": strings.Replace(string(shipped), "price_type: {value: wholesale}", "price_type: {value: gross}", 1),
	} {
		if _, err := connectors.ParseMapping("m.yaml", []byte(bad), schema(t, "price_quote.v1")); err == nil {
			t.Errorf("%s was taken", title)
		}
	}
}

func FuzzApply(f *testing.F) {
	f.Add("红香酥梨", "1.50", "斤", "2013-10-04")
	f.Add("", "-0.00001", "", "99999999999")
	f.Add("x", "999999999999999999999999.9", "公斤", "20060102")
	m, s := mapping(f, "price_quote"), schema(f, "price_quote.v1")
	v, err := connectors.NewValidator(s, nil)
	if err != nil {
		f.Fatal(err)
	}
	encoder := schemas.NewEncoder(s)
	f.Fuzz(func(t *testing.T, name, price, unit, date string) {
		values := make([]schemas.Value, len(s.Leaves))
		r := row(m, map[string]string{"品名": name, "最低价": price, "平均价": price, "最高价": price, "单位": unit, "发布日期": date})
		if len(m.Apply(r, values)) > 0 || len(v.Validate(values, now)) > 0 {
			return
		}
		// What mapping and validation let through can be encoded.
		if _, err := encoder.Append(nil, values, nil, nil); err != nil {
			t.Fatal(err)
		}
	})
}
