package sample

import (
	"fmt"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/ident"
)

// Columns of the trading platforms are those of the national data
// specification (公共资源交易平台系统数据规范 V2.0), and so are their codes and
// times.
var (
	noticeColumns = []string{
		"NOTICE_BID_NUM", "BULLETIN_TYPE", "NOTICE_NATURE", "NOTICE_NAME", "NOTICE_CONTENT", "PLATFORM_CODE", "PUB_SERVICE_PLAT_CODE", "DATA_TIMESTAMP",
		"NOTICE_SEND_TIME", "VERSION", "STATUS", "ORIGINAL_NOTICE_NUM", "TRADE_CLASS", "TENDER_PROJECT_CODE", "BID_SECTION_CODES", "UNIFIED_DEAL_CODES", "REGION_CODE", "TRA_PLACE_CODE",
		"NOTICE_MEDIA", "URL", "DOC_GET_START_TIME", "DOC_GET_END_TIME", "TENDER_DOC_GET_METHOD", "BID_DOC_REFER_END_TIME", "BID_OPEN_TIME", "IS_POSTPONE", "QUAL_TYPE", "DOC_PRICE",
		"SYNDICATED_FLAG", "CONTRACT_RECKON_PRICE", "CURRENCY_CODE", "PROJECT_CODE", "PROJECT_NAME", "RELATE_CODE", "ADDRESS", "LEGAL_PERSON", "INDUSTRIES_TYPE", "FUND_SOURCE",
		"TENDER_PROJECT_TYPE", "TENDER_MODE", "TENDERER_NAME", "TENDERER_CODE_TYPE", "TENDERER_CODE", "TENDERER_ADDRESS", "TENDER_AGENCY_NAME", "TENDER_AGENCY_CODE_TYPE", "TENDER_AGENCY_CODE", "TENDER_AGENCY_ADDRESS",
		"TENDERER_CONTACTOR", "TENDERER_PHONE", "AGENCY_CONTACTOR", "AGENCY_PHONE", "BULLETIN_DUTY", "EXAMINER_NAME", "TENDER_CONTENT", "BID_QUALIFICATION", "MAJOR_PROJECT",
	}
	resultColumns = []string{
		"NOTICE_NUM", "RESULT_TYPE", "NOTICE_NAME", "NOTICE_CONTENT", "PLATFORM_CODE", "PUB_SERVICE_PLAT_CODE", "DATA_TIMESTAMP", "NOTICE_SEND_TIME", "VERSION", "STATUS", "ORIGINAL_NOTICE_NUM", "TRADE_CLASS",
		"TENDER_PROJECT_CODE", "BID_SECTION_CODE", "UNIFIED_DEAL_CODE", "REGION_CODE", "TRA_PLACE_CODE", "NOTICE_MEDIA", "URL", "RANK", "SCORE", "PUBLICITY_START_TIME", "PUBLICITY_END_TIME", "OBJECTION_CHANNEL",
		"WIN_BIDDER_NAME", "BIDDER_CODE_TYPE", "WIN_BIDDER_CODE", "BIDDER_ROLE", "PRICE_FORM_CODE", "BID_AMOUNT", "BID_CURRENCY", "AGENCY_NAME", "AGENCY_CODE", "BULLETIN_DUTY", "EXAMINER_NAME", "EXCEPTION", "MAJOR_PROJECT",
	}
	entityColumns = []string{
		"PLATFORM_CODE", "PUB_SERVICE_PLAT_CODE", "DATA_TIMESTAMP", "LEGAL_NAME", "BIDDER_CODE_TYPE", "LEGAL_CODE", "LEGAL_ROLE", "LICENSE_NO", "LICENSE_END_DATE", "ORGAN_NO", "LEGAL_TYPE", "LEGAL_INDUSTRY",
		"CREDIT_RATE", "COUNTRY_REGION", "REGION_CODE", "ADDRESS", "REG_CAPITAL", "REG_CAPITAL_CURRENCY", "LEGAL_STATUS", "BASIC_BANK", "BASIC_BANK_NO", "BASIC_ACCOUNT_NO", "BASIC_ACCOUNT_NAME",
		"LEGAL_REPRESENT", "REPRESENT_PHONE", "CONTACTOR", "CONTACT_PHONE", "CONTACT_ADDRESS", "EMAIL",
	}
)

var bidNotice = kind{columns: noticeColumns, rows: func(w *world) func(int) row { return w.notice }, faults: []fault{
	{problem.IdentifierInvalid, func(c row) { c["UNIFIED_DEAL_CODES"] = "D01-12350100MB02709752-20260401-000123-J" }},
	{problem.RequiredMissing, func(c row) { c["BID_OPEN_TIME"] = "" }},
	{problem.DateUnreadable, func(c row) { c["BID_DOC_REFER_END_TIME"] = "20261301000000" }},
	{problem.CodeUnknown, func(c row) { c["BULLETIN_TYPE"] = "7" }},
	{problem.NumberUnreadable, func(c row) { c["CONTRACT_RECKON_PRICE"] = "待定" }},
	{problem.IdentifierInvalid, func(c row) { c["TENDER_PROJECT_CODE"] = "A0350010000000001" }},
}}

var bidResult = kind{columns: resultColumns, rows: func(w *world) func(int) row { return w.result }, faults: []fault{
	{problem.IdentifierInvalid, func(c row) { c["UNIFIED_DEAL_CODE"] = "D01-12350100MB02709752-20260401-000123-J" }},
	{problem.RequiredMissing, func(c row) { c["NOTICE_NAME"] = "" }},
	{problem.CodeUnknown, func(c row) { c["RESULT_TYPE"] = "8" }},
	{problem.NumberUnreadable, func(c row) { c["VERSION"] = "v1" }},
	{problem.DateUnreadable, func(c row) { c["NOTICE_SEND_TIME"] = "昨天" }},
}}

var bidMarketEntity = kind{columns: entityColumns, rows: func(w *world) func(int) row { return w.entity }, faults: []fault{
	{problem.IdentifierInvalid, func(c row) { c["ORGAN_NO"] = "202863209" }},
	{problem.RequiredMissing, func(c row) { c["LEGAL_REPRESENT"] = "" }},
	{problem.CodeUnknown, func(c row) { c["LEGAL_STATUS"] = "未知" }},
	{problem.NumberUnreadable, func(c row) { c["REG_CAPITAL"] = "壹佰万" }},
	{problem.DateInFuture, func(c row) { c["DATA_TIMESTAMP"] = "21260101000000" }},
}}

// What is traded, by the first letter of a deal code; procurement and
// construction are most of it.
var (
	classShares = weighted{[]string{"D", "A", "C", "B"}, []int{52, 36, 7, 5}}
	classes     = map[string][]string{"A": {"A01", "A02", "A03", "A07", "A99"}, "B": {"B01", "B02"}, "C": {"C01"}, "D": {"D01", "D02", "D03"}}
	bidSeason   = season{70, 50, 105, 105, 105, 110, 100, 105, 110, 105, 115, 120}
)

// tender is what notice and result of one section agree on.
type tender struct {
	class, project, tenderProject, section, deal, county, platform string
	published                                                      time.Time
	tenderer                                                       company
	estimate                                                       int // yuan
}

// tender is the n-th section that is traded, published on a day of its season.
func (w *world) tender(n int) tender {
	letter := classShares.pick(w.Rand)
	t := tender{class: w.oneOf(classes[letter]...), county: w.county(), platform: unit(w.region, 3), tenderer: w.company(w.IntN(marketEntities))}
	t.published = w.working(w.day(bidSeason))
	if t.published.After(lastDay.AddDate(0, 0, -45)) {
		t.published = t.published.AddDate(-1, 0, 0) // bids of a notice must have been opened
	}
	t.project = fmt.Sprintf("%s%s%08d", t.class, t.county, n)
	t.tenderProject, t.section = t.project+"001", t.project+"001001"
	t.deal = dealCode(t.class, t.platform, t.published, n)
	t.estimate = 100_000 << w.IntN(11) // to about a hundred million
	return t
}

// major says whether both sides post it: the thresholds of the two provinces'
// agreement on major projects, in yuan.
func (t *tender) major() string {
	if t.estimate >= map[byte]int{'A': 100_000_000, 'B': 300_000_000, 'C': 10_000_000, 'D': 10_000_000}[t.class[0]] {
		return "1"
	}
	return "0"
}

func dealCode(class, platform string, day time.Time, n int) string {
	s := fmt.Sprintf("%s-%s-%s-%06d", class, platform, day.Format("20060102"), n%1_000_000)
	check, err := ident.DealCheck(s)
	if err != nil {
		panic("sample: " + err.Error()) // the alphabet is right by construction
	}
	return s + "-" + string(check)
}

func (w *world) notice(i int) row {
	t := w.tender(i)
	agency := w.company(w.IntN(marketEntities))
	open := t.published.AddDate(0, 0, 20+w.IntN(10))
	r := row{
		"NOTICE_BID_NUM": fmt.Sprintf("ZB%s%08d", w.region[:2], i), "BULLETIN_TYPE": noticeKinds.pick(w.Rand), "NOTICE_NATURE": noticeNatures.pick(w.Rand),
		"NOTICE_NAME": fmt.Sprintf("川渝测试项目%d招标公告", i), "NOTICE_CONTENT": "测试公告正文。", "PLATFORM_CODE": t.platform, "PUB_SERVICE_PLAT_CODE": unit(w.region, 4),
		"DATA_TIMESTAMP": compact(t.published), "NOTICE_SEND_TIME": compact(t.published), "VERSION": "1", "STATUS": "1", "TRADE_CLASS": t.class[:1],
		"TENDER_PROJECT_CODE": t.tenderProject, "BID_SECTION_CODES": t.section, "UNIFIED_DEAL_CODES": t.deal, "REGION_CODE": t.county, "TRA_PLACE_CODE": t.county,
		"NOTICE_MEDIA": "川渝测试公共资源交易网", "URL": fmt.Sprintf("https://trading.example/%s/%d", w.region, i),
		"DOC_GET_START_TIME": compact(t.published), "DOC_GET_END_TIME": compact(t.published.AddDate(0, 0, 5)), "TENDER_DOC_GET_METHOD": "网上下载",
		"BID_DOC_REFER_END_TIME": compact(open), "BID_OPEN_TIME": compact(open), "IS_POSTPONE": "0", "QUAL_TYPE": "2", "DOC_PRICE": "0", "SYNDICATED_FLAG": w.oneOf("0", "0", "1"),
		"CONTRACT_RECKON_PRICE": cents(t.estimate / 100), "CURRENCY_CODE": "CNY", "MAJOR_PROJECT": t.major(), // 万元
		"PROJECT_CODE": t.project, "PROJECT_NAME": fmt.Sprintf("川渝测试项目%d", i), "RELATE_CODE": w.oneOf("0", "1"), "ADDRESS": address(i), "LEGAL_PERSON": t.tenderer.name,
		"INDUSTRIES_TYPE": w.oneOf("E47", "E48", "I65", "F51"), "FUND_SOURCE": "财政资金", "TENDER_PROJECT_TYPE": t.class, "TENDER_MODE": tenderModes.pick(w.Rand),
		"TENDERER_NAME": t.tenderer.name, "TENDERER_CODE_TYPE": "1", "TENDERER_CODE": t.tenderer.uscc, "TENDERER_ADDRESS": t.tenderer.address,
		"TENDER_AGENCY_NAME": agency.name, "TENDER_AGENCY_CODE_TYPE": "1", "TENDER_AGENCY_CODE": agency.uscc, "TENDER_AGENCY_ADDRESS": agency.address,
		"BULLETIN_DUTY": "测试甲", "EXAMINER_NAME": "测试乙", "TENDER_CONTENT": "测试招标内容与范围。", "BID_QUALIFICATION": "测试资格条件。",
		"TENDERER_CONTACTOR": "测试丙", "TENDERER_PHONE": fmt.Sprintf("100%08d", w.IntN(1e8)), "AGENCY_CONTACTOR": "测试丁", "AGENCY_PHONE": fmt.Sprintf("100%08d", w.IntN(1e8)),
	}
	if r["NOTICE_NATURE"] != "1" && i > 0 {
		r["ORIGINAL_NOTICE_NUM"] = fmt.Sprintf("ZB%s%08d", w.region[:2], w.IntN(i))
	}
	if r["NOTICE_NATURE"] != "1" && i == 0 {
		r["NOTICE_NATURE"] = "1"
	}
	return r
}

var (
	noticeKinds   = weighted{[]string{"1", "2"}, []int{93, 7}}
	noticeNatures = weighted{[]string{"1", "2", "3"}, []int{82, 14, 4}}
	tenderModes   = weighted{[]string{"1", "2"}, []int{96, 4}}
	resultKinds   = weighted{[]string{"2", "1", "3", "4"}, []int{56, 36, 6, 2}}
)

func (w *world) result(i int) row {
	t := w.tender(i)
	winner := w.company(w.IntN(marketEntities)) // a market entity of this province
	agency := w.company(w.IntN(marketEntities))
	published := t.published.AddDate(0, 0, 35)
	kind := resultKinds.pick(w.Rand)
	r := row{
		"NOTICE_NUM": fmt.Sprintf("JG%s%08d", w.region[:2], i), "RESULT_TYPE": kind, "NOTICE_NAME": fmt.Sprintf("川渝测试项目%d结果公告", i), "NOTICE_CONTENT": "测试公告正文。",
		"PLATFORM_CODE": t.platform, "PUB_SERVICE_PLAT_CODE": unit(w.region, 4), "DATA_TIMESTAMP": compact(published), "NOTICE_SEND_TIME": compact(published), "VERSION": "1", "STATUS": "1",
		"TRADE_CLASS": t.class[:1], "TENDER_PROJECT_CODE": t.tenderProject, "BID_SECTION_CODE": t.section, "UNIFIED_DEAL_CODE": t.deal, "REGION_CODE": t.county, "TRA_PLACE_CODE": t.county,
		"NOTICE_MEDIA": "川渝测试公共资源交易网", "URL": fmt.Sprintf("https://trading.example/%s/r/%d", w.region, i), "AGENCY_NAME": agency.name, "AGENCY_CODE": agency.uscc,
		"BULLETIN_DUTY": "测试甲", "EXAMINER_NAME": "测试乙", "MAJOR_PROJECT": t.major(),
	}
	if kind == "3" || kind == "4" {
		r["EXCEPTION"] = "测试：有效投标人不足三家。"
		return r
	}
	r["WIN_BIDDER_NAME"], r["BIDDER_CODE_TYPE"], r["WIN_BIDDER_CODE"], r["BIDDER_ROLE"] = winner.name, "1", winner.uscc, "1"
	r["PRICE_FORM_CODE"], r["BID_AMOUNT"], r["BID_CURRENCY"] = "1", cents(t.estimate/100*(80+w.IntN(20))/100), "CNY" // 万元
	r["RANK"] = "1"
	if kind == "1" {
		r["RANK"], r["SCORE"] = w.oneOf("1", "2", "3"), cents(8000+w.IntN(1800))
		r["PUBLICITY_START_TIME"], r["PUBLICITY_END_TIME"] = compact(published), compact(published.AddDate(0, 0, 3))
		r["OBJECTION_CHANNEL"] = "川渝测试公共资源交易网在线提出"
	}
	return r
}

var (
	entityRoles = weighted{[]string{"投标人;供应商", "投标人", "供应商", "招标人;采购人", "招标代理机构"}, []int{46, 24, 14, 10, 6}}
	entityState = weighted{[]string{"有效", "暂停", "注销", "吊销"}, []int{93, 3, 3, 1}}
)

func (w *world) entity(i int) row {
	c, p := w.company(i), w.person()
	registered := w.working(w.day(bidSeason))
	return row{
		"PLATFORM_CODE": unit(w.region, 3), "PUB_SERVICE_PLAT_CODE": unit(w.region, 4), "DATA_TIMESTAMP": compact(registered), "LEGAL_NAME": c.name, "BIDDER_CODE_TYPE": "1", "LEGAL_CODE": c.uscc,
		"LEGAL_ROLE": entityRoles.pick(w.Rand), "LICENSE_NO": c.uscc, "LICENSE_END_DATE": lastDay.AddDate(1+w.IntN(20), 0, 0).Format("20060102"), "ORGAN_NO": c.uscc[8:17],
		"LEGAL_TYPE": "企业", "LEGAL_INDUSTRY": w.oneOf("E47", "E48", "I65", "F51", "C35"), "CREDIT_RATE": w.oneOf("AAA", "AA", "A"), "COUNTRY_REGION": "156", "REGION_CODE": c.county, "ADDRESS": c.address,
		"REG_CAPITAL": cents(1_000_0 + w.IntN(50_000_000)), "REG_CAPITAL_CURRENCY": "CNY", "LEGAL_STATUS": entityState.pick(w.Rand), // 万元
		"BASIC_BANK": "川渝测试银行", "BASIC_BANK_NO": "100653000000", "BASIC_ACCOUNT_NO": fmt.Sprintf("1000%012d", w.Int64N(1e12)), "BASIC_ACCOUNT_NAME": c.name,
		"LEGAL_REPRESENT": p.name, "REPRESENT_PHONE": p.phone, "CONTACTOR": "测试" + w.oneOf("甲", "乙", "丙"), "CONTACT_PHONE": fmt.Sprintf("100%08d", w.IntN(1e8)), "CONTACT_ADDRESS": c.address,
		"EMAIL": fmt.Sprintf("entity%d@example.com", i),
	}
}
