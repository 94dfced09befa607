package sample

import (
	"fmt"
	"math"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

var priceQuote = kind{
	columns: []string{"品名", "最低价", "平均价", "最高价", "规格", "单位", "发布日期"},
	rows:    func(w *world) func(int) row { return w.price },
	faults: []fault{
		{problem.PricesOutOfOrder, func(c row) { c["最低价"], c["最高价"] = c["最高价"], c["最低价"] }},
		{problem.UnitUnknown, func(c row) { c["单位"] = "担" }},
		{problem.NumberUnreadable, func(c row) { c["平均价"] = "面议" }},
		{problem.DateUnreadable, func(c row) { c["发布日期"] = "昨天" }},
		{problem.RequiredMissing, func(c row) { c["品名"] = "" }},
	},
}

var commodities = []string{
	"大白菜", "菜心", "油菜", "菠菜", "生菜", "芹菜", "韭菜", "豇豆", "四季豆", "黄瓜", "冬瓜", "南瓜", "丝瓜", "苦瓜", "西红柿", "茄子", "辣椒", "青椒",
	"土豆", "白萝卜", "胡萝卜", "莲藕", "生姜", "大蒜", "洋葱", "蘑菇", "木耳", "豆芽", "苹果", "梨", "柑橘", "脐橙", "柚子", "香蕉", "葡萄", "西瓜",
	"猪肉", "牛肉", "羊肉", "鸡肉", "鸭肉", "鸡蛋", "鸭蛋", "草鱼", "鲤鱼", "鲫鱼", "花鲢", "白鲢", "大米", "面粉", "菜籽油", "大豆油", "花椒", "榨菜",
}

var specs = []string{"普通", "一级", "二级", "精选", "散装"}

// seasonal is how much of its mean a price is on a day: fresh goods are dear
// around the Spring Festival and cheap in summer.
func seasonal(day time.Time, commodity int) float64 {
	const fresh = 36 // vegetables and fruit come first
	swing := 0.05
	if commodity < fresh {
		swing = 0.2
	}
	return 1 + swing*math.Cos(2*math.Pi*float64(day.YearDay()-35)/365)
}

// price is one commodity of one specification on one day; no two rows have the
// same key.
func (w *world) price(i int) row {
	commodity, spec := i%len(commodities), i/len(commodities)%len(specs)
	day := lastDay.AddDate(0, 0, -i/(len(commodities)*len(specs)))
	average := int(float64(150+commodity*13+spec*20)*seasonal(day, commodity)) + w.IntN(40)
	unit := "斤"
	if commodity%3 == 0 {
		unit = "公斤"
	}
	return row{
		"品名": commodities[commodity], "最低价": cents(average - w.IntN(30) - 1), "平均价": cents(average), "最高价": cents(average + w.IntN(30) + 1),
		"规格": specs[spec], "单位": unit, "发布日期": date(day),
	}
}

var priceBulletin = kind{
	columns: []string{
		"通报编号", "版本号", "通报状态", "级别", "预警颜色", "商品名称", "商品条码", "涉及区划", "异常指标", "变动幅度", "基期起", "基期止",
		"关联市场", "异常开始时间", "发现时间", "发布时间", "更新时间", "确认时限", "解除时间", "通报单位", "通报单位代码", "原因", "措施", "协同事项", "联系人", "联系电话",
	},
	rows: func(w *world) func(int) row { return w.bulletin },
	faults: []fault{
		{problem.IdentifierInvalid, func(c row) { c["商品条码"] = "6901234567891" }},
		{problem.CodeUnknown, func(c row) { c["级别"] = "特级" }},
		{problem.NumberUnreadable, func(c row) { c["变动幅度"] = "三成" }},
		{problem.RequiredMissing, func(c row) { c["通报编号"] = "" }},
		{problem.DateInFuture, func(c row) { c["更新时间"] = "2126-01-01 00:00:00" }},
		{problem.DateUnreadable, func(c row) { c["发现时间"] = "上午" }},
	},
}

// A movement in a county is far more frequent than one in a whole province; one
// in both provinces is level 1 (《生活必需品市场供应应急管理办法》).
var (
	levels     = weighted{[]string{"四级", "三级", "二级", "一级"}, []int{60, 28, 10, 2}}
	colours    = map[string]string{"一级": "红", "二级": "橙", "三级": "黄", "四级": "蓝"}
	indicators = weighted{[]string{"涨幅", "跌幅", "脱销", "抢购", "滞销"}, []int{62, 14, 10, 6, 8}}
	barcodes   = []string{"6901234567892", "6902083881405", "6921168509256"}
)

func (w *world) bulletin(i int) row {
	level, indicator := levels.pick(w.Rand), indicators.pick(w.Rand)
	commodity := w.IntN(len(commodities))
	detected := w.working(w.day(season{160, 170, 90, 80, 80, 90, 100, 100, 90, 80, 80, 80}))
	issued := detected.Add(time.Duration(10+w.IntN(100)) * time.Minute) // within two hours
	places := w.county()
	if level == "一级" {
		places = "500000;510000"
	}
	unitName := provinces[w.region] + "测试商务主管部门"
	r := row{
		"通报编号": fmt.Sprintf("JGYD%s%07d", w.region[:2], i), "版本号": "1", "通报状态": "发布", "级别": level, "预警颜色": colours[level],
		"商品名称": commodities[commodity], "商品条码": barcodes[w.IntN(len(barcodes))], "涉及区划": places, "异常指标": indicator,
		"关联市场":   map[string]string{"500000": "CQ-0001", "510000": "SC-0001"}[w.region],
		"异常开始时间": stamp(detected.Add(-time.Duration(1+w.IntN(48)) * time.Hour)), "发现时间": stamp(detected), "发布时间": stamp(issued), "更新时间": stamp(issued),
		"确认时限": stamp(issued.Add(24 * time.Hour)), "通报单位": unitName, "通报单位代码": unit(w.region, 1),
		"原因": "测试：连续降雨影响采收和运输。", "措施": "测试：组织货源，投放储备。", "协同事项": "测试：请协助组织货源。",
		"联系人": "测试" + w.oneOf("甲", "乙", "丙"), "联系电话": fmt.Sprintf("100%08d", w.IntN(1e8)),
	}
	switch indicator {
	case "涨幅":
		r["变动幅度"] = cents(500 + w.IntN(6000))
	case "跌幅":
		r["变动幅度"] = "-" + cents(500+w.IntN(4000))
	}
	if r["变动幅度"] != "" {
		r["基期起"], r["基期止"] = date(detected.AddDate(0, 0, -14)), date(detected.AddDate(0, 0, -7))
	}
	if w.share(30) {
		lifted := issued.Add(time.Duration(2+w.IntN(10)) * 24 * time.Hour)
		if lifted.Before(lastDay) {
			r["通报状态"], r["版本号"], r["解除时间"], r["更新时间"] = "解除", "2", stamp(lifted), stamp(lifted)
		}
	}
	return r
}
