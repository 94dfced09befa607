package spiffe_test

import (
	"net/url"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, n := range []spiffe.Name{
		{Region: "500000", Role: spiffe.Gateway},
		{Region: "510000", Role: spiffe.Signing},
		{Region: "510000", Role: spiffe.GatewayKafka},
		{Region: "500000", Role: spiffe.Broker},
		{Region: "500000", Role: spiffe.System, Participant: "cq-commerce", System: "price"},
		{Region: "510000", Role: spiffe.Connector, Participant: "sc-amr", System: "consumer_complaint"},
		{Region: "510000", Role: spiffe.Operator, Duty: spiffe.Audit, System: "zhou"},
	} {
		got, err := spiffe.Parse(n.URL())
		if err != nil || got != n {
			t.Errorf("%s: %+v, %v", n, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "https://500000.hub.chuanyu/gateway", "spiffe://500000.hub.chuanyu", "spiffe://500000.hub.chuanyu/",
		"spiffe://50000.hub.chuanyu/gateway", "spiffe://500000.hub.chuanyu.evil/gateway", "spiffe://x500000.hub.chuanyu/gateway",
		"spiffe://500000.hub.chuanyu/gateway/", "spiffe://500000.hub.chuanyu/gateway/signing/x",
		"spiffe://500000.hub.chuanyu/participant/cq/system", "spiffe://500000.hub.chuanyu/participant//system/x",
		"spiffe://500000.hub.chuanyu/participant/cq/system/a%2fb", "spiffe://500000.hub.chuanyu/participant/cq/system/x?y",
		"spiffe://500000.hub.chuanyu/participant/cq/system/x#y", "spiffe://u@500000.hub.chuanyu/gateway",
		"spiffe://500000.hub.chuanyu:443/gateway", "spiffe://500000.hub.chuanyu/participant/cq/admin/x",
		"spiffe://500000.hub.chuanyu/operator/audit", "spiffe://500000.hub.chuanyu/operator/root/x",
		"spiffe://500000.hub.chuanyu/operator/audit/x/y", "spiffe://500000.hub.chuanyu/operator//x",
		"spiffe://500000.hub.chuanyu/participant/../system/x", "spiffe://500000.hub.chuanyu/participant/ｃq/system/x",
	} {
		u, err := url.Parse(s)
		if err != nil {
			continue
		}
		if n, err := spiffe.Parse(u); err == nil {
			t.Errorf("%q was read as %+v", s, n)
		}
	}
}
