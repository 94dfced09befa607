package vault

import (
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	of := func(kind, name, id string, begun, ends time.Duration) Expiring {
		return Expiring{Kind: kind, Name: name, ID: id, Begun: now.Add(begun), Ends: now.Add(ends)}
	}
	all := []Expiring{
		{Kind: kindTransit, Name: "seal-price_quote-202610", ID: "1", Begun: now},
		of(kindCertificate, "gateway", "old", -64*time.Hour, 8*time.Hour),
		of(kindCertificate, "gateway", "older", -67*time.Hour, 5*time.Hour),
		of(kindToken, "gateway", "stuck", -58*time.Minute, 2*time.Minute),
		of(kindToken, "gateway", "renewed", -time.Minute, 59*time.Minute),
		of(kindAuthority, "root", "old", -100*time.Hour, 10*time.Minute),
		of(kindAuthority, "root", "new", 0, 1000*time.Hour),
		of(kindCertificate, "gateway", "new", -1*time.Hour, 71*time.Hour),
		of(kindCertificate, "forgotten", "x", -66*time.Hour, 6*time.Hour),
		of(kindCertificate, "gone", "x", -73*time.Hour, -time.Hour),
		of(kindCertificate, "to be renewed", "x", -40*time.Hour, 32*time.Hour),
		of(kindSecretID, "connector", "a", -89*24*time.Hour, 24*time.Hour),
		of(kindSecretID, "connector", "b", 0, 90*24*time.Hour),
		of(kindShared, KeyCursor, "1", -80*24*time.Hour, 24*time.Hour),
	}
	judge(all, now)
	want := []struct {
		name, id string
		state    State
	}{
		{"gone", "x", StateEnded},
		{"gateway", "stuck", StateUnclear}, // a replica that cannot renew hides behind one that can
		{"root", "old", StateOld},          // an authority is everybody's
		{"gateway", "renewed", StateGood},
		{"gateway", "older", StateUnclear},
		{"forgotten", "x", StateRed}, // before the end, not after
		{"gateway", "old", StateOld},
		{"connector", "a", StateRed}, // nothing tells whether it is in use
		{KeyCursor, "1", StateOld},
		{"to be renewed", "x", StateDue},
		{"gateway", "new", StateGood},
		{"root", "new", StateGood},
		{"connector", "b", StateGood},
		{"seal-price_quote-202610", "1", StateGood},
	}
	for i, w := range want {
		if e := all[i]; e.Name != w.name || e.ID != w.id || e.State != w.state {
			t.Errorf("%d: %s %s is %s, want %s %s %s", i, e.Name, e.ID, e.State, w.name, w.id, w.state)
		}
	}
}
