// Package sealed is the format of a sealed block: the encrypted record that
// stands in an Avro field of type bytes, so that names, telephone numbers and
// free text never lie in Kafka in clear.
//
//	version  1 byte    0x01
//	name     1 byte length, then the name of the key in Vault's Transit
//	wrapped  2 bytes length, then the data key as Transit wrapped it
//	nonce    12 bytes  random
//	sealed   AES-256-GCM of the record's Avro body, with its 16-byte tag
//
// The block carries its own wrapped data key, so that any replica can open it
// with nothing but Transit. The key in Transit is one for each product and
// month; destroying it is the erasure of everything sealed with it.
//
// The additional data of a block are its record's Kafka key and its field's
// path: a block copied into another record or field does not open.
package sealed
