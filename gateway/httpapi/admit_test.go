package httpapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// replica is another gateway of the same province, on the same Kafka.
func (r *rig) replica() *rig {
	r.t.Helper()
	other := &rig{
		t: r.t, cluster: r.cluster, kafka: r.kafka, ledger: r.ledger, snapshot: r.snapshot, bundleKey: r.bundleKey, cq: r.cq, sc: r.sc,
		logs: &lockedBuffer{}, unseal: unwrap, schemaFiles: r.schemaFiles,
	}
	other.follow()
	other.build()
	other.serve()
	other.composer.Started.Authority = r.composer.Started.Authority // one issuer stands before all replicas
	return other
}

const wine = `id: sc-wine
region: "510000"
nameZH: 四川省酒类流通管理办公室（测试）
nameEN: Liquor Trade Office (test)
kind: commerce
`

func wineAgreement(change ...string) string {
	return strings.NewReplacer(change...).Replace(agreement("wine-1", "sc-wine", "price_quote", "cq-commerce", "price_monitoring", "2026-01-01", "2035-12-31", 1000, 1000))
}

// A participant and its agreement come by signed orders, the agreement by two,
// at every replica; the receipt names policies that hold both.
func TestAdmittedByOrders(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	who := r.person(r.sc.Issue(r.system("sc-wine", "510000")))
	if a := r.get(who, pricePage); a.code != problem.CallerUnknown {
		t.Fatalf("before it was admitted: %d %s", a.status, a.code)
	}
	r.order(wu, control.AdmitParticipant, "sc-wine", wine)
	who = r.admitted("sc-wine")
	if a := r.get(who, pricePage); a.code != problem.AgreementMissing {
		t.Fatalf("before it has an agreement: %d %s", a.status, a.code)
	}
	proposal := r.order(liang, control.ProposeAgreement, "wine-1", wineAgreement())
	if a := r.get(who, pricePage); a.code != problem.AgreementMissing {
		t.Errorf("with an agreement of one officer: %d %s", a.status, a.code)
	}
	own, _ := r.signedOrder(liang, control.ApproveAgreement, proposal, "")
	if a := r.postOrder(r.person(r.cq.Issue(liang)), own); a.code != problem.OrderFourEyes {
		t.Errorf("approved by who proposed it: %d %s", a.status, a.code)
	}
	r.order(zheng, control.ApproveAgreement, proposal, "")
	records, pages := pull(t, r.client("sc-wine"), client.Query{Product: "price_quote", Purpose: "price_monitoring"})
	if len(records) != 3 || pages[0].Receipt.Agreement != "wine-1" || pages[0].Receipt.Policy == r.snapshot.Policies.Version() {
		t.Fatalf("%d records: %+v", len(records), pages[0].Receipt)
	}
	// Another replica, which starts now, comes to the same.
	other := r.replica()
	if a := other.get(who, pricePage); a.status != http.StatusOK {
		t.Errorf("at another replica: %d %s", a.status, a.code)
	}
	here, err := r.composer.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if there, err := other.composer.Snapshot(); err != nil || there.Policies.Version() != here.Policies.Version() {
		t.Errorf("the replicas hold different policies, %v", err)
	}
	r.order(wu, control.EndAgreement, "wine-1", "")
	if a := r.get(who, pricePage); a.code != problem.AgreementMissing && a.code != problem.AgreementEnded {
		t.Errorf("when it is over: %d %s", a.status, a.code)
	}
	// What follows it may begin on the same day.
	next := r.order(zheng, control.ProposeAgreement, "wine-2", wineAgreement("id: wine-1", "id: wine-2"))
	r.order(liang, control.ApproveAgreement, next, "")
	if a := r.get(who, pricePage); a.status != http.StatusOK {
		t.Errorf("under the one that follows: %d %s", a.status, a.code)
	}
}

// What would not hold is refused before it is written, and says where and why.
func TestAdmissionsThatDoNotHold(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.order(wu, control.AdmitParticipant, "sc-wine", wine)
	for name, c := range map[string]struct {
		kind              control.Kind
		subject, document string
		want              string
	}{
		"no YAML":              {control.ProposeAgreement, "wine-1", "{", ""},
		"another id":           {control.ProposeAgreement, "wine-1", wineAgreement("id: wine-1", "id: wine-9"), `the order is for \"wine-1\"`},
		"an id of a file":      {control.ProposeAgreement, "price_quote-cq-commerce-sc-commerce", wineAgreement("id: wine-1", "id: price_quote-cq-commerce-sc-commerce"), "exists already"},
		"a stranger":           {control.ProposeAgreement, "wine-1", wineAgreement("consumer: sc-wine", "consumer: sc-beer"), "is not a participant"},
		"handed on":            {control.ProposeAgreement, "wine-1", wineAgreement("noOnwardSharing: true", "noOnwardSharing: false"), "article 25"},
		"a purpose of nobody":  {control.ProposeAgreement, "wine-1", wineAgreement("[price_monitoring]", "[advertising]"), "is not a purpose"},
		"a participant twice":  {control.AdmitParticipant, "sc-commerce", strings.Replace(wine, "sc-wine", "sc-commerce", 1), "there is a participant with this id"},
		"a name twice":         {control.AdmitParticipant, "sc-beer", strings.Replace(wine, "sc-wine", "sc-beer", 1), "is already a name of sc-wine"},
		"a kind of nobody":     {control.AdmitParticipant, "sc-beer", strings.NewReplacer("sc-wine", "sc-beer", "酒类", "啤酒", "Liquor", "Beer", "kind: commerce", "kind: wine").Replace(wine), "is not listed under kinds"},
		"a participant's file": {control.AdmitParticipant, "sc-beer", "participants: []", ""},
	} {
		signer := liang
		if c.kind == control.AdmitParticipant {
			signer = wu
		}
		signed, _ := r.signedOrder(signer, c.kind, c.subject, c.document)
		a := r.postOrder(r.person(r.cq.Issue(signer)), signed)
		if a.code != problem.OrderInvalid || !bytes.Contains(a.body, []byte(c.want)) {
			t.Errorf("%s: %d %s %s", name, a.status, a.code, a.body)
		}
	}
	var view control.View
	if err := json.Unmarshal(r.get(r.person(r.cq.Issue(zhou)), "/v1/control").body, &view); err != nil || len(view.Drafts) != 0 || len(view.Admitted) != 1 {
		t.Errorf("%+v, %v", view, err)
	}
}

// What is ordered at one replica acts at every other within two seconds.
func TestEveryReplicaWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	other := r.replica()
	who := r.admitted("sc-commerce")
	second := r.person(r.sc.Issue(r.system("sc-commerce", "510000"), pkitest.Valid(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))))
	second.token = r.grantTo(second, url.Values{})
	within := func(what string, p *person, want problem.Code, ordered func()) {
		t.Helper()
		if a := other.get(p, pricePage); a.status != http.StatusOK {
			t.Fatalf("before %s: %d %s", what, a.status, a.code)
		}
		begin := time.Now() // the order is not even signed
		ordered()
		for {
			a := other.get(p, pricePage)
			took := time.Since(begin)
			if a.code == want {
				t.Logf("%s: at the other replica after %s", what, took.Round(time.Millisecond))
				return
			}
			if took > 2*time.Second {
				t.Fatalf("%s: after %s still %d %s", what, took, a.status, a.code)
			}
		}
	}
	const agreed = "price_quote-cq-commerce-sc-commerce"
	within("a suspended agreement", who, problem.AgreementSuspended, func() { r.order(liang, control.SuspendAgreement, agreed, "") })
	r.order(liang, control.ResumeAgreement, agreed, "")
	other.waitFor(who, http.StatusOK)
	within("a suspended participant", who, problem.CallerSuspended, func() { r.order(liang, control.SuspendParticipant, "sc-commerce", "") })
	r.order(liang, control.ResumeParticipant, "sc-commerce", "")
	other.waitFor(who, http.StatusOK)
	within("a revoked certificate", second, problem.CertificateRevoked, func() {
		r.order(liang, control.RevokeCertificate, jws.KeyID(second.issued.Chain[0]), "")
	})
	within("an ended agreement", who, problem.AgreementEnded, func() { r.order(wu, control.EndAgreement, agreed, "") })
}

// waitFor waits until a page is answered so.
func (r *rig) waitFor(p *person, status int) {
	r.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		a := r.get(p, pricePage)
		if a.status == status {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("still %d %s", a.status, a.code)
		}
	}
}
