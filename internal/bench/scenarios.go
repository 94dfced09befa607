package bench

import (
	"context"
	"errors"
	"slices"
)

// scenarios are the lines of the budgets (design, section 5) that are measured
// here.
func scenarios() []scenario {
	return slices.Concat(codecScenarios(), []scenario{
		{
			name: "connector/csv", unit: "rows/s", open: openConnectorCSV,
			what: `ours: a CSV file read, mapped, validated, keyed, encoded, and sent in Kafka transactions of
1000 rows together with the position, then the signed manifest; start and end of the pipeline included.
kafka-go Writer: the same records (key, value, headers) lie ready in memory and are sent in one call:
zstd, acks=all, batches of 1000; no mapping, no idempotence, no transaction.
Each pass has an empty broker of its own, in memory.`,
		},
		{
			name: "sign/grant", unit: "grants/s", most: mostGrants, open: openSignGrant,
			what: `ours: an access token (RFC 9068) with its own id, bound to the caller's certificate, signed with the key that
Vault certified for this process.
Transit: the same token, signed by a key that never leaves Vault: one call each, one after another, to an
OpenBao on loopback without TLS (or the server of VAULT_ADDR). At most 2000 grants in each pass.`,
		},
		{
			name: "pull/full", unit: "records/s", open: openPullFull,
			what: `ours: one consumer pulls all records, all fields, page by page through gateway/client over TLS 1.3 with its
certificate: policy, View, digest, receipt, ledger, NDJSON; the client verifies receipt, digest and every record.
` + whatReaders,
		},
		{
			name: "pull/full-local", unit: "records/s", open: openPullFullLocal,
			what: `ours: the same pull, calling Gateway.Exchange in process: no HTTP, no TLS, and no client that verifies;
the gateway's own digest, receipt and ledger entry stay.
` + whatReaders,
		},
		{
			name: "pull/masked8", unit: "records/s", open: openPullMasked8,
			what: `ours: the same pull over TLS with an agreement that releases 8 of 28 fields, 2 of them masked, read by a
client that only counts lines.
plain endpoint: net/http over the same TLS, for the same client: for each page kafka-go's Reader from an offset,
goavro's NativeFromBinary, a map of the 8 fields, encoding/json. No policy, no grant, no receipt, no ledger.`,
		},
		{
			name: "decide/flat", unit: "decisions/s", open: openDecideFlat,
			what: `ours: policies.Set.Decide over 10,000 agreements, each of another consumer, under the shipped rules: two CEL
conditions and 28 fields in every decision; as many requests as rows, no two the same, nothing remembered.
10 agreements: the same over ten.`,
		},
	}, kafkaScenarios())
}

// codecScenarios work in memory on one record of 25 fields (golden/).
func codecScenarios() []scenario {
	return []scenario{
		{
			name: "codec/full", unit: "records/s", open: openCodecFull,
			what: `ours: View, 25 fields, Avro to JSON.
goavro + encoding/json: NativeFromBinary, decimals and dates made text, json.Marshal of the map.
hamba/avro struct + encoding/json: decoded into a struct, json.Marshal of it; decimals come out as fractions.`,
		},
		{
			name: "codec/masked8", unit: "records/s", open: openCodecMasked8,
			what: `ours: View, 8 of 25 fields, 2 of them masked, Avro to JSON.
goavro + encoding/json: as in codec/full, or a map of the same 8 fields, redacted alike.`,
		},
		{
			name: "codec/encode", unit: "records/s", open: openCodecEncode,
			what: `ours: 25 columns of text through the connector's mapping and Encoder, to Avro.
goavro from map: the same columns parsed into the map that goavro takes, BinaryFromNative.`,
		},
		{
			name: "codec/predicate", unit: "records/s", open: openCodecPredicate,
			what: `ours: View whose predicate tests the 4th and the 9th field, and excludes the record by the latter.
View, full: codec/full's. View, excluded by abnormal: the same by the 24th field.
goavro, then a comparison: NativeFromBinary and one look at the map.`,
		},
		{
			name: "codec/avro", unit: "records/s", open: openCodecAvro,
			what: `ours: View, 25 fields, Avro to Avro, every value checked on the way.
goavro decode and encode: NativeFromBinary and BinaryFromNative.`,
		},
	}
}

const whatReaders = `kafka-go Reader: one Reader for each of the topic's partitions, all at once, fetching every message of the
same topic on the same broker and decoding nothing.`

func openConnectorCSV(ctx context.Context, w *world, _ Frontend) (*contest, error) {
	host, err := newConnectorHost(w)
	if err != nil {
		return nil, err
	}
	ready, err := startBroker(ctx, w.topics()...)
	if err != nil {
		return nil, err
	}
	if err := w.publish(ctx, host, ready); err != nil {
		return nil, errors.Join(err, ready.close())
	}
	return &contest{
		ours: contestant{name: "connector", prepare: func(ctx context.Context) (pass, error) {
			return onEmptyBroker(ctx, w, func(b *broker) (pass, error) { return w.connectorPass(host, b) })
		}},
		references: []contestant{{name: "kafka-go Writer", prepare: func(ctx context.Context) (pass, error) {
			return onEmptyBroker(ctx, w, func(b *broker) (pass, error) { return w.writerPass(ctx, ready, b) })
		}}},
		close: ready.close,
	}, nil
}

// onEmptyBroker gives a pass a broker of its own, because a second drop of the
// same rows would publish nothing.
func onEmptyBroker(ctx context.Context, w *world, prepare func(*broker) (pass, error)) (pass, error) {
	b, err := startBroker(ctx, w.topics()...)
	if err != nil {
		return pass{}, err
	}
	p, err := prepare(b)
	if err != nil {
		return pass{}, errors.Join(err, b.close())
	}
	return pass{run: p.run, close: func() error { return errors.Join(p.close(), b.close()) }}, nil
}

func openPullFull(ctx context.Context, w *world, f Frontend) (*contest, error) {
	h, err := newHub(ctx, w, f, allFields)
	if err != nil {
		return nil, err
	}
	return &contest{
		ours:       contestant{name: "gateway, TLS, verified", prepare: h.verifiedPass},
		references: []contestant{{name: "kafka-go Reader", prepare: h.readerPass}},
		close:      h.close,
	}, nil
}

func openPullFullLocal(ctx context.Context, w *world, f Frontend) (*contest, error) {
	h, err := newHub(ctx, w, f, allFields)
	if err != nil {
		return nil, err
	}
	return &contest{
		ours:       contestant{name: "Exchange in process", prepare: h.localPass},
		references: []contestant{{name: "kafka-go Reader", prepare: h.readerPass}},
		close:      h.close,
	}, nil
}

func openPullMasked8(ctx context.Context, w *world, f Frontend) (*contest, error) {
	h, err := newHub(ctx, w, f, eightFields)
	if err != nil {
		return nil, err
	}
	p, err := h.newPlainEndpoint(ctx)
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return &contest{
		ours:       contestant{name: "gateway, TLS", prepare: h.countedPass},
		references: []contestant{{name: "plain endpoint", prepare: p.pass}},
		close:      func() error { return errors.Join(p.close(), h.close()) },
	}, nil
}
