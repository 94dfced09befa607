package connectors

import (
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
)

// creditRules are what the rule of each list makes mandatory, and what the
// life-cycle of an entry asks: a removal names what it removes.
func creditRules(b *ruleBuilder) {
	lifeCycleRules(b)
	subjectRules(b)
	listRules(b)
	b.inOrder("listed_date", "decision_date")
	b.inOrder("listed_date", "removed_date")
	b.inOrder("listed_date", "term_end")
	b.inOrder("original_decision_date", "decision_date")
	b.inOrder("incentive.valid_from", "incentive.valid_to")
	b.residentID("person.id_type", "person.id_no")
	b.residentID("responsible.representative_id_type", "responsible.representative_id_no")
	b.residentID("responsible.actual_id_type", "responsible.actual_id_no")
}

func lifeCycleRules(b *ruleBuilder) {
	removed := b.is("life_cycle", "removed_early", "removed_expired", "revoked")
	later := not(b.is("life_cycle", "listed"))
	for _, path := range []string{"original_decision_no", "original_version"} {
		b.forbid(both(later, not(b.has(path))), path, problem.RemovalUnnamed, "say which decision and version it is about")
	}
	version, original := b.at("version"), b.at("original_version")
	b.add(func(v []schemas.Value, _ time.Time) *Fault {
		if v[original].Set && v[original].Int >= v[version].Int {
			return &Fault{Field: "original_version", Code: problem.RemovalUnnamed, Detail: "it is not older than this version"}
		}
		return nil
	})
	b.require(removed, "a removal carries the day and the reason of its decision", "removed_date", "removal_reason")
	b.require(b.is("life_cycle", "objection_noted"), "an objection carries the day of its acceptance", "objection_date")
	b.require(b.is("life_cycle", "shielded"), "a shielding carries its end (Order 36, article 20)", "shield_until")
	b.require(b.is("life_cycle", "restored"), "a return carries its reason", "restore_reason")
}

// subjectRules keep natural persons out of the fields that lie in the clear.
func subjectRules(b *ruleBuilder) {
	natural := b.is("subject_kind", "natural_person")
	b.require(natural, "a natural person is named in the sealed block", "person.name", "person.id_no", "person.id_type")
	for _, path := range []string{"subject.name", "subject.uscc", "subject.address", "subject.taxpayer_no"} {
		b.forbid(both(natural, b.has(path)), path, problem.PersonInClear, "a natural person stands in person")
	}
	b.require(not(natural), "an organisation is named", "subject.name")
	b.requireOne(not(natural), "an organisation has a code", "subject.uscc", "subject.org_code", "subject.reg_no",
		"subject.taxpayer_no", "subject.institution_no", "subject.society_no")
	age := b.at("person.age")
	b.add(func(v []schemas.Value, _ time.Time) *Fault {
		if v[age].Set && v[age].Int < 18 {
			return &Fault{Field: "person.age", Code: problem.MinorListed, Detail: "under 18 years"}
		}
		return nil
	})
}

// listRules are the mandatory contents of each list, where it says that
// somebody is on it. What follows refers to that by its number and version.
func listRules(b *ruleBuilder) {
	listed := b.is("life_cycle", "listed", "restored")
	of := func(kind string) condition { return both(listed, b.is("list_kind", kind)) }
	natural := b.is("subject_kind", "natural_person")

	b.require(of("serious_violation"), "市场监管总局令第44号第十三条: 列入决定书", "serious_domain", "narrative.cause",
		"narrative.measures", "narrative.removal_terms", "narrative.remedy")
	b.require(of("abnormal_operation"), "企业经营异常名录管理办法: 公示内容", "abnormal_reason", "subject.uscc")
	b.require(of("administrative_penalty"), "市场监管总局令第45号: 公示内容", "penalty.violation_type", "penalty.kinds", "narrative.disposition")

	const tax = "税务总局令第54号: 公布内容"
	b.require(of("major_tax_violation"), tax, "tax_case_type", "narrative.facts", "narrative.disposition")
	b.require(both(of("major_tax_violation"), not(natural)), tax, "subject.address", "responsible.representative_name",
		"responsible.representative_sex", "responsible.representative_id_no")
	b.requireOne(both(of("major_tax_violation"), not(natural)), tax, "subject.uscc", "subject.taxpayer_no")
	b.require(both(of("major_tax_violation"), natural), tax, "person.sex")
	b.requireOne(of("general_tax_violation"), "行动方案第二十二条", "subject.uscc", "subject.taxpayer_no")

	const court = "法释〔2017〕7号: 公布内容"
	b.require(of("judgment_defaulter"), court, "judgment.case_no", "judgment.filed_date", "judgment.court_name",
		"judgment.basis_no", "judgment.performance", "judgment.conduct", "narrative.obligation")
	b.requireOne(both(of("judgment_defaulter"), not(natural)), court, "subject.uscc", "subject.org_code")
	b.require(both(of("judgment_defaulter"), not(natural)), court, "responsible.representative_name")
	b.require(both(of("judgment_defaulter"), natural), court, "person.sex", "person.age")

	b.require(of("incentive"), "纳税信用A级纳税人名单", "subject.uscc", "incentive.grade", "incentive.year",
		"incentive.evaluated_date", "incentive.valid_from", "incentive.valid_to")
}
