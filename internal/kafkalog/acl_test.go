package kafkalog

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// asUser opens a client under a name, with SCRAM.
func asUser(t *testing.T, brokers []string, user string) *Client {
	t.Helper()
	return open(t, brokers, func(cfg *Config) {
		cfg.SASL = &SASL{Mechanism: ScramSHA512, Credentials: credentials(user, testPassword)}
	})
}

func TestACLs(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t, kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.Superuser(ScramSHA512, "admin", testPassword), kfake.User(ScramSHA512, testUser, testPassword))
	conformACLs(t, asUser(t, cluster.ListenAddrs(), "admin"), asUser(t, cluster.ListenAddrs(), testUser))
}

// conformACLs is for a cluster that refuses what it does not allow, with an
// administrator and a user (testUser) of whom no rule speaks.
func conformACLs(t *testing.T, admin, user *Client) {
	const principal = "User:" + testUser
	topic := create(t, admin, 1)
	write := func() error {
		p, err := user.NewProducer(t.Context(), ProducerConfig{})
		if err == nil {
			err = errors.Join(p.Send(t.Context(), numbered(topic, 0, 0, 1)), p.Close(t.Context()))
		}
		return err
	}
	if err := write(); !errors.Is(err, ErrNotAuthorised) {
		t.Errorf("writing without a rule: %v", err)
	}
	declared := []ACL{
		{Resource: "topic", Name: topic[:8], Prefix: true, Operation: "write"},
		{Resource: "topic", Name: topic, Operation: "read"},
		{Resource: "cluster", Name: "kafka-cluster", Operation: "idempotent_write"},
		{Resource: "group", Name: "*", Operation: "read", Host: "127.0.0.9", Deny: true},
	}
	apply := func(added, removed int) {
		t.Helper()
		a, r, err := admin.ApplyACLs(t.Context(), principal, declared...)
		must(t, "ApplyACLs", err)
		if len(a) != added || len(r) != removed {
			t.Errorf("ApplyACLs added %v and removed %v, want %d and %d", a, r, added, removed)
		}
		// A broker may hear of a rule a little later.
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			missing, surplus, err := admin.DiffACLs(t.Context(), principal, declared...)
			must(t, "DiffACLs", err)
			if len(missing)+len(surplus) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("after ApplyACLs: missing %v, surplus %v", missing, surplus)
			}
		}
	}
	apply(4, 0)
	must(t, "writing with a rule", write())
	same(t, stored(t, user, topic, 0), span(0, 1))
	apply(0, 0)

	declared = append(declared[1:], ACL{Resource: "topic", Name: topic, Operation: "write", Deny: true})
	apply(1, 1)
	if err := write(); !errors.Is(err, ErrNotAuthorised) {
		t.Errorf("writing after the rule was removed: %v", err)
	}
	rules, err := admin.ACLs(t.Context(), principal)
	must(t, "ACLs", err)
	want := fmt.Sprintf("[allow idempotent_write cluster kafka-cluster allow read topic %s deny read group * from 127.0.0.9 deny write topic %s]", topic, topic)
	if fmt.Sprint(rules) != want {
		t.Errorf("%v, want %s", rules, want)
	}
	if _, err := user.ACLs(t.Context(), principal); !errors.Is(err, ErrNotAuthorised) {
		t.Errorf("rules read by a user: %v", err)
	}
	if _, _, err := admin.ApplyACLs(t.Context(), principal, ACL{Resource: "topic", Name: "x", Operation: "own"}); err == nil {
		t.Error("an operation that nobody knows was accepted")
	}
	declared = nil
	apply(0, 4)
}
