package vaulttest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// electionPace makes a node miss its leader after 2 seconds: Vault's default,
// 5, is for very small machines, 1 for production on quiet ones.
const electionPace = 2

// Raft starts nodes of one cluster, built from source (deploy/devvault), the
// first of which leads, and waits until the others vote.
func Raft(t testing.TB, source string, count int) (nodes []*Node, root string) {
	t.Helper()
	for i := range count {
		join := ""
		if i > 0 {
			join = fmt.Sprintf("  retry_join {\n    leader_api_addr = %q\n  }\n", nodes[0].Address)
		}
		storage := fmt.Sprintf("\"raft\" {\n  path = %s\n  node_id = \"n%d\"\n  performance_multiplier = %d\n%s}",
			strconv.Quote(t.TempDir()), i, electionPace, join)
		n := New(t, source, FreePort(t), storage, "", "")
		n.Start()
		if i == 0 {
			root = n.Initialise(http.DefaultClient)
		} else {
			n.AwaitHealth(http.DefaultClient, http.StatusTooManyRequests) // a standby
		}
		nodes = append(nodes, n)
	}
	Eventually(t, 2*time.Minute, "the joined nodes do not vote", func() bool {
		_, answer := nodes[0].Call(http.DefaultClient, http.MethodGet, "sys/storage/raft/configuration", root, nil)
		return strings.Count(fmt.Sprint(answer), "voter:true") == count
	})
	return nodes, root
}
