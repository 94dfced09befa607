package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// A participant is admitted by the administration, once, and not again after it
// was removed.
func TestParticipantsAreAdmitted(t *testing.T) {
	t.Parallel()
	l := &log{office: newOffice(t)}
	for i, c := range []struct {
		who     spiffe.Name
		kind    control.Kind
		subject string
		want    problem.Code
	}{
		{liang, control.AdmitParticipant, "cq-water", problem.OrderDuty},
		{auditor, control.AdmitParticipant, "cq-water", problem.OrderDuty},
		{gateway, control.AdmitParticipant, "cq-water", problem.OrderDuty},
		{foreign, control.AdmitParticipant, "cq-water", problem.OrderDuty},
		{admin, control.AdmitParticipant, "cq-water", ""},
		{admin, control.AdmitParticipant, "cq-water", problem.OrderConflict},
		{admin, control.AdmitParticipant, "cq-air", ""},
		{liang, control.SuspendParticipant, "cq-water", ""},
		{liang, control.ResumeParticipant, "cq-water", ""},
		{admin, control.RemoveParticipant, "cq-fire", ""},
		{admin, control.AdmitParticipant, "cq-fire", problem.OrderConflict},
	} {
		if _, out := l.give(c.who, c.kind, c.subject); codeOf(out.Err) != c.want {
			t.Errorf("%d: %s %s by %s: %v, want %q", i, c.kind, c.subject, c.who, out.Err, c.want)
		}
	}
	got := l.state().Admitted().Participants
	if len(got) != 2 || got[0].Subject != "cq-water" || got[1].Subject != "cq-air" || got[0].Document != "id: cq-water" || got[0].By != admin.String() {
		t.Errorf("%+v", got)
	}
}

// An agreement needs two people; what ended does not come back.
func TestAgreementsNeedTwo(t *testing.T) {
	t.Parallel()
	l := &log{office: newOffice(t)}
	if _, out := l.give(admin, control.ProposeAgreement, "water-1"); codeOf(out.Err) != problem.OrderDuty {
		t.Errorf("an administrator: %v", out.Err)
	}
	first, _ := l.give(liang, control.ProposeAgreement, "water-1")
	second, _ := l.give(zheng, control.ProposeAgreement, "water-1")
	if got := l.state(); len(got.Admitted().Agreements) != 0 || len(got.Drafts()) != 2 {
		t.Fatalf("by one: %+v", got.View())
	}
	if _, out := l.give(liang, control.ApproveAgreement, first.ID); codeOf(out.Err) != problem.OrderFourEyes {
		t.Errorf("its own proposal: %v", out.Err)
	}
	if _, out := l.give(admin, control.ApproveAgreement, first.ID); codeOf(out.Err) != problem.OrderDuty {
		t.Errorf("an administrator: %v", out.Err)
	}
	if _, out := l.give(zheng, control.ApproveAgreement, first.ID); out.Err != nil {
		t.Fatal(out.Err)
	}
	got := l.state().Admitted().Agreements
	if len(got) != 1 || got[0].By != liang.String() || got[0].ApprovedBy != zheng.String() || got[0].Document != "id: water-1" {
		t.Errorf("%+v", got)
	}
	for name, id := range map[string]string{"again": first.ID, "another of the same id": second.ID} {
		if _, out := l.give(liang, control.ApproveAgreement, id); codeOf(out.Err) != problem.OrderConflict {
			t.Errorf("%s: %v", name, out.Err)
		}
	}
	if _, out := l.give(admin, control.EndAgreement, "water-1"); out.Err != nil {
		t.Fatal(out.Err)
	}
	if s := l.state(); len(s.Admitted().Agreements) != 0 || s.Agreement("water-1").Effect != control.Ended {
		t.Errorf("when it is over: %+v", s.View())
	}
	if _, out := l.give(liang, control.ProposeAgreement, "water-1"); codeOf(out.Err) != problem.OrderConflict {
		t.Errorf("what ended: %v", out.Err)
	}
	late, _ := l.give(liang, control.ProposeAgreement, "water-2")
	l.entries = append(l.entries, control.Entry{Offset: int64(len(l.entries)), At: late.At.Add(31 * 24 * time.Hour)})
	l.add(zheng, order(control.ApproveAgreement, late.ID, late.At.Add(31*24*time.Hour)))
	if _, outcomes := l.rules.Fold(&control.State{}, l.entries); codeOf(outcomes[len(outcomes)-1].Err) != problem.OrderConflict {
		t.Errorf("a proposal of last month: %v", outcomes[len(outcomes)-1].Err)
	}
}

// Between two changes of what is admitted, the state has the very same.
func TestAdmittedIsShared(t *testing.T) {
	t.Parallel()
	l := &log{office: newOffice(t)}
	l.give(admin, control.AdmitParticipant, "cq-water")
	before := l.state()
	l.give(liang, control.RevokeCertificate, jws.KeyID(l.issued(system).Chain[0]))
	after, _ := l.rules.Fold(before, l.entries)
	if before.Admitted() != after.Admitted() {
		t.Error("another order made what is admitted anew")
	}
	for _, document := range []string{"", strings.Repeat("x", 49<<10), "\xff"} {
		o := order(control.AdmitParticipant, "cq-air", l.at())
		o.Document = document
		if err := o.Check(); codeOf(err) != problem.OrderInvalid {
			t.Errorf("a document of %d bytes: %v", len(document), err)
		}
	}
}
