package connectors

import "github.com/chuanyu-exchange/hub/internal/problem"

// Fault is what is wrong with one field of a row. It never holds the value.
type Fault struct {
	Field  string       `json:"field"` // path in the schema; "" for the row as a whole
	Column string       `json:"column,omitempty"`
	Code   problem.Code `json:"code"`
	Detail string       `json:"detail,omitempty"`
	// Warning says that the row is published all the same: the fault is
	// recorded beside the quarantine, counted, and named in the record's headers.
	Warning bool `json:"warning,omitempty"`
}
