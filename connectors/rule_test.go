package connectors_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/schemas"
)

// written is a row as a test writes it: a symbol for a code list, ; between the
// items of a list, a day or a time of +08:00.
type written map[string]string

func (w written) with(changes written) written {
	out := maps.Clone(w)
	maps.Copy(out, changes)
	maps.DeleteFunc(out, func(_, v string) bool { return v == "" })
	return out
}

func (w written) values(t *testing.T, s *schemas.Schema) []schemas.Value {
	t.Helper()
	out := make([]schemas.Value, len(s.Leaves))
	for path, text := range w {
		i, leaf, ok := s.Leaf(path)
		if !ok {
			t.Fatalf("%s has no field %s", s.Name, path)
		}
		if !leaf.Repeated {
			out[i] = readValue(t, leaf, text)
			continue
		}
		out[i].Set = true
		for item := range strings.SplitSeq(text, ";") {
			v := readValue(t, leaf, item)
			if leaf.Kind == schemas.String {
				out[i].Texts = append(out[i].Texts, v.Bytes)
			} else {
				out[i].Ints = append(out[i].Ints, v.Int)
			}
		}
	}
	return out
}

func readValue(t *testing.T, leaf *schemas.Leaf, text string) schemas.Value {
	t.Helper()
	zone := time.FixedZone("", 8*3600)
	switch leaf.Kind {
	case schemas.String:
		return schemas.TextValue(text)
	case schemas.Enum:
		i := slices.Index(leaf.Symbols, text)
		if i < 0 {
			t.Fatalf("%s has no symbol %s", leaf.Path, text)
		}
		return schemas.IntValue(int64(i))
	case schemas.Date:
		d, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return schemas.IntValue(d.Unix() / 86400)
	case schemas.TimestampMillis:
		d, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return schemas.IntValue(d.UnixMilli())
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return schemas.IntValue(n)
}

const (
	company = "91500000676129728J"
	agency  = "11500000MB17643950"
	citizen = "509900199001010013" // unassigned region
)

// listing is an entry of a list with what every list needs.
var listing = written{
	"listing_id": "L1", "life_cycle": "listed", "version": "1", "decision_no": "渝市监〔2026〕1号",
	"decision_authority": "重庆市市场监督管理局", "decision_authority_uscc": agency, "decision_date": "2026-01-10",
	"effective_date": "2026-01-10", "listed_date": "2026-01-10", "basis": "第四十四号令第五条", "subject_kind": "legal_person",
	"subject.name": "川渝测试商贸有限公司", "subject.uscc": company, "subject.region_code": "500112", "source_unit": "重庆市市场监督管理局",
}

// contents are what the rule of each list adds.
var contents = map[string]written{
	"serious_violation": {
		"serious_domain": "food", "narrative.cause": "x", "narrative.measures": "x", "narrative.removal_terms": "x", "narrative.remedy": "x",
	},
	"abnormal_operation":     {"abnormal_reason": "unreachable"},
	"administrative_penalty": {"penalty.violation_type": "x", "penalty.kinds": "fine;confiscation", "narrative.disposition": "x"},
	"major_tax_violation": {
		"tax_case_type": "art6_1", "narrative.facts": "x", "narrative.disposition": "x", "subject.address": "x",
		"responsible.representative_name": "测试甲", "responsible.representative_sex": "male",
		"responsible.representative_id_type": "resident_identity_card", "responsible.representative_id_no": citizen,
	},
	"general_tax_violation": {},
	"judgment_defaulter": {
		"judgment.case_no": "(2026)渝01执1号", "judgment.filed_date": "2026-01-02", "judgment.court_name": "x", "judgment.basis_no": "x",
		"judgment.performance": "none", "judgment.conduct": "art1_1", "narrative.obligation": "x", "responsible.representative_name": "测试甲",
	},
	"incentive": {
		"incentive.grade": "A", "incentive.year": "2025", "incentive.evaluated_date": "2026-01-10",
		"incentive.valid_from": "2026-01-10", "incentive.valid_to": "2026-12-31",
	},
}

// asPerson turns an entry into one of a natural person.
var asPerson = written{
	"subject_kind": "natural_person", "subject.name": "", "subject.uscc": "", "subject.address": "",
	"person.name": "测试乙", "person.id_type": "resident_identity_card", "person.id_no": citizen, "person.sex": "female", "person.age": "36",
}

func validate(t *testing.T, schema string, rows map[string][]string, row written) []connectors.Fault {
	t.Helper()
	s := schemaOf(t, schema)
	v, err := connectors.NewValidator(s, rows)
	if err != nil {
		t.Fatal(err)
	}
	return v.Validate(row.values(t, s), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
}

func schemaOf(t *testing.T, name string) *schemas.Schema {
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

// Each list asks for the contents that its rule makes mandatory: with all of
// them an entry is valid, without any one of them it is not.
func TestEveryListAsksForItsContents(t *testing.T) {
	t.Parallel()
	for kind, content := range contents {
		row := listing.with(content).with(written{"list_kind": kind})
		if faults := validate(t, "credit_listing.v1", nil, row); len(faults) > 0 {
			t.Errorf("%s: %v", kind, faults)
		}
		for path := range content {
			if path == "responsible.representative_id_type" { // says what the number is
				continue
			}
			faults := validate(t, "credit_listing.v1", nil, row.with(written{path: ""}))
			if len(faults) != 1 || faults[0].Code != problem.RequiredMissing || faults[0].Field != path {
				t.Errorf("%s without %s: %v", kind, path, faults)
			}
		}
	}
	for _, kind := range []string{"serious_violation", "administrative_penalty", "major_tax_violation", "judgment_defaulter"} {
		if faults := validate(t, "credit_listing.v1", nil, listing.with(contents[kind]).with(asPerson).with(written{"list_kind": kind})); len(faults) > 0 {
			t.Errorf("%s, a person: %v", kind, faults)
		}
	}
}

// wrong is one change to a valid row, and what is found.
type wrong struct {
	change written
	field  string
	code   problem.Code
}

func findWrong(t *testing.T, schema string, good written, cases []wrong) {
	t.Helper()
	if faults := validate(t, schema, nil, good); len(faults) > 0 {
		t.Fatalf("%s: the good row: %v", schema, faults)
	}
	for _, c := range cases {
		faults := validate(t, schema, nil, good.with(c.change))
		if len(faults) != 1 || faults[0].Field != c.field || faults[0].Code != c.code {
			t.Errorf("%s %v: %v, want %s on %s", schema, c.change, faults, c.code, c.field)
		}
	}
}

func TestLifeCycleOfAnEntry(t *testing.T) {
	t.Parallel()
	removal := listing.with(written{
		"list_kind": "abnormal_operation", "life_cycle": "removed_early", "version": "2", "decision_date": "2026-03-01", "removed_date": "2026-03-01",
		"removal_reason": "obligation_fulfilled", "original_decision_no": "渝市监〔2026〕1号", "original_decision_date": "2026-01-10", "original_version": "1",
	})
	findWrong(t, "credit_listing.v1", removal, []wrong{
		{written{"original_decision_no": ""}, "original_decision_no", problem.RemovalUnnamed},
		{written{"original_version": ""}, "original_version", problem.RemovalUnnamed},
		{written{"original_version": "2"}, "original_version", problem.RemovalUnnamed},
		{written{"removed_date": ""}, "removed_date", problem.RequiredMissing},
		{written{"removal_reason": ""}, "removal_reason", problem.RequiredMissing},
		{written{"removed_date": "2026-01-09"}, "removed_date", problem.DatesOutOfOrder},
		{written{"original_decision_date": "2026-03-02"}, "decision_date", problem.DatesOutOfOrder},
		{written{"decision_date": "2026-06-02", "version": "2"}, "decision_date", problem.DateInFuture},
		{written{"version": "0", "original_version": "", "life_cycle": "listed", "abnormal_reason": "unreachable"}, "version", problem.NumberOutOfRange},
		{written{"life_cycle": "shielded"}, "shield_until", problem.RequiredMissing},
		{written{"life_cycle": "objection_noted"}, "objection_date", problem.RequiredMissing},
		{written{"life_cycle": "restored", "abnormal_reason": "unreachable"}, "restore_reason", problem.RequiredMissing},
		{written{"subject.uscc": ""}, "subject.uscc", problem.RequiredMissing},
		{written{"subject.uscc": "91500000676129728A"}, "subject.uscc", problem.IdentifierInvalid},
		{written{"subject.org_code": "676129729"}, "subject.org_code", problem.IdentifierInvalid},
		{written{"subject.region_code": "500199"}, "subject.region_code", problem.IdentifierInvalid},
		{written{"subject.region_code": "500228"}, "subject.region_code", problem.RegionAbolished},
	})
	person := listing.with(contents["judgment_defaulter"]).with(asPerson).with(written{"list_kind": "judgment_defaulter"})
	findWrong(t, "credit_listing.v1", person, []wrong{
		{written{"subject.name": "测试乙"}, "subject.name", problem.PersonInClear},
		{written{"subject.address": "x"}, "subject.address", problem.PersonInClear},
		{written{"person.name": ""}, "person.name", problem.RequiredMissing},
		{written{"person.age": "17"}, "person.age", problem.MinorListed},
		{written{"person.id_no": "509900199001010014"}, "person.id_no", problem.IdentifierInvalid},
	})
}

// A product takes its own list and its own kind of subject, no other.
func TestRowsOfAnotherProduct(t *testing.T) {
	t.Parallel()
	row := listing.with(contents["incentive"]).with(written{"list_kind": "incentive"})
	rows := map[string][]string{"list_kind": {"incentive"}, "subject_kind": {"legal_person", "unincorporated"}}
	if faults := validate(t, "credit_listing.v1", rows, row); len(faults) > 0 {
		t.Errorf("its own: %v", faults)
	}
	for _, change := range []written{{"list_kind": "general_tax_violation"}, {"subject_kind": "individual_business"}} {
		if faults := validate(t, "credit_listing.v1", rows, row.with(change)); len(faults) != 1 || faults[0].Code != problem.RowForeign {
			t.Errorf("%v: %v", change, faults)
		}
	}
	for _, rows := range []map[string][]string{{"list_kind": {"red"}}, {"listing_id": {"x"}}, {"nothing": {"x"}}} {
		if _, err := connectors.NewValidator(schemaOf(t, "credit_listing.v1"), rows); problem.CodeOf(err) != problem.ConfigInvalid {
			t.Errorf("%v: %v", rows, err)
		}
	}
}

func TestBulletinRules(t *testing.T) {
	t.Parallel()
	findWrong(t, "price_bulletin.v1", written{
		"bulletin_no": "B1", "version": "1", "phase": "issued", "level": "level_1", "commodities": "猪肉", "commodity_barcodes": "6901234567892",
		"regions": "500112;510104", "indicator": "rise", "change_percent": "325000", "start_time": "2026-05-01 08:00", "detect_time": "2026-05-01 09:00",
		"issue_time": "2026-05-01 10:00", "update_time": "2026-05-01 10:00", "requires_ack_by": "2026-05-01 14:00", "issuing_unit": "x", "issuing_unit_uscc": agency,
	}, []wrong{
		{written{"level": "level_2"}, "level", problem.CodeUnknown},
		{written{"regions": "500112;500199"}, "regions", problem.IdentifierInvalid},
		{written{"regions": ""}, "regions", problem.RequiredMissing},
		{written{"commodity_barcodes": "6901234567890"}, "commodity_barcodes", problem.IdentifierInvalid},
		{written{"requires_ack_by": "2026-05-01 09:59"}, "requires_ack_by", problem.DatesOutOfOrder},
		{written{"detect_time": "2026-05-01 07:00"}, "detect_time", problem.DatesOutOfOrder},
		{written{"phase": "lifted"}, "lift_time", problem.RequiredMissing},
		{written{"lift_time": "2026-05-02 10:00"}, "phase", problem.CodeUnknown},
		{written{"change_percent": ""}, "change_percent", problem.RequiredMissing},
	})
}

var notice = written{
	"notice_no": "N1", "notice_kind": "tender", "notice_nature": "normal", "notice_name": "x", "platform_code": agency, "service_platform_code": agency,
	"data_time": "2026-05-01 08:00", "publish_time": "2026-05-01 09:00", "version": "1", "status": "in_force", "trade_class": "construction",
	"tender_project_code": "A0350010000000001001", "bid_section_codes": "A0350010000000001001001;A0350010000000001001002",
	"deal_codes": "A01-11500000MB17643950-20260401-000001-4", "region_code": "500100", "media": "x", "url": "x",
	"doc_get_start": "2026-05-01 09:00", "doc_get_end": "2026-05-08 09:00", "doc_get_method": "x", "bid_deadline": "2026-05-22 09:00",
	"open_time": "2026-05-22 09:00", "consortium_allowed": "0", "major_project": "0", "project.code": "A0350010000000001", "project.industry": "E48",
	"tenderer.name": "x", "tenderer.code_type": "uscc", "tenderer.code": company, "tenderer.address": "x",
	"contacts.bulletin_duty": "测试丁", "contacts.examiner": "测试戊", "narrative.content": "x",
}

func TestBidRules(t *testing.T) {
	t.Parallel()
	findWrong(t, "bid_notice.v1", notice, []wrong{
		{written{"project.code": "A0350010000000002"}, "tender_project_code", problem.CodeChainBroken},
		{written{"bid_section_codes": "A0350010000000001001001;A0350010000000001002001"}, "bid_section_codes", problem.CodeChainBroken},
		{written{"bid_section_codes": "A035001000000000100100"}, "bid_section_codes", problem.IdentifierInvalid},
		{written{"deal_codes": "A01-11500000MB17643951-20260401-000001-4"}, "deal_codes", problem.IdentifierInvalid},
		{written{"deal_codes": "A01-11500000MB17643950-20260401-000001-5"}, "deal_codes", problem.CheckDoubtful},
		{written{"deal_codes": ""}, "deal_codes", problem.RequiredMissing},
		{written{"tenderer.code": "91500000676129728A"}, "tenderer.code", problem.IdentifierInvalid},
		{written{"doc_get_end": "2026-05-22 09:01"}, "bid_deadline", problem.DatesOutOfOrder},
		{written{"open_time": "2026-05-22 08:59"}, "open_time", problem.DatesOutOfOrder},
		{written{"notice_nature": "correction"}, "original_notice_no", problem.RemovalUnnamed},
		{written{"status": "withdrawn"}, "version", problem.RemovalUnnamed},
		{written{"project.industry": "Z48"}, "project.industry", problem.IdentifierInvalid},
		{written{"currency": "USD"}, "currency", problem.CodeUnknown},
	})
	findWrong(t, "bid_result.v1", written{
		"notice_no": "R1", "result_kind": "winner", "notice_name": "x", "platform_code": agency, "service_platform_code": agency,
		"data_time": "2026-05-01 08:00", "publish_time": "2026-05-01 09:00", "version": "1", "status": "in_force", "trade_class": "construction",
		"tender_project_code": "A0350010000000001001", "bid_section_code": "A0350010000000001001001", "deal_code": "A01-11500000MB17643950-20260401-000001-4",
		"region_code": "500100", "trade_place_code": "x", "media": "x", "url": "x", "bidder.name": "x", "bidder.code_type": "uscc", "bidder.code": company,
		"bidder.role": "sole", "price_form": "amount", "amount": "100", "currency": "CNY", "major_project": "0",
		"contacts.bulletin_duty": "测试丁", "contacts.examiner": "测试戊", "narrative.content": "x",
	}, []wrong{
		{written{"bidder.code": ""}, "bidder.code", problem.RequiredMissing},
		{written{"amount": ""}, "amount", problem.RequiredMissing},
		{written{"price_form": "rate"}, "rate", problem.RequiredMissing},
		{written{"result_kind": "candidate"}, "rank", problem.RequiredMissing},
		{written{"result_kind": "failed", "narrative.exception": "x"}, "bidder.name", problem.CodeUnknown},
		{written{"bid_section_code": "A0350010000000002001001"}, "bid_section_code", problem.CodeChainBroken},
		{written{"publish_time": "2026-05-01 07:00"}, "publish_time", problem.DatesOutOfOrder},
	})
	findWrong(t, "bid_market_entity.v1", written{
		"platform_code": agency, "service_platform_code": agency, "update_time": "2026-05-01 08:00", "name": "x", "code_type": "uscc", "code": company,
		"roles": "bidder;agency", "licence_no": company, "licence_end_date": "2050-01-01", "org_code": "676129728", "legal_type": "enterprise", "country": "CHN",
		"region_code": "500112", "registered_capital": "100", "capital_currency": "CNY", "status": "active",
		"contacts.representative": "测试己", "contacts.contact": "测试庚", "contacts.phone": "1",
	}, []wrong{
		{written{"roles": ""}, "roles", problem.RequiredMissing},
		{written{"org_code": "204706718"}, "org_code", problem.IdentifierInvalid},
		{written{"code": "91500000676129728A"}, "code", problem.IdentifierInvalid},
	})
}

func TestReportRules(t *testing.T) {
	t.Parallel()
	findWrong(t, "consumer_report.v1", written{
		"dossier.case_no": "J1", "dossier.clue": "x", "reporter.real_name": "1", "reporter.name": "测试辛", "reporter.phone": "1",
		"reporter.id_type": "resident_identity_card", "reporter.id_no": citizen, "channel": "internet", "register_time": "2026-05-01 08:00",
		"update_time": "2026-05-02 08:00", "handling_org": "x", "region_code": "500112", "respondent.name": "x", "object_class": "goods", "object_name": "x",
		"problem_nature": "safety", "status": "filed", "extended": "0", "decide_time": "2026-05-02 08:00", "notify_time": "2026-05-03 08:00",
	}, []wrong{
		{written{"reporter.phone": ""}, "reporter.phone", problem.RequiredMissing},
		{written{"reporter.id_no": "509900199001010014"}, "reporter.id_no", problem.IdentifierInvalid},
		{written{"notify_time": "2026-05-02 07:00"}, "notify_time", problem.DatesOutOfOrder},
		{written{"update_time": "2026-05-01 07:00"}, "update_time", problem.DatesOutOfOrder},
		{written{"decide_time": ""}, "decide_time", problem.RequiredMissing},
		{written{"status": "transferred"}, "transfer_to", problem.RequiredMissing},
	})
}

// Rules on fields and codes that a schema does not have are found when they
// are built, all at once; none of them panics or is passed over.
func TestRulesFitTheirSchema(t *testing.T) {
	t.Parallel()
	other := *schemaOf(t, "price_quote.v1")
	for _, name := range []string{"credit_listing.v1", "price_bulletin.v1", "bid_notice.v1", "bid_result.v1", "bid_market_entity.v1", "consumer_complaint.v1", "consumer_report.v1"} {
		other.Name = name
		v, err := connectors.NewValidator(&other, nil)
		if v != nil || problem.CodeOf(err) != problem.ConfigInvalid || strings.Count(err.Error(), "rules of "+name) < 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
	bulletin := schemaOf(t, "price_bulletin.v1")
	changed := *bulletin
	changed.Leaves = slices.Clone(bulletin.Leaves)
	for i := range changed.Leaves {
		changed.Leaves[i].Symbols = nil
	}
	if _, err := connectors.NewValidator(&changed, nil); err == nil || !strings.Contains(err.Error(), "has no code") {
		t.Errorf("codes that are gone: %v", err)
	}
}

// warned holds what is one warning against what the gateway knows of it: of
// which check it comes, and so who may be told.
func warned(t *testing.T, name string, faults []connectors.Fault) {
	t.Helper()
	if len(faults) != 1 || !faults[0].Warning {
		t.Fatalf("not one warning: %v", faults)
	}
	s := schemaOf(t, name)
	_, leaf, _ := s.Leaf(faults[0].Field)
	if record.WarningChecks()[string(faults[0].Code)] != leaf.Check {
		t.Errorf("the gateway does not know that %s comes of the check %s", faults[0].Code, leaf.Check)
	}
}

// A row that only warns is told apart, and what keeps a row back stands first.
func TestWarningsStandBehindFaults(t *testing.T) {
	t.Parallel()
	doubtful := notice.with(written{"deal_codes": "A01-11500000MB17643950-20260401-000001-5"})
	faults := validate(t, "bid_notice.v1", nil, doubtful)
	if len(faults) != 1 || !faults[0].Warning {
		t.Errorf("%v", faults)
	}
	warned(t, "bid_notice.v1", faults)
	warned(t, "bid_notice.v1", validate(t, "bid_notice.v1", nil, notice.with(written{"region_code": "500228"}))) // abolished
	faults = validate(t, "bid_notice.v1", nil, doubtful.with(written{"open_time": "2026-05-22 08:59"}))
	if len(faults) != 2 || faults[0].Warning || !faults[1].Warning {
		t.Errorf("%v", faults)
	}
}
