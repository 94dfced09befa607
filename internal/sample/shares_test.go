package sample_test

import (
	"bytes"
	encodingcsv "encoding/csv"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/sample"
)

// cells are the rows of a sample without faults, as text.
func cells(t *testing.T, product string, n int) []map[string]string {
	t.Helper()
	var file bytes.Buffer
	if _, err := sample.CSV(&file, product, sample.Options{Region: "500000", Rows: n, Seed: 20260101}); err != nil {
		t.Fatal(err)
	}
	all, err := encodingcsv.NewReader(&file).ReadAll()
	if err != nil || len(all) != n+1 {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	out := make([]map[string]string, n)
	for i, r := range all[1:] {
		out[i] = map[string]string{}
		for c, name := range all[0] {
			out[i][name] = r[c]
		}
	}
	return out
}

// The shares of the published statistics, in percent, each within one point at
// 100,000 rows (HUB_SAMPLE_ROWS); of few rows chance alone asks for more room.
func TestShares(t *testing.T) {
	t.Parallel()
	n, most := rows(700), 5.0
	if n >= 100_000 {
		most = 1
	}
	for product, columns := range map[string]map[string]map[string]float64{
		"consumer_complaint": {
			// 中国消费者协会 2023 年上半年投诉情况分析, n = 615,364
			"问题性质": {"售后服务": 36.77, "合同": 23.68, "质量": 19.04, "价格": 4.74, "虚假宣传": 4.21, "安全": 2.81, "假冒": 1.35, "人格尊严": 1.20, "计量": 0.70, "其他": 5.50},
			"客体类别": {"商品": 53.30, "服务": 44.58, "其他": 2.12},
			// 2023 年度川渝 12315 报告
			"渠道": {"互联网平台": 56.55},
		},
		"consumer_report":        {"客体类别": {"商品": 53.30, "服务": 44.58, "其他": 2.12}, "渠道": {"互联网平台": 56.55}},
		"serious_violation_list": {"生命周期": {"列入生效": 78, "异议标注": 3, "临时屏蔽": 2, "撤销列入": 2.5, "恢复列入": 1.5}},
		"bid_notice":             {"TRADE_CLASS": {"D": 52, "A": 36, "C": 7, "B": 5}, "BULLETIN_TYPE": {"1": 93, "2": 7}},
		"bid_result":             {"RESULT_TYPE": {"2": 56, "1": 36, "3": 6, "4": 2}},
		"bid_market_entity":      {"LEGAL_STATUS": {"有效": 93, "暂停": 3, "注销": 3, "吊销": 1}},
		"price_bulletin":         {"级别": {"四级": 60, "三级": 28, "二级": 10, "一级": 2}},
	} {
		all := cells(t, product, n)
		for column, want := range columns {
			got := map[string]float64{}
			for _, c := range all {
				got[c[column]] += 100 / float64(len(all))
			}
			for name, share := range want {
				if math.Abs(got[name]-share) > most {
					t.Errorf("%s, %s: %s is %.2f %%, want %.2f", product, column, name, got[name], share)
				}
			}
		}
	}
}

// Complaints peak in March, bids rest at the Spring Festival, vegetables are
// dear in winter.
func TestSeasons(t *testing.T) {
	t.Parallel()
	months := func(product, column, layout string) (n [13]int) {
		for _, c := range cells(t, product, 4_000) {
			at, err := time.Parse(layout, c[column])
			if err != nil {
				t.Fatal(err)
			}
			n[at.Month()]++
		}
		return n
	}
	complaints, bids := months("consumer_complaint", "登记时间", time.RFC3339), months("bid_market_entity", "DATA_TIMESTAMP", "20060102150405")
	for m := 1; m <= 12; m++ {
		if m != 3 && complaints[m] >= complaints[3] {
			t.Errorf("complaints: %d in month %d, %d in March", complaints[m], m, complaints[3])
		}
		if m != 2 && bids[m] <= bids[2] {
			t.Errorf("bids: %d in month %d, %d in February", bids[m], m, bids[2])
		}
	}
	if rows(0) < 100_000 {
		return // prices go back a day in 270 rows
	}
	const days = 120 // back from the last of June
	var spring, summer, nSpring, nSummer float64
	for _, c := range cells(t, "price_quote", 270*days) {
		price, err := strconv.ParseFloat(c["平均价"], 64)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c["品名"] != "大白菜":
		case c["发布日期"] < "2026-03-15":
			spring, nSpring = spring+price, nSpring+1
		case c["发布日期"] > "2026-06-15":
			summer, nSummer = summer+price, nSummer+1
		}
	}
	if spring/nSpring < 1.2*summer/nSummer {
		t.Errorf("cabbage costs %.2f in early March and %.2f at the end of June", spring/nSpring, summer/nSummer)
	}
}

// The families speak of the same companies: a complaint's respondent may be on
// a list, a winner is a market entity, and a code has one name.
func TestLinks(t *testing.T) {
	t.Parallel()
	const n = 1000
	names := map[string]string{}
	meet := func(code, name string) {
		if known, ok := names[code]; ok && known != name {
			t.Errorf("%s is both %s and %s", code, known, name)
		}
		names[code] = name
	}
	entities, listed := map[string]bool{}, map[string]bool{}
	for _, c := range cells(t, "bid_market_entity", 500) {
		entities[c["LEGAL_CODE"]] = true
		meet(c["LEGAL_CODE"], c["LEGAL_NAME"])
	}
	for _, c := range cells(t, "serious_violation_list", n) {
		listed[c["统一社会信用代码"]] = true
		meet(c["统一社会信用代码"], c["企业名称"])
	}
	winners := 0
	for _, c := range cells(t, "bid_result", n) {
		if c["WIN_BIDDER_CODE"] == "" {
			continue
		}
		winners++
		meet(c["WIN_BIDDER_CODE"], c["WIN_BIDDER_NAME"])
		if !entities[c["WIN_BIDDER_CODE"]] {
			t.Fatalf("the winner %s is no market entity", c["WIN_BIDDER_CODE"])
		}
	}
	onList := 0
	for _, c := range cells(t, "consumer_complaint", n) {
		meet(c["统一社会信用代码"], c["被投诉人"])
		if listed[c["统一社会信用代码"]] {
			onList++
		}
	}
	if winners < n/2 || onList < n/20 || onList > n*3/4 {
		t.Errorf("%d winners, %d complaints about who is on the list", winners, onList)
	}
}
