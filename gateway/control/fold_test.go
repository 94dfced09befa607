package control_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

const region = "500000"

var start = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

// office is a province's operators and what they sign with.
type office struct {
	t         testing.TB
	authority *pkitest.Authority
	rules     control.Rules
	signers   map[spiffe.Name]pkitest.Issued
}

var (
	admin   = operator(spiffe.Administration, "wu")
	liang   = operator(spiffe.Security, "liang")
	zheng   = operator(spiffe.Security, "zheng")
	auditor = operator(spiffe.Audit, "zhou")
	gateway = spiffe.Name{Region: region, Role: spiffe.Signing}
	foreign = spiffe.Name{Region: "510000", Role: spiffe.Operator, Duty: spiffe.Security, System: "liang"}
	system  = spiffe.Name{Region: region, Role: spiffe.System, Participant: "cq-amr", System: "x"}
)

func operator(duty spiffe.Duty, who string) spiffe.Name {
	return spiffe.Name{Region: region, Role: spiffe.Operator, Duty: duty, System: who}
}

func newOffice(t testing.TB) *office {
	t.Helper()
	o := &office{t: t, authority: pkitest.New(t, "Chongqing"), signers: map[spiffe.Name]pkitest.Issued{}}
	o.rules = control.Rules{
		Region: region, Roots: o.authority.Pool(),
		// A bundle of these tests is a letter that its version stands behind.
		OpenBundle: func(compact, _ string, _ time.Time) (int64, error) {
			if len(compact) != 2 || compact[0] != 'v' {
				return 0, problem.New(problem.ConfigInvalid, "it is not one")
			}
			return int64(compact[1] - '0'), nil
		},
	}
	return o
}

// issued is the certificate of a signer, made when it first signs.
func (o *office) issued(who spiffe.Name) pkitest.Issued {
	if _, ok := o.signers[who]; !ok {
		o.signers[who] = o.authority.Issue(who, pkitest.Valid(start.Add(-time.Hour), start.AddDate(0, 6, 0)))
	}
	return o.signers[who]
}

func (o *office) sign(who spiffe.Name, order *control.Order) string {
	o.t.Helper()
	payload, err := json.Marshal(order)
	if err != nil {
		o.t.Fatal(err)
	}
	return o.signBytes(o.issued(who), payload, control.Type)
}

func (o *office) signBytes(with pkitest.Issued, payload []byte, typ string) string {
	o.t.Helper()
	s, err := jws.NewSigner(with.Key, with.Chain, typ)
	if err != nil {
		o.t.Fatal(err)
	}
	signed, err := s.Sign(payload)
	if err != nil {
		o.t.Fatal(err)
	}
	return signed
}

// order is a whole order of a kind about a subject, signed at a time.
func order(kind control.Kind, subject string, at time.Time) *control.Order {
	id, err := uuid.NewV7()
	if err != nil {
		panic(err)
	}
	o := &control.Order{ID: id.String(), Kind: kind, Region: region, At: at, Subject: subject, Reason: "案件编号 2026-17"}
	switch kind {
	case control.AnnounceKey:
		o.Reason = ""
	case control.AdmitParticipant, control.ProposeAgreement:
		o.Document = "id: " + subject
	}
	return o
}

// log is entries in the making, a minute apart.
type log struct {
	*office
	entries []control.Entry
}

func (l *log) at() time.Time { return start.Add(time.Duration(len(l.entries)) * time.Minute) }

func (l *log) add(who spiffe.Name, o *control.Order) {
	l.entries = append(l.entries, control.Entry{Offset: int64(len(l.entries)), At: o.At, Order: l.sign(who, o)})
}

// give adds an order and returns what the fold makes of it.
func (l *log) give(who spiffe.Name, kind control.Kind, subject string) (*control.Order, control.Outcome) {
	l.t.Helper()
	o := order(kind, subject, l.at())
	if kind == control.AdoptBundle {
		o.Subject, o.Bundle = "510000", subject
	}
	l.add(who, o)
	_, outcomes := l.rules.Fold(&control.State{}, l.entries)
	return o, outcomes[len(outcomes)-1]
}

func (l *log) state() *control.State {
	s, _ := l.rules.Fold(&control.State{}, l.entries)
	return s
}

func codeOf(err error) problem.Code {
	if err == nil {
		return ""
	}
	return problem.CodeOf(err)
}

const policyA, policyB = "sha256:" + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "sha256:" + "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

func TestOrdersOneAfterAnother(t *testing.T) {
	t.Parallel()
	l := &log{office: newOffice(t)}
	thumbprint := jws.KeyID(l.issued(system).Chain[0])
	for i, c := range []struct {
		who     spiffe.Name
		kind    control.Kind
		subject string
		want    problem.Code
	}{
		{liang, control.ResumeParticipant, "cq-amr", problem.OrderConflict},
		{liang, control.SuspendParticipant, "cq-amr", ""},
		{liang, control.SuspendParticipant, "cq-amr", problem.OrderConflict},
		{zheng, control.ResumeParticipant, "cq-amr", ""},
		{liang, control.RemoveParticipant, "cq-amr", problem.OrderDuty},
		{admin, control.RemoveParticipant, "cq-amr", ""},
		{admin, control.RemoveParticipant, "cq-amr", problem.OrderConflict},
		{liang, control.ResumeParticipant, "cq-amr", problem.OrderConflict},

		{admin, control.SuspendAgreement, "price-1", problem.OrderDuty},
		{auditor, control.SuspendAgreement, "price-1", problem.OrderDuty},
		{system, control.SuspendAgreement, "price-1", problem.OrderDuty},
		{gateway, control.SuspendAgreement, "price-1", problem.OrderDuty},
		{foreign, control.SuspendAgreement, "price-1", problem.OrderDuty},
		{liang, control.SuspendAgreement, "price-1", ""},
		{admin, control.EndAgreement, "price-1", ""},
		{liang, control.ResumeAgreement, "price-1", problem.OrderConflict},

		{liang, control.RevokeCertificate, thumbprint, ""},
		{liang, control.RevokeCertificate, thumbprint, problem.OrderConflict},

		{liang, control.AdoptBundle, "v1", problem.OrderDuty},
		{admin, control.AdoptBundle, "v2", ""},
		{admin, control.AdoptBundle, "v1", problem.OrderConflict},
		{admin, control.AdoptBundle, "v2", problem.OrderConflict},
		{admin, control.AdoptBundle, "x3", problem.OrderInvalid},
		{admin, control.AdoptBundle, "v3", ""},

		{gateway, control.AnnounceKey, "", ""},
		{gateway, control.AnnounceKey, "", problem.OrderConflict},
		{liang, control.AnnounceKey, "", problem.OrderDuty},
	} {
		if _, out := l.give(c.who, c.kind, c.subject); codeOf(out.Err) != c.want {
			t.Errorf("%d: %s %s by %s: %v, want %q", i, c.kind, c.subject, c.who, out.Err, c.want)
		}
	}
	s := l.state()
	if got := s.Participant("cq-amr"); got.Effect != control.Ended || got.By != admin.String() || got.Reason == "" {
		t.Errorf("participant: %+v", got)
	}
	if got := s.Agreement("price-1").Effect; got != control.Ended {
		t.Errorf("agreement: %v", got)
	}
	if _, revoked := s.Revoked(thumbprint); !revoked {
		t.Error("the certificate is not revoked")
	}
	if b, ok := s.Bundle("510000"); !ok || b.Version != 3 || b.Compact != "v3" {
		t.Errorf("bundle: %+v", b)
	}
	if keys := s.Keys(l.at()); len(keys) != 1 || !keys[0].Equal(l.issued(gateway).Chain[0]) {
		t.Errorf("%d keys", len(keys))
	}
	if s.Participant("sc-amr").Effect != control.Good {
		t.Error("who was never named is not in good standing")
	}
}

func TestPoliciesNeedTwo(t *testing.T) {
	t.Parallel()
	l := &log{office: newOffice(t)}
	first, _ := l.give(liang, control.ProposePolicy, policyA)
	second, _ := l.give(zheng, control.ProposePolicy, policyB)
	if got := l.state().Policy().Policy; got != "" {
		t.Fatalf("%s was adopted by one", got)
	}
	if _, out := l.give(liang, control.ApprovePolicy, first.ID); codeOf(out.Err) != problem.OrderFourEyes {
		t.Errorf("its own proposal: %v", out.Err)
	}
	// Another certificate of the same person is the same person.
	l.signers[liang] = l.authority.Issue(liang, pkitest.Valid(start.Add(-time.Hour), start.AddDate(0, 6, 0)))
	if _, out := l.give(liang, control.ApprovePolicy, first.ID); codeOf(out.Err) != problem.OrderFourEyes {
		t.Errorf("its own proposal with a new certificate: %v", out.Err)
	}
	if _, out := l.give(admin, control.ApprovePolicy, first.ID); codeOf(out.Err) != problem.OrderDuty {
		t.Errorf("an administrator: %v", out.Err)
	}
	if _, out := l.give(zheng, control.ApprovePolicy, first.ID); out.Err != nil {
		t.Fatal(out.Err)
	}
	got := l.state().Policy()
	if got.Policy != policyA || got.ProposedBy != liang.String() || got.ApprovedBy != zheng.String() {
		t.Errorf("adopted: %+v", got)
	}
	if _, out := l.give(liang, control.ApprovePolicy, second.ID); codeOf(out.Err) != problem.OrderConflict {
		t.Errorf("what stood beside an adopted proposal: %v", out.Err)
	}
	if _, out := l.give(liang, control.ProposePolicy, policyA); codeOf(out.Err) != problem.OrderConflict {
		t.Errorf("what is in force: %v", out.Err)
	}
	old := order(control.ProposePolicy, policyB, l.at())
	l.add(liang, old)
	l.entries = append(l.entries, control.Entry{Offset: int64(len(l.entries)), At: old.At.Add(31 * 24 * time.Hour)})
	late := order(control.ApprovePolicy, old.ID, old.At.Add(31*24*time.Hour))
	l.add(zheng, late)
	_, outcomes := l.rules.Fold(&control.State{}, l.entries)
	if out := outcomes[len(outcomes)-1]; codeOf(out.Err) != problem.OrderConflict {
		t.Errorf("a proposal of last month: %v", out.Err)
	}
}

// What a forger, a thief or a slow hand may try.
func TestOrdersThatDoNotHold(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	sound := order(control.SuspendAgreement, "price-1", start)
	signed := o.sign(liang, sound)
	other := pkitest.New(t, "another authority").Issue(liang)
	expired := o.authority.Issue(liang, pkitest.Valid(start.Add(-2*time.Hour), start.Add(-time.Hour)))
	payload, err := json.Marshal(sound)
	if err != nil {
		t.Fatal(err)
	}
	altered := func(change func(*control.Order)) string {
		c := *sound
		change(&c)
		return o.sign(liang, &c)
	}
	for name, c := range map[string]struct {
		order string
		want  problem.Code
	}{
		"sound":                {signed, ""},
		"nothing":              {"", problem.OrderInvalid},
		"no JWS":               {"{}", problem.OrderInvalid},
		"cut":                  {signed[:len(signed)-2], problem.OrderForged},
		"of another type":      {o.signBytes(o.issued(liang), payload, "at+jwt"), problem.OrderInvalid},
		"another authority":    {o.signBytes(other, payload, control.Type), problem.OrderForged},
		"expired":              {o.signBytes(expired, payload, control.Type), problem.OrderForged},
		"unknown member":       {o.signBytes(o.issued(liang), append([]byte(`{"extra":1,`), payload[1:]...), control.Type), problem.OrderInvalid},
		"two objects":          {o.signBytes(o.issued(liang), slices.Concat(payload, payload), control.Type), problem.OrderInvalid},
		"another region":       {altered(func(c *control.Order) { c.Region = "510000" }), problem.OrderInvalid},
		"held back":            {altered(func(c *control.Order) { c.At = start.Add(-6 * time.Minute) }), problem.OrderOutOfTime},
		"ahead":                {altered(func(c *control.Order) { c.At = start.Add(6 * time.Minute) }), problem.OrderOutOfTime},
		"no time":              {altered(func(c *control.Order) { c.At = time.Time{} }), problem.OrderInvalid},
		"no reason":            {altered(func(c *control.Order) { c.Reason = " " }), problem.OrderInvalid},
		"long reason":          {altered(func(c *control.Order) { c.Reason = string(make([]byte, 1001)) }), problem.OrderInvalid},
		"unknown kind":         {altered(func(c *control.Order) { c.Kind = "drop_everything" }), problem.OrderInvalid},
		"subject of no kind":   {altered(func(c *control.Order) { c.Subject = "a b" }), problem.OrderInvalid},
		"no id":                {altered(func(c *control.Order) { c.ID = "" }), problem.OrderInvalid},
		"id of another make":   {altered(func(c *control.Order) { c.ID = uuid.NewString() }), problem.OrderInvalid},
		"bundle where none is": {altered(func(c *control.Order) { c.Bundle = "v1" }), problem.OrderInvalid},
	} {
		s, outcomes := o.rules.Fold(&control.State{}, []control.Entry{{Offset: 7, At: start, Order: c.order}})
		if got := codeOf(outcomes[0].Err); got != c.want {
			t.Errorf("%s: %v, want %q", name, outcomes[0].Err, c.want)
		}
		if suspended := s.Agreement("price-1").Effect == control.Suspended; suspended != (c.want == "") || s.Next() != 8 {
			t.Errorf("%s: suspended %v, next %d", name, suspended, s.Next())
		}
	}
	if out := foldOne(&control.Rules{Region: region}, signed); codeOf(out.Err) != problem.OrderForged {
		t.Errorf("rules without roots believe %v", out.Err)
	}
}

func foldOne(r *control.Rules, signed string) control.Outcome {
	_, outcomes := r.Fold(&control.State{}, []control.Entry{{At: start, Order: signed}})
	return outcomes[0]
}

func TestASignerWhoIsRevokedOrdersNothing(t *testing.T) {
	t.Parallel()
	l := &log{office: newOffice(t)}
	if _, out := l.give(zheng, control.RevokeCertificate, jws.KeyID(l.issued(liang).Chain[0])); out.Err != nil {
		t.Fatal(out.Err)
	}
	if _, out := l.give(liang, control.SuspendAgreement, "price-1"); codeOf(out.Err) != problem.OrderForged {
		t.Errorf("%v", out.Err)
	}
}

func TestTheSameOrderTwice(t *testing.T) {
	t.Parallel()
	l := &log{office: newOffice(t)}
	suspend := order(control.SuspendAgreement, "price-1", start)
	l.add(liang, suspend)
	l.give(liang, control.ResumeAgreement, "price-1")
	l.add(liang, suspend) // replayed by whoever saw it
	_, outcomes := l.rules.Fold(&control.State{}, l.entries)
	if codeOf(outcomes[2].Err) != problem.OrderConflict || l.state().Agreement("price-1").Effect != control.Good {
		t.Errorf("%v, %v", outcomes[2].Err, l.state().Agreement("price-1"))
	}
}

// Every replica comes to the same state, wherever it was restarted and however
// the log was cut into fetches.
func TestSameStateFromAnyCut(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	l := &log{office: newOffice(t)}
	randomOrders(l, random, 150)
	whole, outcomes := l.rules.Fold(&control.State{}, l.entries)
	took := 0
	for _, o := range outcomes {
		if o.Err == nil {
			took++
		}
	}
	if took < 10 || took > 140 {
		t.Errorf("seed %d: %d of %d orders took effect: the test proves little", seed, took, len(outcomes))
	}
	cuts := 8
	if testing.Short() {
		cuts = 3
	}
	for range cuts {
		s := &control.State{}
		for from := 0; from < len(l.entries); {
			to := min(from+1+random.IntN(40), len(l.entries))
			before, copied := s, s.View()
			s, _ = l.rules.Fold(s, l.entries[max(0, from-random.IntN(4)):to]) // some are fetched twice
			if !reflect.DeepEqual(before.View(), copied) {
				t.Fatalf("seed %d: a fold changed the state that it began from", seed)
			}
			from = to
		}
		if !reflect.DeepEqual(s, whole) {
			t.Fatalf("seed %d: %+v\nwant %+v", seed, s.View(), whole.View())
		}
	}
}

func randomOrders(l *log, random *rand.Rand, n int) {
	kinds := []control.Kind{
		control.SuspendParticipant, control.ResumeParticipant, control.RemoveParticipant, control.SuspendAgreement, control.ResumeAgreement,
		control.AdmitParticipant, control.ProposeAgreement, control.ApproveAgreement, control.EndAgreement, control.RevokeCertificate, control.AdoptBundle, control.ProposePolicy, control.ApprovePolicy, control.AnnounceKey, control.RevokeToken,
	}
	signers := []spiffe.Name{admin, liang, zheng, liang, zheng, gateway, auditor}
	proposals, drafts := []string{}, []string{}
	for range n {
		kind, who := kinds[random.IntN(len(kinds))], signers[random.IntN(len(signers))]
		o := order(kind, "", l.at())
		switch kind {
		case control.RevokeCertificate:
			o.Subject = jws.KeyID(l.authority.Issue(system).Chain[0])
		case control.AdoptBundle:
			o.Subject, o.Bundle = "510000", "v"+string(rune('0'+random.IntN(10)))
		case control.AdmitParticipant:
			o.Subject, o.Document = []string{"a", "b", "e"}[random.IntN(3)], "id: x"
		case control.ProposeAgreement:
			o.Subject, o.Document = []string{"a", "b", "e", "f"}[random.IntN(4)], "id: y"
			drafts = append(drafts, o.ID)
		case control.ApproveAgreement:
			o.Subject = o.ID
			if len(drafts) > 0 {
				o.Subject = drafts[random.IntN(len(drafts))]
			}
		case control.ProposePolicy:
			o.Subject = []string{policyA, policyB}[random.IntN(2)]
			proposals = append(proposals, o.ID)
		case control.ApprovePolicy:
			o.Subject = o.ID
			if len(proposals) > 0 {
				o.Subject = proposals[random.IntN(len(proposals))]
			}
		case control.AnnounceKey:
			o.Reason = ""
		case control.RevokeToken:
			o.Subject, o.Reason, o.Until = o.ID, "", l.at().Add(time.Duration(random.IntN(90)-10)*time.Minute)
		default:
			o.Subject = []string{"a", "b", "c", "d"}[random.IntN(4)]
		}
		l.add(who, o)
	}
}

func TestKeysAreForgottenAfterTheirEnd(t *testing.T) {
	t.Parallel()
	l := &log{office: newOffice(t)}
	l.give(gateway, control.AnnounceKey, "")
	first := l.issued(gateway).Chain[0]
	if got := l.state().Keys(first.NotAfter.Add(time.Second)); len(got) != 0 {
		t.Errorf("%d keys behind their end", len(got))
	}
	later := first.NotAfter.Add(2 * time.Hour)
	l.signers[gateway] = l.authority.Issue(gateway, pkitest.Valid(later.Add(-time.Hour), later.Add(time.Hour)))
	o := order(control.AnnounceKey, "", later)
	l.add(gateway, o)
	if got := l.state().View().Keys; got != 1 {
		t.Errorf("%d keys are held", got)
	}
}

func TestOutcomeNamesWhoAndWhat(t *testing.T) {
	t.Parallel()
	l := &log{office: newOffice(t)}
	o, out := l.give(liang, control.SuspendAgreement, "price-1")
	if out.By != liang.String() || out.Order.ID != o.ID || out.Refused() != nil {
		t.Errorf("%+v", out)
	}
	var p *problem.Problem
	if _, out := l.give(auditor, control.SuspendAgreement, "price-2"); !errors.As(out.Err, &p) || out.Refused() != p || out.By != auditor.String() {
		t.Errorf("%+v", out)
	}
	if out := foldOne(&l.rules, "nonsense"); out.By != "" || out.Order.ID != "" {
		t.Errorf("%+v", out)
	}
}

func FuzzFold(f *testing.F) {
	o := newOffice(f)
	f.Add(o.sign(liang, order(control.SuspendAgreement, "price-1", start)))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, signed string) {
		s, outcomes := o.rules.Fold(&control.State{}, []control.Entry{{At: start, Order: signed}})
		if outcomes[0].Err == nil && outcomes[0].By != liang.String() {
			t.Errorf("%q took effect by %q: %+v", signed, outcomes[0].By, s.View())
		}
	})
}
