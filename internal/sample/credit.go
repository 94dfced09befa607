package sample

import (
	"fmt"
	"strconv"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// list is a kind of credit list: its term and what its rows hold beyond what
// every list's do.
type list struct {
	prefix    string // of its numbers
	authority string // who decides
	persons   bool   // its rows are about natural persons
	months    int    // how long an entry is published; 0: until it is removed
	early     int    // months after which it may be removed early
	severity  string
	basis     string
	columns   []string
	fill      func(w *world, r row, e *entry)
}

// entry is one entry of a list: what its later events refer to.
type entry struct {
	n       int
	company company
	person  person
	listed  time.Time
	end     time.Time // zero: no term
	number  string    // of the decision
	version int
	row     row // as it was listed
}

// lists are the products of credit_listing.v1.
func lists() map[string]kind {
	serious := list{
		prefix: "YZ", authority: "市场监督管理部门", months: 36, early: 12, severity: "严重", basis: "《市场监督管理严重违法失信名单管理办法》第五条",
		columns: []string{"严重违法领域", "列入事由", "惩戒措施提示", "移出条件和程序", "救济措施"}, fill: fillSerious,
	}
	abnormal := list{
		prefix: "YC", authority: "市场监督管理部门", severity: "轻微", basis: "《企业经营异常名录管理办法》第四条",
		columns: []string{"异常情形"}, fill: func(w *world, r row, _ *entry) { r["异常情形"] = abnormals.pick(w.Rand) },
	}
	penalty := list{
		prefix: "CF", authority: "市场监督管理部门", months: 36, early: 6, severity: "一般", basis: "《中华人民共和国行政处罚法》",
		columns: []string{"案件名称", "违法行为类型", "处罚类别", "罚款金额", "没收违法所得", "处罚内容", "违法事实"}, fill: fillPenalty,
	}
	tax := list{
		prefix: "SS", authority: "税务稽查局", months: 36, early: 6, severity: "严重", basis: "《重大税收违法失信主体信息公布管理办法》第六条",
		columns: []string{"纳税人识别号", "案件性质", "涉案税款", "违法事实", "处理处罚情况"}, fill: fillTax,
	}
	generalTax := list{
		prefix: "SY", authority: "税务局", months: 12, early: 3, severity: "一般", basis: "《成渝地区双城经济圈市场一体化建设行动方案》第二十二条",
		columns: []string{"纳税人识别号", "涉案税款", "违法事实"}, fill: func(w *world, r row, e *entry) {
			r["纳税人识别号"], r["涉案税款"], r["违法事实"] = e.company.uscc, cents(w.IntN(10_000_000)), "测试：逾期未申报。"
		},
	}
	judgment := list{
		prefix: "SX", authority: "人民法院", months: 24, early: 1, severity: "严重", basis: "《最高人民法院关于公布失信被执行人名单信息的若干规定》第一条",
		columns: []string{"案号", "立案时间", "执行法院", "法院代码", "执行依据文号", "作出依据单位", "义务", "履行情况", "已履行部分", "未履行部分", "行为情形"}, fill: fillJudgment,
	}
	incentive := list{
		prefix: "JL", authority: "税务局", months: 12, early: 1, basis: "《纳税信用管理办法》",
		columns: []string{"纳税人识别号", "信用等级", "评定年度", "评定日期", "有效期始", "有效期止"}, fill: fillIncentive,
	}
	of := func(l list, prefix string) list {
		l.prefix, l.persons = prefix, true
		return l
	}
	return map[string]kind{
		"serious_violation_list": serious.kind(), "serious_violation_person_list": of(serious, "YZR").kind(), "abnormal_operation_list": abnormal.kind(),
		"administrative_penalty": penalty.kind(), "administrative_penalty_person": of(penalty, "CFR").kind(),
		"major_tax_violation_list": tax.kind(), "major_tax_violation_person_list": of(tax, "SSR").kind(), "general_tax_violation_list": generalTax.kind(),
		"judgment_defaulter_list": judgment.kind(), "judgment_defaulter_person_list": of(judgment, "SXR").kind(), "incentive_list": incentive.kind(),
	}
}

var (
	eventColumns = []string{
		"名单编号", "生命周期", "版本号", "决定文书号", "决定机关", "决定机关代码", "决定日期", "生效日期", "原决定文书号", "原决定日期", "原版本号",
		"列入日期", "公示截止期", "移出日期", "移出事由", "恢复事由", "异议日期", "屏蔽截止日期", "列入依据", "失信程度", "主体类别", "登记地区划",
	}
	companyColumns = []string{"企业名称", "统一社会信用代码", "注册地址", "法定代表人", "法定代表人性别", "法定代表人证件类型", "法定代表人证件号码"}
	personColumns  = []string{"姓名", "性别", "年龄", "证件类型", "证件号码"}
	sourceColumns  = []string{"数据来源单位", "数据来源单位代码"}
)

// events are what happens to entries: most rows of an increment are new ones.
var events = weighted{
	[]string{"列入生效", "异议标注", "临时屏蔽", "提前移出或修复", "到期移出", "撤销列入", "恢复列入"},
	[]int{7800, 300, 200, 1000, 300, 250, 150},
}

var (
	subjects  = weighted{[]string{"法人", "个体工商户", "非法人组织"}, []int{70, 27, 3}}
	domains   = weighted{[]string{"食品安全", "药品医疗器械化妆品", "质量安全", "侵害消费者权益", "破坏公平竞争秩序", "许可", "拒不履行"}, []int{34, 12, 14, 16, 10, 8, 6}}
	abnormals = weighted{[]string{"未按期公示年度报告", "通过登记住所无法联系", "公示信息隐瞒真实情况弄虚作假", "未按责令期限公示信息"}, []int{62, 30, 5, 3}}
	penalties = weighted{[]string{"罚款", "警告", "没收;罚款", "责令停产停业", "吊销许可证件"}, []int{58, 18, 20, 2, 2}}
)

func (l list) kind() kind {
	columns := append([]string(nil), eventColumns...)
	if l.persons {
		columns = append(columns, personColumns...)
	} else {
		columns = append(columns, companyColumns...)
	}
	columns = append(append(columns, l.columns...), sourceColumns...)
	faults := []fault{
		{problem.CodeUnknown, func(c row) { c["生命周期"] = "作废" }},
		{problem.RequiredMissing, func(c row) { c["决定文书号"] = "" }},
		{problem.DateUnreadable, func(c row) { c["列入日期"] = "去年" }},
		{problem.DateInFuture, func(c row) { c["决定日期"] = "2126-01-01" }},
		{problem.NumberUnreadable, func(c row) { c["版本号"] = "一" }},
		{problem.IdentifierInvalid, func(c row) { c["登记地区划"] = "990101" }},
	}
	if !l.persons {
		faults = append(faults, fault{problem.IdentifierInvalid, func(c row) { c["统一社会信用代码"] = "91359128593462349A" }})
	}
	return kind{columns: columns, faults: faults, rows: func(w *world) func(int) row {
		s := &listing{world: w, list: l}
		return s.row
	}}
}

// listing generates the rows of one list: new entries, and events of those
// that were listed a little before.
type listing struct {
	*world
	list
	live    []*entry // may be removed
	removed []*entry // may be restored
	entries int
}

// reach is how many entries an event may go back.
const reach = 256

func (s *listing) row(i int) row {
	switch event := events.pick(s.Rand); event {
	case "列入生效":
	case "恢复列入":
		if e := take(&s.removed, 1); e != nil {
			return s.restored(e)
		}
	case "异议标注", "临时屏蔽":
		if e := take(&s.live, 2); e != nil {
			s.live = append(s.live, e)
			return s.marked(e, event)
		}
	default:
		if e := take(&s.live, 2); e != nil {
			return s.taken(e, event)
		}
	}
	return s.fresh(i)
}

// take takes the oldest entry, once there are enough that none is touched in
// the next row again.
func take(from *[]*entry, least int) *entry {
	if len(*from) < least {
		return nil
	}
	e := (*from)[0]
	*from = (*from)[1:]
	return e
}

// fresh is a new entry.
func (s *listing) fresh(int) row {
	n := s.first + s.entries
	s.entries++
	first, last := lastDay.AddDate(-3, -6, 0), lastDay.AddDate(-1, -2, 0)
	e := &entry{
		n: n, company: s.company(firstListed + n%(mostListed-firstListed)), listed: s.between(first, last), version: 1,
		number: fmt.Sprintf("川渝测%s〔%d〕%07d号", s.prefix, 2023, n),
	}
	if s.months > 0 {
		e.end = e.listed.AddDate(0, s.months, 0)
	}
	r := s.event(e, "列入生效", e.listed)
	r["列入依据"], r["失信程度"], r["登记地区划"] = s.basis, s.severity, e.company.county
	if s.persons {
		e.person = s.person()
		p := &e.person
		r["主体类别"], r["姓名"], r["性别"], r["年龄"], r["证件类型"], r["证件号码"] = "自然人", p.name, p.sex, strconv.Itoa(p.age), "居民身份证", p.id
	} else {
		p := s.person()
		r["主体类别"], r["企业名称"], r["统一社会信用代码"], r["注册地址"] = subjects.pick(s.Rand), e.company.name, e.company.uscc, e.company.address
		r["法定代表人"], r["法定代表人性别"], r["法定代表人证件类型"], r["法定代表人证件号码"] = p.name, p.sex, "居民身份证", p.id
	}
	s.fill(s.world, r, e)
	e.row = r
	if s.live = append(s.live, e); len(s.live) > reach {
		s.live = s.live[1:]
	}
	return r.clone()
}

// event is what every event of an entry says.
func (s *listing) event(e *entry, event string, decided time.Time) row {
	r := e.row.clone()
	authority := provinces[s.region] + "测试区" + s.authority
	r["名单编号"], r["生命周期"], r["版本号"] = fmt.Sprintf("%s%s%08d", s.prefix, s.region[:2], e.n), event, strconv.Itoa(e.version)
	r["决定文书号"], r["决定机关"], r["决定机关代码"] = e.number, authority, unit(s.region, 2)
	r["决定日期"], r["生效日期"], r["列入日期"] = date(decided), date(decided), date(e.listed)
	r["数据来源单位"], r["数据来源单位代码"] = authority, unit(s.region, 2)
	if !e.end.IsZero() {
		r["公示截止期"] = date(e.end)
	}
	if e.version > 1 { // a later event names what it is about
		r["决定文书号"] = fmt.Sprintf("%s-%d", e.number, e.version)
		r["原决定文书号"], r["原决定日期"], r["原版本号"] = e.number, date(e.listed), strconv.Itoa(e.version-1)
	}
	return r
}

// marked is an objection or a shielding: the entry stays.
func (s *listing) marked(e *entry, event string) row {
	e.version++
	at := e.listed.AddDate(0, 0, 30*e.version)
	r := s.event(e, event, at)
	if event == "异议标注" {
		r["异议日期"] = date(at)
	} else {
		r["屏蔽截止日期"] = date(at.AddDate(0, 6, 0))
	}
	return r
}

// taken is a removal.
func (s *listing) taken(e *entry, event string) row {
	e.version++
	at := s.between(later(e.listed.AddDate(0, s.early, 0), e.listed.AddDate(0, 0, 30*e.version)), lastDay)
	reason := "信用修复"
	switch {
	case event == "到期移出" && !e.end.IsZero() && !e.end.After(lastDay):
		at, reason = e.end, "期限届满"
	case event == "到期移出": // its term still runs
		event, reason = "提前移出或修复", "已履行义务"
	case event == "撤销列入":
		reason = s.oneOf("列入依据被撤销", "列入有误")
	}
	r := s.event(e, event, at)
	r["移出日期"], r["移出事由"] = date(at), reason
	if event == "提前移出或修复" {
		s.removed = append(s.removed, &entry{n: e.n, company: e.company, person: e.person, listed: e.listed, end: e.end, number: e.number, version: e.version, row: e.row})
		s.removed = s.removed[max(len(s.removed)-reach, 0):]
		e = s.removed[len(s.removed)-1]
		e.listed = at // what a restoration comes after
	}
	return r
}

// restored returns an entry: its term begins anew.
func (s *listing) restored(e *entry) row {
	at := s.between(e.listed, lastDay)
	e.version++
	e.listed = at
	if s.months > 0 {
		e.end = at.AddDate(0, s.months, 0)
	}
	r := s.event(e, "恢复列入", at)
	r["恢复事由"] = s.oneOf("修复中弄虚作假", "其他")
	return r
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func fillSerious(w *world, r row, _ *entry) {
	r["严重违法领域"] = domains.pick(w.Rand)
	r["列入事由"], r["惩戒措施提示"] = "测试：实施"+r["严重违法领域"]+"领域严重违法行为。", "测试：依法实施重点监管。"
	r["移出条件和程序"], r["救济措施"] = "测试：列入满一年并履行义务的可以申请提前移出。", "测试：六十日内可以申请行政复议。"
}

func fillPenalty(w *world, r row, e *entry) {
	r["案件名称"], r["违法行为类型"] = fmt.Sprintf("测试案件第%d号", e.n), w.oneOf("食品安全", "广告违法", "价格违法", "商标侵权", "无照经营")
	r["处罚类别"] = penalties.pick(w.Rand)
	switch r["处罚类别"] {
	case "罚款":
		r["罚款金额"] = fmt.Sprintf("%d.%04d", w.IntN(20), 1000+w.IntN(9000)) // 万元
	case "没收;罚款":
		r["罚款金额"], r["没收违法所得"] = fmt.Sprintf("%d.%04d", w.IntN(50), 1000+w.IntN(9000)), fmt.Sprintf("0.%04d", 1+w.IntN(9999))
	}
	r["处罚内容"], r["违法事实"] = "测试："+r["处罚类别"]+"。", "测试：经查，当事人实施了"+r["违法行为类型"]+"行为。"
}

func fillTax(w *world, r row, e *entry) {
	r["纳税人识别号"] = e.company.uscc
	if r["主体类别"] == "自然人" {
		r["纳税人识别号"] = ""
	}
	r["案件性质"] = "第六条第(" + w.oneOf("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一") + ")项"
	r["涉案税款"], r["违法事实"], r["处理处罚情况"] = cents(100_000_000+w.IntN(900_000_000)), "测试：虚开发票。", "测试：追缴税款并处罚款。"
}

func fillJudgment(w *world, r row, e *entry) {
	year := e.listed.Year() - 1
	r["案号"], r["立案时间"] = fmt.Sprintf("(%d)川渝测执%d号", year, e.n), date(e.listed.AddDate(0, -3, 0))
	r["执行法院"], r["法院代码"] = provinces[w.region]+"测试区人民法院", fmt.Sprintf("%s%02d", w.region[:2], w.IntN(40))
	r["执行依据文号"], r["作出依据单位"] = fmt.Sprintf("(%d)川渝测民初%d号", year, e.n), r["执行法院"]
	owed := 1_000_000 + w.IntN(500_000_000)
	r["义务"], r["履行情况"] = "测试：支付货款。", w.oneOf("全部未履行", "部分未履行")
	paid := 0
	if r["履行情况"] == "部分未履行" {
		paid = owed / (2 + w.IntN(8))
	}
	r["已履行部分"], r["未履行部分"] = cents(paid), cents(owed-paid)
	r["行为情形"] = w.oneOf("有履行能力而拒不履行", "违反财产报告制度", "违反限制消费令")
}

func fillIncentive(_ *world, r row, e *entry) {
	r["纳税人识别号"], r["信用等级"], r["评定年度"] = e.company.uscc, "A", strconv.Itoa(e.listed.Year()-1)
	r["评定日期"], r["有效期始"], r["有效期止"] = date(e.listed), date(e.listed), date(e.end)
}
