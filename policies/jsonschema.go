package policies

import (
	"reflect"
	"time"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// The patterns of times in policies.
const (
	dayPattern     = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
	instantPattern = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})$`
)

// JSONSchemas describe the files of policies for editors, by file name: what
// `# yaml-language-server: $schema=…` at the head of a file names.
func JSONSchemas() map[string][]byte {
	days := append(Vocabulary(), yamlfile.Known{Type: reflect.TypeFor[time.Time](), Pattern: dayPattern, About: "a day in China, 2026-01-31"})
	instants := append(Vocabulary(), InstantsOfSchema())
	return map[string][]byte{
		"rules.schema.json": yamlfile.JSONSchema("共享策略 rules of a provider",
			"rules/*.yaml; docs/reference/policies.md has the language", &ruleFile{}, days...),
		"agreement.schema.json": yamlfile.JSONSchema("共享协议 agreement",
			"agreements/*.yaml: the five things of Order 809, article 20, and what is opened to whom", &Agreement{}, days...),
		"emergency.schema.json": yamlfile.JSONSchema("应急调用 emergency access",
			"emergencies/*.yaml: takes an agreement's place for hours, for a named reason", &Emergency{}, instants...),
	}
}

// Vocabulary are the words of policies, for JSON Schemas.
func Vocabulary() []yamlfile.Known {
	var classes []string
	for c := redact.Secret; c <= redact.Public; c++ {
		classes = append(classes, c.String())
	}
	return []yamlfile.Known{
		{Type: reflect.TypeFor[Effect](), Enum: []string{Deny.String(), Permit.String()}, About: "permit or deny; a deny at any layer wins"},
		{Type: reflect.TypeFor[Delivery](), Enum: deliveryNames[1:], About: "接口分页, 批量交换, 逐条查询, 核验"},
		{Type: reflect.TypeFor[redact.Sensitivity](), Enum: classes, About: "a class of fields"},
		{
			Type: reflect.TypeFor[redact.Obligation](), Pattern: `^(keep|hash|null|drop|(mask|generalise):[a-z_]+)$`,
			About: "what is done with a field: keep, generalise:METHOD, mask:METHOD, hash, null, drop",
		},
	}
}

// InstantsOfSchema is a time of day and zone, where a day is not enough.
func InstantsOfSchema() yamlfile.Known {
	return yamlfile.Known{Type: reflect.TypeFor[time.Time](), Pattern: instantPattern, About: "an instant, 2026-01-31T09:00:00+08:00"}
}
