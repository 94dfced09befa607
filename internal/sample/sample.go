package sample

import (
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/ident"
)

// Options say what to generate.
type Options struct {
	Region string // 500000 or 510000
	Rows   int
	Seed   uint64
	// FaultEvery breaks every n-th row, in turn with each kind of fault; 0
	// breaks none.
	FaultEvery int
	// Planted replaces the text of named columns: secrets that a test looks
	// for afterwards.
	Planted map[string]string
}

// Kinds of rows, by product.
var kinds = map[string]kind{
	"price_quote":        {columns: priceColumns, row: price, faults: priceFaults},
	"consumer_complaint": {columns: complaintColumns, row: complaint, faults: complaintFaults},
}

type kind struct {
	columns []string
	row     func(r *rand.Rand, o *Options, i int) []string
	faults  []fault
}

// fault breaks a row so that it is quarantined for one reason.
type fault struct {
	code   problem.Code
	damage func(row map[string]string)
}

// Products are the products that samples exist for.
func Products() []string { return []string{"consumer_complaint", "price_quote"} }

// CSV writes rows of a product with a header, and returns how many rows a
// connector must quarantine for which reason.
func CSV(w io.Writer, product string, o Options) (map[problem.Code]int64, error) {
	k, ok := kinds[product]
	if !ok {
		return nil, fmt.Errorf("no sample for product %q: there are %v", product, Products())
	}
	out := csv.NewWriter(w)
	if err := out.Write(k.columns); err != nil {
		return nil, err
	}
	faults := map[problem.Code]int64{}
	rng := rand.New(rand.NewPCG(o.Seed, uint64(len(product)))) //nolint:gosec // samples, not secrets
	for i := range o.Rows {
		row := k.row(rng, &o, i)
		for c, name := range k.columns {
			if text, planted := o.Planted[name]; planted {
				row[c] = text
				if name == "投诉编号" { // a key stays one of its own
					row[c] += strconv.Itoa(i)
				}
			}
		}
		if o.FaultEvery > 0 && (i+1)%o.FaultEvery == 0 {
			f := k.faults[(i/o.FaultEvery)%len(k.faults)]
			faults[f.code]++
			row = damaged(k.columns, row, f)
		}
		if err := out.Write(row); err != nil {
			return nil, err
		}
	}
	out.Flush()
	return faults, out.Error()
}

func damaged(columns, row []string, f fault) []string {
	cells := map[string]string{}
	for i, c := range columns {
		cells[c] = row[i]
	}
	f.damage(cells)
	for i, c := range columns {
		row[i] = cells[c]
	}
	return row
}

var priceColumns = []string{"品名", "最低价", "平均价", "最高价", "规格", "单位", "发布日期"}

var commodities = []string{
	"大白菜", "菜心", "油菜", "菠菜", "生菜", "芹菜", "韭菜", "豇豆", "四季豆", "黄瓜", "冬瓜", "南瓜", "丝瓜", "苦瓜", "西红柿", "茄子", "辣椒", "青椒",
	"土豆", "白萝卜", "胡萝卜", "莲藕", "生姜", "大蒜", "洋葱", "蘑菇", "木耳", "豆芽", "苹果", "梨", "柑橘", "脐橙", "柚子", "香蕉", "葡萄", "西瓜",
	"猪肉", "牛肉", "羊肉", "鸡肉", "鸭肉", "鸡蛋", "鸭蛋", "草鱼", "鲤鱼", "鲫鱼", "花鲢", "白鲢", "大米", "面粉", "菜籽油", "大豆油", "花椒", "榨菜",
}

var specs = []string{"普通", "一级", "二级", "精选", "散装"}

// price is one commodity of one specification on one day; no two rows have the
// same key.
func price(r *rand.Rand, _ *Options, i int) []string {
	commodity, spec := i%len(commodities), i/len(commodities)%len(specs)
	day := time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -i/(len(commodities)*len(specs)))
	season := 1 + 0.2*float64(int(day.Month())-6)/6
	average := int(float64(150+commodity*13+spec*20)*season) + r.IntN(40)
	low, high := average-r.IntN(30)-1, average+r.IntN(30)+1
	unit := "斤"
	if commodity%3 == 0 {
		unit = "公斤"
	}
	return []string{commodities[commodity], cents(low), cents(average), cents(high), specs[spec], unit, day.Format(time.DateOnly)}
}

func cents(n int) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

var priceFaults = []fault{
	{problem.PricesOutOfOrder, func(c map[string]string) { c["最低价"], c["最高价"] = c["最高价"], c["最低价"] }},
	{problem.UnitUnknown, func(c map[string]string) { c["单位"] = "担" }},
	{problem.NumberUnreadable, func(c map[string]string) { c["平均价"] = "面议" }},
	{problem.DateUnreadable, func(c map[string]string) { c["发布日期"] = "昨天" }},
	{problem.RequiredMissing, func(c map[string]string) { c["品名"] = "" }},
}

var complaintColumns = []string{
	"投诉编号", "关联编号", "投诉请求", "争议事实", "投诉人姓名", "投诉人电话", "证件类型", "证件号码", "投诉人地址", "渠道", "登记时间", "更新时间",
	"受理单位", "发生地", "被投诉人", "统一社会信用代码", "被投诉人地址", "电商平台", "客体类别", "商品或服务", "问题性质", "争议金额", "状态",
	"受理时间", "不予受理原因", "终止调解原因", "办结时间", "挽回损失", "是否公示",
}

// weighted picks by weight; the weights are hundredths of a percent.
type weighted struct {
	names   []string
	weights []int
}

func (w weighted) pick(r *rand.Rand) string {
	total := 0
	for _, n := range w.weights {
		total += n
	}
	at := r.IntN(total)
	for i, n := range w.weights {
		if at -= n; at < 0 {
			return w.names[i]
		}
	}
	return w.names[0]
}

// Shares of the China Consumers Association's statistics, first half of 2023.
var (
	natures = weighted{
		[]string{"售后服务", "合同", "质量", "价格", "虚假宣传", "安全", "假冒", "人格尊严", "计量", "其他"},
		[]int{3677, 2368, 1904, 474, 421, 281, 135, 120, 70, 550},
	}
	objects  = weighted{[]string{"商品", "服务", "其他"}, []int{5330, 4458, 212}}
	channels = weighted{[]string{"互联网平台", "12315电话", "12345转办", "窗口", "其他"}, []int{5655, 2500, 1200, 445, 200}}
	states   = weighted{[]string{"已登记", "已受理", "调解中", "调解成功", "已办结", "不予受理", "终止调解"}, []int{1000, 1500, 1000, 2500, 2500, 900, 600}}
)

var (
	goods    = []string{"食品", "服装鞋帽", "家用电器", "通讯产品", "家居用品", "化妆品", "儿童用品", "汽车及零部件"}
	counties = map[string][]string{
		"500000": {"500101", "500103", "500105", "500106", "500107", "500112", "500113", "500118"},
		"510000": {"510104", "510105", "510107", "510703", "511302", "511502", "511602", "511702"},
	}
	requests = []string{"退货退款", "赔偿损失", "更换商品", "履行合同", "赔礼道歉"}
	facts    = []string{"购买后发现商品存在问题，与商家协商未果。", "商家承诺的服务未履行，多次联系未答复。", "宣传内容与实际不符，要求处理。"}
)

func complaint(r *rand.Rand, o *Options, i int) []string {
	region := counties[o.Region]
	county := region[r.IntN(len(region))]
	registered := time.Date(2026, 6, 30, 9, 0, 0, 0, time.UTC).Add(-time.Duration(i) * 11 * time.Minute)
	updated := registered.Add(time.Duration(1+r.IntN(200)) * time.Minute)
	state := states.pick(r)
	row := map[string]string{
		"投诉编号": fmt.Sprintf("TS%s%07d", o.Region[:2], i), "投诉请求": requests[r.IntN(len(requests))], "争议事实": facts[r.IntN(len(facts))],
		"投诉人姓名": "测试" + string([]rune("甲乙丙丁戊己庚辛壬癸")[r.IntN(10)]), "投诉人电话": fmt.Sprintf("100%08d", r.IntN(1e8)),
		"证件类型": "居民身份证", "证件号码": residentID(o.Region, r), "投诉人地址": "川渝测试市测试区测试路" + strconv.Itoa(1+r.IntN(999)) + "号",
		"渠道": channels.pick(r), "登记时间": registered.Format(time.RFC3339), "更新时间": updated.Format(time.RFC3339),
		"受理单位": "测试区市场监督管理局", "发生地": county, "被投诉人": fmt.Sprintf("川渝测试商贸%d号有限公司", r.IntN(5000)),
		"统一社会信用代码": Company(county, r.IntN(5000)), "客体类别": objects.pick(r), "商品或服务": goods[r.IntN(len(goods))],
		"问题性质": natures.pick(r), "争议金额": cents(100 + r.IntN(500_000)), "状态": state, "是否公示": "否",
	}
	switch state {
	case "已受理", "调解中", "调解成功", "已办结", "终止调解":
		row["受理时间"] = updated.Format(time.RFC3339)
	case "不予受理":
		row["不予受理原因"] = "第十五条第(" + string([]rune("一二三四五六")[r.IntN(6)]) + ")项"
	}
	switch state {
	case "调解成功", "已办结":
		row["办结时间"], row["挽回损失"] = updated.Format(time.RFC3339), cents(r.IntN(100_000))
	case "终止调解":
		row["终止调解原因"] = "第二十一条第(" + string([]rune("一二三四五六七")[r.IntN(7)]) + ")项"
	}
	out := make([]string, len(complaintColumns))
	for c, name := range complaintColumns {
		out[c] = row[name]
	}
	return out
}

// residentID has a region that was never assigned, and a valid check digit.
func residentID(region string, r *rand.Rand) string {
	body := fmt.Sprintf("%s9900%d%02d%02d%03d", region[:2], 1950+r.IntN(55), 1+r.IntN(12), 1+r.IntN(28), r.IntN(1000))
	check, err := ident.ResidentIDCheck(body)
	if err != nil {
		panic("sample: " + err.Error()) // the body is digits by construction
	}
	return body + string(check)
}

// Company is the valid unified social credit code of the n-th fictional
// company of a county: the organisation codes beginning with MAT0 are kept for
// samples here, the names they stand for do not exist.
func Company(county string, n int) string {
	org := "MAT" + fmt.Sprintf("%05d", n%100_000)
	check, err := ident.OrgCheck(org)
	if err != nil {
		panic("sample: " + err.Error())
	}
	body := "91" + county + org + string(check)
	last, err := ident.USCCCheck(body)
	if err != nil {
		panic("sample: " + err.Error())
	}
	return body + string(last)
}

var complaintFaults = []fault{
	{problem.IdentifierInvalid, func(c map[string]string) { c["统一社会信用代码"] = "91500112MAT00000XX" }},
	{problem.CodeUnknown, func(c map[string]string) { c["渠道"] = "不详" }},
	{problem.DatesOutOfOrder, func(c map[string]string) { c["更新时间"] = "2000-01-01 00:00:00" }},
	{problem.RequiredMissing, func(c map[string]string) { c["投诉编号"] = "" }},
	{problem.NumberUnreadable, func(c map[string]string) { c["争议金额"] = "约五百元" }},
}
