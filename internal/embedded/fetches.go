package embedded

import (
	"math"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// limitByPartition makes up for a fault of kfake: an answer that ends at the
// request's limit for all partitions lacks the list of aborted transactions of
// the partition that it ends in, so that a reader of committed records is
// given aborted ones (invariant 1). With the limits of the partitions alone
// no answer ends there.
func limitByPartition(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if req, ok := r.(*kmsg.FetchRequest); ok {
			req.MaxBytes = math.MaxInt32
		}
		return nil, nil, false
	})
}
