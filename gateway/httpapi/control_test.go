package httpapi_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/revocation"
	"github.com/chuanyu-exchange/hub/gateway/signing"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// follow opens the control log and composes snapshots under it.
func (r *rig) follow() {
	r.t.Helper()
	if r.bundleKey == nil {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			r.t.Fatal(err)
		}
		r.bundleKey = private
	}
	public, _ := r.bundleKey.Public().(ed25519.PublicKey)
	open := func(compact, of string, at time.Time) (*identity.Bundle, error) { // one key for both provinces
		return identity.OpenBundle(compact, of, public, at)
	}
	var err error
	r.control, err = control.Open(r.t.Context(), control.Config{
		Check: func(s *control.State) error { return r.composer.Check(s) },
		Kafka: r.kafka, Now: time.Now, Logger: slog.New(slog.NewTextHandler(r.logs, nil)),
		Rules: control.Rules{Region: region, Roots: r.cq.Pool(), OpenBundle: func(compact, of string, at time.Time) (int64, error) {
			b, err := open(compact, of, at)
			if err != nil {
				return 0, err
			}
			return b.Version, nil
		}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.control.Run(ctx) }()
	r.t.Cleanup(func() { cancel(); <-done; _ = r.control.Close(context.Background()) })
	r.composer = &gateway.Composer{
		Region: region, Started: *r.snapshot, State: r.control.State, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Open: open,
	}
	r.status = revocation.New(revocation.Config{
		Every: time.Hour, Now: r.now, Logger: slog.New(slog.DiscardHandler),
		Sources: func() []identity.Source {
			snap, err := r.composer.Snapshot()
			if err != nil {
				return nil
			}
			return snap.Trust.Sources()
		},
	})
	r.composer.Started.Status = r.status
}

// adopt orders what every hub begins with: its policies, and the trust in the
// other province.
func (r *rig) adopt() {
	r.t.Helper()
	proposal := r.order(liang, control.ProposePolicy, r.snapshot.Policies.Version(), "")
	r.order(zheng, control.ApprovePolicy, proposal, "")
	r.order(wu, control.AdoptBundle, "510000", r.bundle(1, time.Now().Add(time.Hour)))
}

// bundle is Sichuan's.
func (r *rig) bundle(version int64, notAfter time.Time, changes ...func(*identity.Bundle)) string {
	r.t.Helper()
	b := identity.Bundle{
		Region: "510000", Version: version, IssuedAt: time.Now().UTC(), NotAfter: notAfter.UTC(), Roots: [][]byte{r.sc.Root.Raw}, Names: []string{"sc-*"},
	}
	for _, change := range changes {
		change(&b)
	}
	signed, err := b.Sign(func(data []byte) ([]byte, error) { return ed25519.Sign(r.bundleKey, data), nil })
	if err != nil {
		r.t.Fatal(err)
	}
	return signed
}

var (
	liang = spiffe.Name{Region: region, Role: spiffe.Operator, Duty: spiffe.Security, System: "liang"}
	zheng = spiffe.Name{Region: region, Role: spiffe.Operator, Duty: spiffe.Security, System: "zheng"}
	wu    = spiffe.Name{Region: region, Role: spiffe.Operator, Duty: spiffe.Administration, System: "wu"}
	zhou  = spiffe.Name{Region: region, Role: spiffe.Operator, Duty: spiffe.Audit, System: "zhou"}
)

// signedOrder is an order by a signer whose certificate is made for it; a
// bundle or a document is attached.
func (r *rig) signedOrder(who spiffe.Name, kind control.Kind, subject, attached string) (signed, id string) {
	r.t.Helper()
	id, err := signing.NewID(time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	o := control.Order{ID: id, Kind: kind, Region: region, At: time.Now(), Subject: subject, Reason: "测试", Bundle: attached}
	if kind == control.AdmitParticipant || kind == control.ProposeAgreement {
		o.Bundle, o.Document = "", attached
	}
	payload, err := json.Marshal(o)
	if err != nil {
		r.t.Fatal(err)
	}
	issued := r.cq.Issue(who)
	s, err := jws.NewSigner(issued.Key, issued.Chain, control.Type)
	if err == nil {
		signed, err = s.Sign(payload)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return signed, id
}

// order gives an order through the gateway's own door and returns its id.
func (r *rig) order(who spiffe.Name, kind control.Kind, subject, bundle string) string {
	r.t.Helper()
	signed, id := r.signedOrder(who, kind, subject, bundle)
	if a := r.postOrder(r.person(r.cq.Issue(who)), signed); a.status != http.StatusOK {
		r.t.Fatalf("%s %s: %d %s", kind, subject, a.status, a.body)
	}
	return id
}

func (r *rig) postOrder(p *person, signed string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/v1/control/orders", strings.NewReader(signed))
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(p, req)
}

const pricePage = "/v1/products/price_quote/records?purpose=price_monitoring"

// What an operator orders acts on the very next request, and is undone by the
// next order.
func TestOrdersActOnTheNextRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	caller := r.admitted("sc-commerce")
	check := func(step string, want problem.Code) {
		t.Helper()
		if a := r.get(caller, pricePage); a.code != want {
			t.Errorf("%s: %d %s, want %q", step, a.status, a.body, want)
		}
	}
	agreement := r.snapshot.Policies.Agreements("sc-commerce", "price_quote", region)[0].ID
	check("before", "")
	r.order(liang, control.SuspendAgreement, agreement, "")
	check("agreement suspended", problem.AgreementSuspended)
	r.order(zheng, control.ResumeAgreement, agreement, "")
	check("agreement resumed", "")
	r.order(liang, control.SuspendParticipant, "sc-commerce", "")
	check("participant suspended", problem.CallerSuspended)
	if a := r.grant(r.person(caller.issued), map[string][]string{"grant_type": {"client_credentials"}}); a.code != problem.CallerSuspended {
		t.Errorf("a grant for who is suspended: %d %s", a.status, a.body)
	}
	r.order(liang, control.ResumeParticipant, "sc-commerce", "")
	check("participant resumed", "")
	r.order(liang, control.RevokeCertificate, jws.KeyID(caller.issued.Chain[0]), "")
	check("certificate revoked", problem.CertificateRevoked)
	caller = r.admitted("sc-commerce")
	check("another certificate", "")
	r.order(wu, control.EndAgreement, agreement, "")
	check("agreement ended", problem.AgreementEnded)

	var refused []problem.Code
	for _, e := range r.entries() {
		if e.Code != "" {
			refused = append(refused, e.Code)
		}
	}
	for _, code := range []problem.Code{problem.AgreementSuspended, problem.AgreementEnded, problem.CertificateRevoked, problem.CallerSuspended} {
		if !slices.Contains(refused, code) {
			t.Errorf("%s is not in the ledger: %v", code, refused)
		}
	}
}

// Nobody of a province is believed before its bundle is adopted, or after the
// bundle ended.
func TestTrustComesFromBundles(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	caller := r.admitted("sc-commerce")
	r.order(wu, control.AdoptBundle, "510000", r.bundle(2, time.Now().Add(1500*time.Millisecond)))
	for deadline := time.Now().Add(20 * time.Second); r.get(caller, pricePage).code != problem.CertificateUntrust; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is still believed")
		}
	}
	r.order(wu, control.AdoptBundle, "510000", r.bundle(3, time.Now().Add(time.Hour)))
	if a := r.get(caller, pricePage); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A replica decides only by the policies that two officers adopted.
func TestPoliciesThatAreNotAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	caller := r.admitted("sc-commerce")
	other := "sha256:" + strings.Repeat("0", 64)
	proposal := r.order(liang, control.ProposePolicy, other, "")
	if a := r.get(caller, pricePage); a.status != http.StatusOK {
		t.Fatalf("proposed and not yet adopted: %d %s", a.status, a.body)
	}
	r.order(zheng, control.ApprovePolicy, proposal, "")
	if a := r.get(caller, pricePage); a.code != problem.PolicyNotAdopted || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	r.adopt2()
	if a := r.get(caller, pricePage); a.status != http.StatusOK {
		t.Errorf("adopted again: %d %s", a.status, a.body)
	}
}

// adopt2 brings the policies of the replica back into force.
func (r *rig) adopt2() {
	r.t.Helper()
	r.order(zheng, control.ApprovePolicy, r.order(liang, control.ProposePolicy, r.snapshot.Policies.Version(), ""), "")
}

// A replica that has not seen the end of the control log for too long answers
// nobody.
func TestStaleReplicaAnswersNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	p := r.admitted("sc-commerce")
	if a := r.get(p, pricePage); a.status != http.StatusOK {
		t.Fatalf("before: %d %s", a.status, a.body)
	}
	topic := control.Topic(region, 1).Name
	r.cluster.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		for _, t := range req.(*kmsg.FetchRequest).Topics {
			if t.Topic == topic || t.TopicID == r.cluster.TopicInfo(topic).TopicID {
				return nil, errors.New("the control log cannot be read"), true
			}
		}
		return nil, nil, false
	})
	deadline := time.Now().Add(20 * time.Second)
	for r.setClock(6 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		a := r.get(p, pricePage)
		if a.code == problem.ControlStale {
			if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				t.Errorf("%d %v", a.status, a.header)
			}
			break
		}
		if a.status != http.StatusOK || time.Now().After(deadline) { // until the fetch that was on its way has ended
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := r.grant(r.person(p.issued), map[string][]string{"grant_type": {"client_credentials"}}); a.code != problem.ControlStale {
		t.Errorf("a grant: %d %s", a.status, a.body)
	}
}

func TestWhoMayOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	agreement := r.snapshot.Policies.Agreements("sc-commerce", "price_quote", region)[0].ID
	suspend, _ := r.signedOrder(liang, control.SuspendAgreement, agreement, "")
	misspelt, _ := r.signedOrder(liang, control.SuspendAgreement, agreement+"x", "")
	unknown, _ := r.signedOrder(liang, control.SuspendParticipant, "sc-comerce", "")
	byAuditor, _ := r.signedOrder(zhou, control.SuspendAgreement, agreement, "")
	foreign := spiffe.Name{Region: "510000", Role: spiffe.Operator, Duty: spiffe.Security, System: "liang"}
	for name, c := range map[string]struct {
		who   *person
		order string
		want  problem.Code
	}{
		"nobody":                  {r.person(pkitest.Issued{}), suspend, problem.CertificateMissing},
		"a participant":           {r.admitted("cq-commerce"), suspend, problem.CertificateName},
		"of the other province":   {r.person(r.sc.Issue(foreign)), suspend, problem.CertificateName},
		"an auditor's order":      {r.person(r.cq.Issue(zhou)), byAuditor, problem.OrderDuty},
		"nonsense":                {r.person(r.cq.Issue(liang)), "x", problem.OrderInvalid},
		"an agreement misspelt":   {r.person(r.cq.Issue(liang)), misspelt, problem.OrderInvalid},
		"a participant misspelt":  {r.person(r.cq.Issue(liang)), unknown, problem.OrderInvalid},
		"larger than any order":   {r.person(r.cq.Issue(liang)), strings.Repeat("x", 65<<10), problem.RequestTooLarge},
		"expired":                 {r.person(r.cq.Issue(liang, pkitest.Valid(time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)))), suspend, problem.CertificateExpired},
		"carried by another duty": {r.person(r.cq.Issue(zhou)), suspend, ""},
	} {
		if a := r.postOrder(c.who, c.order); a.code != c.want {
			t.Errorf("%s: %d %s, want %q", name, a.status, a.body, c.want)
		}
	}
	a := r.get(r.person(r.cq.Issue(zhou)), "/v1/control")
	var view control.View
	if err := json.Unmarshal(a.body, &view); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	if len(view.Agreements) != 1 || view.Agreements[0].By != liang.String() || view.Policy.ApprovedBy != zheng.String() {
		t.Errorf("%+v", view)
	}
	if a := r.get(r.admitted("cq-commerce"), "/v1/control"); a.code != problem.CertificateName {
		t.Errorf("a participant looks: %d %s", a.status, a.body)
	}
}

// Every replica's JWKS lists the keys of all, so that a grant of one is
// verifiable at any.
func TestAnnouncedKeysAreListed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	other := r.cq.Issue(spiffe.Name{Region: region, Role: spiffe.Signing})
	id, err := signing.NewID(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(control.Order{ID: id, Kind: control.AnnounceKey, Region: region, At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := jws.NewSigner(other.Key, other.Chain, control.Type)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.control.Submit(t.Context(), signed); err != nil {
		t.Fatal(err)
	}
	if a := r.get(r.person(pkitest.Issued{}), "/.well-known/jwks.json"); !strings.Contains(string(a.body), jws.KeyID(other.Chain[0])) {
		t.Errorf("%s", a.body)
	}
}
