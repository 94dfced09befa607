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
		of(kindCertificate, "gateway", "old", -70*time.Hour, 2*time.Hour),
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
		{"gateway", "old", StateOld},
		{"forgotten", "x", StateRed}, // before the end, not after
		{"connector", "a", StateRed}, // nothing tells whether it is in use
		{KeyCursor, "1", StateOld},
		{"to be renewed", "x", StateDue},
		{"gateway", "new", StateGood},
		{"connector", "b", StateGood},
		{"seal-price_quote-202610", "1", StateGood},
	}
	for i, w := range want {
		if e := all[i]; e.Name != w.name || e.ID != w.id || e.State != w.state {
			t.Errorf("%d: %s %s is %s, want %s %s %s", i, e.Name, e.ID, e.State, w.name, w.id, w.state)
		}
	}
}
