package policytest

import (
	"reflect"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/policies"
)

// JSONSchemas describe the files of cases and of requests for editors, by file
// name; see policies.JSONSchemas.
func JSONSchemas() map[string][]byte {
	var codes []string
	for _, e := range problem.Table() {
		codes = append(codes, string(e.Code))
	}
	known := append(policies.Vocabulary(), policies.InstantsOfSchema(),
		yamlfile.Known{Type: reflect.TypeFor[effect](), Enum: []string{policies.Deny.String(), policies.Permit.String()}},
		yamlfile.Known{Type: reflect.TypeFor[problem.Code](), Enum: codes, About: "why it is denied: docs/reference/problems.md"})
	return map[string][]byte{
		"cases.schema.json":    yamlfile.JSONSchema("策略用例 cases", "*_test.yaml beside policies, for hubctl policy test", &file{}, known...),
		"requests.schema.json": yamlfile.JSONSchema("请求 requests", "requests for hubctl policy diff", &requestFile{}, known...),
	}
}
