package receipt

import (
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Kind says what an entry records.
type Kind string

// The kinds of entries.
const (
	Release      Kind = "release"
	Refusal      Kind = "refusal" // of a caller who was identified
	Acknowledged Kind = "acknowledgement"
	AuthFailures Kind = "auth_failures" // of callers who were not, by address, reason and minute
)

// Entry is one line of the ledger. It is written once and never changes
// (invariant 7).
type Entry struct {
	ID      string    `json:"id"` // UUIDv7; of a release, the receipt's
	Kind    Kind      `json:"kind"`
	Region  string    `json:"region"`
	At      time.Time `json:"at"`
	Request string    `json:"request,omitempty"` // id of the request, which the caller was told as instance

	Consumer  string `json:"consumer,omitempty"`
	System    string `json:"system,omitempty"`
	Address   string `json:"address,omitempty"`
	Provider  string `json:"provider,omitempty"`
	Product   string `json:"product,omitempty"`
	Purpose   string `json:"purpose,omitempty"`
	Agreement string `json:"agreement,omitempty"`
	Emergency string `json:"emergency,omitempty"` // emergency access in the agreement's place
	Policy    string `json:"policy,omitempty"`

	Code   problem.Code `json:"code,omitempty"` // why it was refused
	Detail string       `json:"detail,omitempty"`
	Count  int64        `json:"count,omitempty"` // of refusals that are counted by the minute

	Receipt string `json:"receipt,omitempty"` // of a release or acknowledgement: as it was signed and handed out
}
