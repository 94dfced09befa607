package connectors

import (
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/ident"
)

func quoteRules(b *ruleBuilder) {
	low, average, high := b.at("low_price"), b.at("average_price"), b.at("high_price")
	b.add(func(v []schemas.Value, _ time.Time) *Fault { // 0 < low ≤ average ≤ high
		l, a, h := &v[low], &v[average], &v[high]
		switch {
		case !l.Set || !a.Set || !h.Set:
			return nil
		case l.Int <= 0:
			return &Fault{Field: "low_price", Code: problem.NumberOutOfRange, Detail: "a price is greater than zero"}
		case l.Int > a.Int:
			return &Fault{Field: "average_price", Code: problem.PricesOutOfOrder, Detail: "the lowest is above the average"}
		case a.Int > h.Int:
			return &Fault{Field: "average_price", Code: problem.PricesOutOfOrder, Detail: "the average is above the highest"}
		}
		return nil
	})
}

func bulletinRules(b *ruleBuilder) {
	b.inOrder("start_time", "detect_time", "issue_time", "update_time")
	b.inOrder("issue_time", "requires_ack_by")
	b.inOrder("issue_time", "lift_time")
	b.inOrder("base_from", "base_to")
	lifted := b.is("phase", "lifted")
	b.require(lifted, "a lifting carries its time", "lift_time")
	b.forbid(both(not(lifted), b.has("lift_time")), "phase", problem.CodeUnknown, "it has a time of lifting and is not lifted")
	b.require(always, "a bulletin says for what and where", "commodities", "regions")
	b.require(b.is("indicator", "rise", "fall"), "a rise or fall carries its percentage", "change_percent")
	regions, provincial := b.at("regions"), b.is("level", "level_1")
	b.add(func(v []schemas.Value, _ time.Time) *Fault { // 生活必需品市场供应应急管理办法: 一级为跨省
		seen := map[string]bool{}
		for _, code := range v[regions].Texts {
			if ident.Region(string(code)) == nil {
				seen[ident.Province(string(code))] = true
			}
		}
		if len(seen) > 1 && !provincial(v) {
			return &Fault{Field: "level", Code: problem.CodeUnknown, Detail: "what touches two provinces is level 1"}
		}
		return nil
	})
}

// bidRules are those that notices and results share.
func bidRules(b *ruleBuilder) {
	first := b.at("version")
	withdrawn := b.is("status", "withdrawn")
	b.forbid(both(withdrawn, func(v []schemas.Value) bool { return v[first].Int <= 1 }), "version", problem.RemovalUnnamed,
		"a withdrawal follows the version that it withdraws")
	b.inOrder("data_time", "publish_time")
}

func noticeRules(b *ruleBuilder) {
	bidRules(b)
	b.inOrder("publish_time", "bid_deadline", "open_time")
	b.inOrder("doc_get_start", "doc_get_end", "bid_deadline")
	b.require(always, "a notice names its sections and their deal codes", "bid_section_codes", "deal_codes")
	b.chained("project.code", "tender_project_code")
	b.chained("tender_project_code", "bid_section_codes")
	b.code("tenderer.code_type", "tenderer.code")
	b.code("agency.code_type", "agency.code")
	amends := b.has("original_notice_no")
	version := b.at("version")
	b.forbid(both(both(b.is("notice_nature", "correction"), not(amends)), func(v []schemas.Value) bool { return v[version].Int <= 1 }),
		"original_notice_no", problem.RemovalUnnamed, "a correction names the notice that it corrects, or is a later version of it")
}

func resultRules(b *ruleBuilder) {
	bidRules(b)
	b.chained("tender_project_code", "bid_section_code")
	b.code("bidder.code_type", "bidder.code")
	b.inOrder("publicity_start", "publicity_end")
	named := b.is("result_kind", "candidate", "winner")
	b.require(named, "数据规范513: 必填", "bidder.name", "bidder.code", "bidder.code_type", "bidder.role", "price_form")
	b.require(b.is("result_kind", "candidate"), "数据规范510: 必填", "rank")
	b.require(both(named, b.is("price_form", "amount")), "数据规范513: 价格", "amount", "currency")
	b.require(both(named, b.is("price_form", "rate")), "数据规范511: 费率", "rate")
	failed := b.is("result_kind", "failed", "terminated")
	b.require(failed, "数据规范517: 异常情况说明", "narrative.exception")
	b.forbid(both(failed, b.has("bidder.name")), "bidder.name", problem.CodeUnknown, "a section that ended without a winner names none")
}

func entityRules(b *ruleBuilder) {
	b.code("code_type", "code")
	b.require(always, "数据规范100: 必填", "roles")
	code, org, credit := b.at("code"), b.at("org_code"), b.is("code_type", "uscc")
	b.add(func(v []schemas.Value, _ time.Time) *Fault {
		if v[org].Set && credit(v) && len(v[code].Bytes) == 18 && string(v[code].Bytes[8:17]) != string(v[org].Bytes) {
			return &Fault{Field: "org_code", Code: problem.IdentifierInvalid, Detail: "it is not the one in the credit code"}
		}
		return nil
	})
}

func complaintRules(b *ruleBuilder) {
	for _, later := range []string{"update_time", "accept_time", "closed_time"} {
		b.inOrder("register_time", later)
	}
	b.residentID("complainant.id_type", "complainant.id_no")
}

func reportRules(b *ruleBuilder) {
	for _, later := range []string{"update_time", "verify_time", "decide_time", "notify_time", "closed_time"} {
		b.inOrder("register_time", later)
	}
	b.inOrder("decide_time", "notify_time")
	b.residentID("reporter.id_type", "reporter.id_no")
	named := b.at("reporter.real_name")
	b.require(func(v []schemas.Value) bool { return v[named].Int == 1 }, "a real-name report names its reporter", "reporter.name", "reporter.phone")
	b.require(b.is("status", "filed", "not_filed"), "立案或不予立案应有决定时间", "decide_time")
	b.require(b.is("status", "transferred"), "移送应有去向单位", "transfer_to")
}
