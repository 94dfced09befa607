//go:build live

package kafkalog

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"

	"github.com/chuanyu-exchange/hub/internal/kafkatest"
)

// The recorded versions, which TestVersions uses, are those of real brokers.
func TestLiveVersions(t *testing.T) {
	for _, version := range []string{"4.3.1", "3.9.1"} {
		t.Run(version, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			takes := asked(ctx, t, kafkatest.Start(t, kafkatest.Options{Version: version}).Brokers[0])
			if *updateVersions {
				var text []byte
				for _, key := range slices.Sorted(maps.Keys(takes)) {
					text = fmt.Appendf(text, "%d %s %d %d\n", key, key, takes[key].least, takes[key].most)
				}
				must(t, "WriteFile", os.WriteFile(recordedPath(version), text, 0o644))
			}
			if want := recorded(t, version); !maps.Equal(takes, want) {
				t.Errorf("the broker takes %v, recorded is %v", takes, want)
			}
		})
	}
}

// asked are the versions that a broker says it takes of what kafka-go knows.
func asked(ctx context.Context, t *testing.T, address string) map[protocol.ApiKey]versionRange {
	t.Helper()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	must(t, "Dial", err)
	c := &conn{net: raw, buffered: bufio.NewReader(raw), address: address, versions: map[protocol.ApiKey]int16{protocol.ApiVersions: 0}}
	defer c.close()
	_, body, err := c.callRaw(ctx, new(apiversions.Request), nil)
	must(t, "ApiVersions", err)
	r, all := wire{b: body}, map[protocol.ApiKey]versionRange{}
	must(t, "ApiVersions", codeError(r.int16()))
	for range r.count(6) {
		key, least, most := protocol.ApiKey(r.int16()), r.int16(), r.int16()
		if key <= protocol.AlterUserScramCredentials {
			all[key] = versionRange{least, most}
		}
	}
	return all
}
