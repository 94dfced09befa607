package sample

import (
	"fmt"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

var consumerComplaint = kind{
	columns: []string{
		"投诉编号", "关联编号", "投诉请求", "争议事实", "投诉人姓名", "投诉人电话", "证件类型", "证件号码", "投诉人地址", "渠道", "登记时间", "更新时间",
		"受理单位", "发生地", "被投诉人", "统一社会信用代码", "被投诉人地址", "电商平台", "客体类别", "商品或服务", "问题性质", "争议金额", "状态",
		"受理时间", "不予受理原因", "终止调解原因", "办结时间", "挽回损失", "是否公示",
	},
	rows: func(w *world) func(int) row { return w.complaint },
	faults: []fault{
		{problem.IdentifierInvalid, func(c row) { c["统一社会信用代码"] = "91500112MAT00000XX" }},
		{problem.CodeUnknown, func(c row) { c["渠道"] = "不详" }},
		{problem.DatesOutOfOrder, func(c row) { c["更新时间"] = "2000-01-01 00:00:00" }},
		{problem.RequiredMissing, func(c row) { c["投诉编号"] = "" }},
		{problem.NumberUnreadable, func(c row) { c["争议金额"] = "约五百元" }},
	},
}

// Shares of the China Consumers Association's statistics, first half of 2023,
// and of the joint report of the two provinces.
var (
	natures = weighted{
		[]string{"售后服务", "合同", "质量", "价格", "虚假宣传", "安全", "假冒", "人格尊严", "计量", "其他"},
		[]int{3677, 2368, 1904, 474, 421, 281, 135, 120, 70, 550},
	}
	objects  = weighted{[]string{"商品", "服务", "其他"}, []int{5330, 4458, 212}}
	channels = weighted{[]string{"互联网平台", "12315电话", "12345转办", "窗口", "其他"}, []int{5655, 2500, 1200, 445, 200}}
	states   = weighted{[]string{"已登记", "已受理", "调解中", "调解成功", "已办结", "不予受理", "终止调解"}, []int{1000, 1500, 1000, 2500, 2500, 900, 600}}
)

// complaints peak around the Spring Festival, in March (the consumers' day) and
// in November (sales).
var complaintSeason = season{110, 115, 150, 95, 95, 95, 90, 90, 90, 90, 110, 90}

var (
	goods    = []string{"食品", "服装鞋帽", "家用电器", "通讯产品", "家居用品", "化妆品", "儿童用品", "汽车及零部件"}
	services = []string{"餐饮服务", "住宿服务", "教育培训", "美容美发", "电信服务", "快递服务", "旅游服务", "健身服务"}
	requests = []string{"退货退款", "赔偿损失", "更换商品", "履行合同", "赔礼道歉"}
	facts    = []string{"购买后发现商品存在问题，与商家协商未果。", "商家承诺的服务未履行，多次联系未答复。", "宣传内容与实际不符，要求处理。"}
)

// respondent is whom a complaint or report is about: one of five stands on a
// list.
func (w *world) respondent() company {
	if w.share(20) {
		return w.company(firstListed + w.IntN(mostListed-firstListed))
	}
	return w.company(w.IntN(respondents))
}

// object is what it is about.
func (w *world) object() (class, name string) {
	class = objects.pick(w.Rand)
	if class == "服务" {
		return class, w.oneOf(services...)
	}
	return class, w.oneOf(goods...)
}

func (w *world) complaint(i int) row {
	who, by := w.respondent(), w.person()
	class, object := w.object()
	registered := w.working(w.day(complaintSeason))
	updated := registered.Add(time.Duration(1+w.IntN(200)) * time.Minute)
	state := states.pick(w.Rand)
	r := row{
		"投诉编号": fmt.Sprintf("TS%s%07d", w.region[:2], i), "投诉请求": w.oneOf(requests...), "争议事实": w.oneOf(facts...),
		"投诉人姓名": by.name, "投诉人电话": by.phone, "证件类型": "居民身份证", "证件号码": by.id, "投诉人地址": address(w.IntN(999)),
		"渠道": channels.pick(w.Rand), "登记时间": stamp(registered), "更新时间": stamp(updated),
		"受理单位": "测试区市场监督管理局", "发生地": who.county, "被投诉人": who.name, "统一社会信用代码": who.uscc, "被投诉人地址": who.address,
		"客体类别": class, "商品或服务": object, "问题性质": natures.pick(w.Rand), "争议金额": cents(100 + w.IntN(500_000)), "状态": state, "是否公示": "否",
	}
	if r["渠道"] == "互联网平台" && w.share(40) {
		r["电商平台"] = "川渝测试电商平台"
	}
	switch state {
	case "已受理", "调解中", "调解成功", "已办结", "终止调解":
		r["受理时间"] = stamp(updated)
	case "不予受理":
		r["不予受理原因"] = "第十五条第(" + w.oneOf("一", "二", "三", "四", "五", "六") + ")项"
	}
	switch state {
	case "调解成功", "已办结":
		r["办结时间"], r["挽回损失"] = stamp(updated), cents(w.IntN(100_000))
	case "终止调解":
		r["终止调解原因"] = "第二十一条第(" + w.oneOf("一", "二", "三", "四", "五", "六", "七") + ")项"
	}
	return r
}

var consumerReport = kind{
	columns: []string{
		"举报编号", "关联编号", "线索", "处理结果", "是否实名", "举报人姓名", "举报人电话", "举报人证件类型", "举报人证件号码", "举报人地址", "渠道", "登记时间", "更新时间",
		"处理单位", "发生地", "被举报人", "统一社会信用代码", "被举报人地址", "电商平台", "客体类别", "商品或服务", "问题性质", "状态",
		"核查完成时间", "是否延长", "决定时间", "告知时间", "办结时间", "移送单位",
	},
	rows: func(w *world) func(int) row { return w.report },
	faults: []fault{
		{problem.IdentifierInvalid, func(c row) { c["统一社会信用代码"] = "91500112MAT00000XX" }},
		{problem.CodeUnknown, func(c row) { c["状态"] = "处理中" }},
		{problem.DatesOutOfOrder, func(c row) { c["更新时间"] = "2000-01-01 00:00:00" }},
		{problem.RequiredMissing, func(c row) { c["线索"] = "" }},
		{problem.DateUnreadable, func(c row) { c["登记时间"] = "春节前" }},
		{problem.IdentifierInvalid, func(c row) { c["发生地"] = "990101" }},
	},
}

var (
	reportStates = weighted{[]string{"已登记", "核查中", "立案", "不予立案", "移送", "办结"}, []int{10, 22, 18, 26, 4, 20}}
	clues        = []string{"经营场所未公示营业执照。", "销售的预包装食品超过保质期。", "广告使用绝对化用语。", "商品标价与结算价格不一致。"}
	reportNature = weighted{[]string{"虚假宣传", "质量", "价格", "假冒", "安全", "计量", "其他"}, []int{30, 22, 14, 12, 12, 4, 6}}
)

func (w *world) report(i int) row {
	who := w.respondent()
	class, object := w.object()
	registered := w.working(w.day(complaintSeason))
	state := reportStates.pick(w.Rand)
	if registered.After(lastDay.AddDate(0, 0, -60)) {
		registered = registered.AddDate(-1, 0, 0) // there must be time to handle it
	}
	r := row{
		"举报编号": fmt.Sprintf("JB%s%07d", w.region[:2], i), "线索": "测试：" + w.oneOf(clues...), "是否实名": "否", "渠道": channels.pick(w.Rand),
		"登记时间": stamp(registered), "更新时间": stamp(registered), "处理单位": "测试区市场监督管理局", "发生地": who.county, "被举报人": who.name,
		"统一社会信用代码": who.uscc, "被举报人地址": who.address, "客体类别": class, "商品或服务": object, "问题性质": reportNature.pick(w.Rand), "状态": state, "是否延长": "否",
	}
	named := w.share(35)
	if named {
		by := w.person()
		r["是否实名"], r["举报人姓名"], r["举报人电话"], r["举报人证件类型"], r["举报人证件号码"], r["举报人地址"] = "是", by.name, by.phone, "居民身份证", by.id, address(w.IntN(999))
	}
	at := registered
	later := func(column string, days int) {
		at = at.Add(time.Duration(days)*24*time.Hour + time.Minute)
		r[column], r["更新时间"] = stamp(at), stamp(at)
	}
	if state == "立案" || state == "不予立案" || state == "办结" {
		later("核查完成时间", 1+w.IntN(12))
		later("决定时间", 1)
		if named {
			later("告知时间", 1+w.IntN(4))
		}
	}
	switch state {
	case "办结":
		later("办结时间", 10+w.IntN(20))
		r["处理结果"] = "测试：已责令改正。"
	case "移送":
		r["移送单位"] = "测试区公安分局"
	case "核查中":
		if w.share(20) {
			r["是否延长"] = "是"
		}
	}
	return r
}
