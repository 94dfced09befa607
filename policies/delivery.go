package policies

import (
	"fmt"
	"slices"
	"strings"
)

// Delivery is how something leaves under an agreement, and how a request asks
// for it. The zero value is none of them and is denied.
type Delivery uint8

// The deliveries.
const (
	Page   Delivery = iota + 1 // 接口分页: records, page by page
	Bulk                       // 批量交换: whole files of records
	Query                      // 逐条查询: the one record of a key that the caller names, and never more
	Verify                     // 核验: whether what the caller states is true; no value leaves
)

var deliveryNames = [...]string{Page: "page", Bulk: "bulk", Query: "query", Verify: "verify"}

// String is the delivery as policies write it, "" for none.
func (d Delivery) String() string {
	if int(d) < len(deliveryNames) {
		return deliveryNames[d]
	}
	return ""
}

// ParseDelivery reads what String writes.
func ParseDelivery(s string) (Delivery, error) {
	if i := slices.Index(deliveryNames[:], s); i > 0 {
		return Delivery(i), nil //nolint:gosec // an index of deliveryNames
	}
	return 0, fmt.Errorf("unknown delivery %q: use %s", s, strings.Join(deliveryNames[1:], ", "))
}

// deliveriesOf is what an agreement that lists no deliveries allows: what its
// method (方式) means. One record by its key, or a yes, is never meant unsaid.
func deliveriesOf(method string) []Delivery {
	if method == "service" {
		return []Delivery{Page}
	}
	return []Delivery{Page, Bulk}
}

func deliveryNamesOf(of []Delivery) string {
	var names []string
	for _, d := range of {
		names = append(names, d.String())
	}
	return strings.Join(names, ", ")
}
