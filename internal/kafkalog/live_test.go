//go:build live

package kafkalog

import (
	"testing"

	"github.com/chuanyu-exchange/hub/internal/kafkatest"
)

// The same suite that kfake passes, on Kafka itself: its newest line and the
// last one that kept the protocol versions of before 4.0 (KIP-896).
func TestLiveConformance(t *testing.T) {
	for _, version := range []string{"4.3.1", "3.9.1"} {
		t.Run(version, func(t *testing.T) {
			conformance(t, kafkatest.Start(t, kafkatest.Options{Version: version}).Brokers)
		})
	}
}
