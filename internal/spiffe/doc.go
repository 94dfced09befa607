// Package spiffe is how certificates name whom they belong to: the SPIFFE ids
// in their URI names. The trust domain holds the province, so that an
// authority of one province cannot name anyone of the other.
//
//	spiffe://500000.hub.chuanyu/gateway                                    TLS of the gateway
//	spiffe://500000.hub.chuanyu/gateway/signing                            receipts and tokens
//	spiffe://500000.hub.chuanyu/participant/cq-commerce/system/price       a participant's system
//	spiffe://500000.hub.chuanyu/participant/cq-amr/connector/complaint     a connector
//	spiffe://500000.hub.chuanyu/operator/security/liang                    one of the province's operators
package spiffe
