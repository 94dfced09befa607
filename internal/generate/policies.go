package main

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/policies/policytest"
)

// policyReference is the policy language, with the tables that the program has
// of it.
func policyReference() []byte {
	var b bytes.Buffer
	b.WriteString(header + policyText)
	b.WriteString("\n## What a condition sees (条件可用变量)\n\nNothing else: no clock, network, file or record. All times are China's (+08:00).\n\n")
	b.WriteString("| variable | type | what it is | 含义 |\n|---|---|---|---|\n")
	for _, v := range policies.Environment() {
		kind := "text"
		if v.Number {
			kind = "number"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v.Name, kind, v.EN, v.ZH)
	}
	b.WriteString("\n## Deliveries (提供方式)\n\n`page` records page by page (接口分页) · `bulk` whole files (批量交换) · `query` one record of a key, never more (逐条查询) · `verify` yes or no, no value leaves (核验). " +
		"An agreement that lists none allows what its method means: `service` pages; `batch` and `file` pages and bulk. " +
		"Only fields that are kept as they are can be verified. Gateways serve page, query and verify; no endpoint serves bulk yet, so an agreement for it alone opens nothing.\n")
	b.WriteString("\n## Reasons of emergency access (应急事由)\n\n《突发事件应对法》第二条: ")
	reasons := policies.EmergencyReasons()
	var names []string
	for _, id := range slices.Sorted(maps.Keys(reasons)) {
		names = append(names, fmt.Sprintf("`%s` %s", id, reasons[id]))
	}
	b.WriteString(strings.Join(names, " · ") + "\n")
	return b.Bytes()
}

const policyText = `# Policy language (策略语言)

Policies are YAML in three folders, each file with cases beside it (` + "`*_test.yaml`" + `). The first line of a file names its JSON Schema, so that editors complete and check it:

` + "```yaml" + `
# yaml-language-server: $schema=../../schema/rules.schema.json
` + "```" + `

| folder | holds | schema |
|---|---|---|
| ` + "`rules/`" + ` | a provider's rules for one product | ` + "`rules.schema.json`" + ` |
| ` + "`agreements/`" + ` | one 共享协议 each: 依据, 场景, 范围, 方式, 时限 (Order 809, art. 20) | ` + "`agreement.schema.json`" + ` |
| ` + "`emergencies/`" + ` | one 应急调用 each | ` + "`emergency.schema.json`" + ` |
| beside them | cases | ` + "`cases.schema.json`" + ` |

## How a request is decided

Share class (共享属性) → the provider's rules → agreement. A deny at any layer wins, what cannot be evaluated denies, and for each field the strictest of all layers holds: drop, null, hash, mask, generalise, keep. A field that one layer does not name is dropped. Of the records those leave that the row conditions of all layers let.

## Rules

` + "```yaml" + `
product: price_quote
providers: [cq-commerce, sc-commerce]
rules:
  - id: counterpart_statistics
    nameZH: 对方统计部门用于统计分析
    effect: permit                      # or deny, which needs no obligations
    when: caller.kind == "statistics" && caller.region != product.region
    rows: row.region_code.startsWith("50") && row.low_price > 0
    obligations:
      classes: {public: keep, internal: keep}
      fields: {source_unit: hash}       # goes before its class
` + "```" + `

` + "`when`" + ` is [CEL](https://cel.dev): comparison, logic, arithmetic, ` + "`in size startsWith endsWith contains matches all exists exists_one`" + `; at most 1,024 characters. Its cost is estimated when the file is loaded; a condition without a bound, or dearer than 1,000 units, is refused.

` + "`rows`" + ` (of rules that permit, agreements and emergencies) says which records leave at all. It becomes a predicate of the View when it is loaded, and what cannot become one is refused: ` + "`row.FIELD`" + ` with ` + "`== != < <= > >= in startsWith`" + `, a literal, null or one of caller.participant, caller.region, caller.kind, product.region, product.provider, now.date; joined by ` + "`&& || !`" + `. A comparison with a field that is null is neither true nor false, and a record leaves only if the whole is true. Secret fields cannot be asked.

## Agreements

As the shipped ones, and: ` + "`delivery`" + ` (below), ` + "`rows`" + `, and in ` + "`quota`" + ` beside requests a minute and records a day ` + "`subjectsPerDay`" + `: about how many different business keys the consumer may learn in 24 hours. Hubs count keyed hashes, never the keys. Two agreements of one pair may not be in force on the same day for the same purpose.

## Emergency access

` + "```yaml" + `
id: flood-2026
reason: natural_disaster                # one of the reasons below
grantedBy: [li.si, wang.wu]             # two operators
from: 2026-07-01T10:00:00+08:00
until: 2026-07-02T10:00:00+08:00        # at most 72 hours
basis: [《中华人民共和国突发事件应对法》]
scenario: 汛期保供稳价
# provider, region, product, major, consumer, purposes, fields, rows, delivery, quota: as in an agreement
review: {by: zhao.liu, at: 2026-07-03T09:00:00+08:00, finding: 用途相符}   # afterwards, by a third
` + "```" + `

It takes the agreement's place and nothing else: it lifts neither 不予共享 nor a provider's deny, and a rule must still permit. The caller names it (` + "`emergency=flood-2026`" + `); every use is an error in the log, a step of ` + "`hub_gateway_emergency_releases_total`" + ` and an entry of the ledger. ` + "`hubctl policy emergencies`" + ` lists what is due for review.

## Tools

| command | answers |
|---|---|
| ` + "`hubctl policy test [DIR]`" + ` | do all cases hold, and which rule or agreement has none (` + "`--coverage`" + `, default 100) |
| ` + "`hubctl policy explain --participant … --product … --region … --purpose …`" + ` | this request, with its derivation |
| ` + "`hubctl policy who --field … `" + ` / ` + "`--participant …`" + ` | who can read this field, how, for what, until when / what can this participant read |
| ` + "`hubctl policy diff OLD NEW [--requests FILE] [--no-looser]`" + ` | what changes, and whether anything leaves that did not |
| ` + "`hubctl policy emergencies`" + ` | emergency access: in force, to come, due for review |

explain, who and emergencies print ` + "`--format table|json|csv`" + `; all but test take ` + "`--at`" + `. In who, UNTIL is the first instant at which the answer is another; where rules look at the time of day, the first such day at this time. DEPENDS names what else rules look at; with ` + "`now.date`" + ` a row condition compares with the day of the request, so ROWS has that day's value.

Without a file of requests, diff asks for every participant, product, region, purpose and delivery, without an emergency and with each that one of the sets grants; at ` + "`--at`" + `, and when terms, emergencies and admissions begin and are over, at that instant and at the next one with the time of day of ` + "`--at`" + `. What rules say of other days and hours, of the caller's system and of the number of fields, a file of requests asks: ` + "`requests:`" + ` with cases without ` + "`want`" + `, and ` + "`defaults:`" + `. Quotas are not compared.
`

// policyFiles are the language's reference and the JSON Schemas for editors.
func policyFiles(files map[string][]byte) {
	files["docs/reference/policies.md"] = policyReference()
	for _, of := range []map[string][]byte{policies.JSONSchemas(), policytest.JSONSchemas()} {
		for name, text := range of {
			files[filepath.Join("policies", "schema", name)] = text
		}
	}
}
