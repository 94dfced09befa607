package httpapi

import (
	"mime"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// offered are the formats of records: the word of the parameter format=, the
// media type that is sent, and those that ask for it. Where a range of types
// fits several, the first is sent.
var offered = []struct {
	word, sent string
	asked      []string
}{
	{"ndjson", gateway.NDJSON, []string{"application/x-ndjson", "application/ndjson", "application/jsonl"}},
	{"json", gateway.JSON, []string{"application/json"}},
	{"avro", gateway.Avro, []string{"application/avro", "avro/binary"}},
	{"csv", gateway.CSV, []string{"text/csv"}},
}

// format is the media type that a caller asks for: by the parameter, else by
// Accept (RFC 9110, section 12.5.1), else NDJSON. "" is none that is offered,
// which the gateway refuses when it knows who asks.
func format(query url.Values, accept []string) string {
	if query.Has("format") {
		for _, o := range offered {
			if o.word == query.Get("format") {
				return o.sent
			}
		}
		return ""
	}
	asked := strings.Join(accept, ",")
	if strings.TrimSpace(asked) == "" {
		return gateway.NDJSON
	}
	best, quality := "", 0.0
	for part := range strings.SplitSeq(asked, ",") {
		kind, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q, err := strconv.ParseFloat(parameters["q"], 64)
		if parameters["q"] == "" {
			q, err = 1, nil
		}
		if sent := fitting(kind); err == nil && sent != "" && q > quality && q <= 1 {
			best, quality = sent, q
		}
	}
	return best
}

// fitting is the format that a media type or a range of them asks for first.
func fitting(kind string) string {
	for _, o := range offered {
		for _, asked := range o.asked {
			group, _, _ := strings.Cut(asked, "/")
			if kind == "*/*" || kind == group+"/*" || kind == asked {
				return o.sent
			}
		}
	}
	return ""
}

var versionPattern = regexp.MustCompile(`^(?:latest|[1-9][0-9]{0,3})$`)

// askedVersion is the version that a caller asks for, "" if it does not.
func askedVersion(query url.Values) (string, error) {
	asked := query.Get("schema_version")
	if query.Has("schema_version") && !versionPattern.MatchString(asked) {
		return "", problem.New(problem.RequestInvalid, "schema_version is a number or latest")
	}
	return asked, nil
}
