// Package client is the exchange from the consumer's side: it pulls pages from
// a province's gateway and believes nothing that its receipt does not vouch
// for.
//
//	c, err := client.New(client.Config{…})
//	page, err := c.Records(ctx, client.Query{Product: "price_quote", Purpose: "price_monitoring"})
//	…                                   // use page.Records, then keep page.Next
//	page, err = c.Records(ctx, client.Query{…, Cursor: page.Next})
//
// A page is returned only after its receipt's chain, signature, time, parties,
// purpose, digest and count were verified and every record was held against
// its schema. Whoever keeps the cursor in the same transaction as the records
// gets every record's effect exactly once: a request that failed half-way is
// repeated with the same cursor and gives the same records.
package client
