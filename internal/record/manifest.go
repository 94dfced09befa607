package record

import (
	"crypto/sha256"
	"time"
)

// Manifest closes a batch (one file of a source): what was read, what became
// of it, and where it lies. It travels as a JWS signed with the connector's
// certificate, so that a provider can be held to it and a consumer can prove
// that nothing is missing.
type Manifest struct {
	Batch       string              `json:"batch"`
	Region      string              `json:"region"`
	Product     string              `json:"product"`
	Provider    string              `json:"provider"`
	Topic       string              `json:"topic"`
	Schema      string              `json:"schema"`
	ClosedAt    time.Time           `json:"closed_at"`
	Complete    bool                `json:"complete"` // false: the source broke off; Fault says why
	Fault       string              `json:"fault,omitempty"`
	Read        int64               `json:"read"`
	Published   int64               `json:"published"`
	Duplicates  int64               `json:"duplicates"`
	Quarantined map[string]int64    `json:"quarantined,omitempty"` // by reason code
	Held        int64               `json:"held,omitempty"`        // wait for their publication time; manifests of their own follow
	Superseded  int64               `json:"superseded,omitempty"`  // held, and replaced before they could be published
	HeldOf      string              `json:"held_of,omitempty"`     // the batch whose held rows these are
	Warned      map[string]int64    `json:"warned,omitempty"`      // of those published
	Partitions  []ManifestPartition `json:"partitions"`
}

// ManifestPartition names the records of a batch in one partition.
type ManifestPartition struct {
	Partition int32 `json:"partition"`
	First     int64 `json:"first"` // offset of the first record
	Last      int64 `json:"last"`  // offset of the last record
	Records   int64 `json:"records"`
	// Digest is [Chain] over the records in offset order, base64.
	Digest []byte `json:"digest"`
}

// Chain extends a running digest by one record: SHA-256(previous, key,
// content). It starts from nil, and gives the same value however the batch was
// cut into transactions.
func Chain(previous []byte, key, content Digest) []byte {
	h := sha256.New()
	h.Write(previous)
	h.Write(key[:])
	h.Write(content[:])
	return h.Sum(nil)
}
