package problem

import "net/http"

// shapes are the sentences of what can be wrong with the form in which an
// answer is asked for.
var shapes = []Entry{
	{
		FormatUnavailable, http.StatusNotAcceptable,
		"records are not written in this format", "不提供所请求的格式",
		"accept application/x-ndjson, application/json, application/avro or text/csv, or add format=ndjson, json, avro or csv", "请用 Accept 或 format= 选择 ndjson、json、avro 或 csv",
	},
	{
		VersionUnknown, http.StatusNotFound,
		"the product's schema has no such version", "数据模式没有该版本",
		"see /schema-registry for the versions of its subject, or use schema_version=latest", "版本见 /schema-registry，或使用 schema_version=latest",
	},
	{
		VersionIncompatible, http.StatusConflict,
		"records cannot be written in this version of the schema", "记录无法按该版本的模式输出",
		"use a version that the detail's rule allows, or schema_version=latest", "请使用兼容的版本，或 schema_version=latest",
	},
}
