// Package instance makes a running connector of its configuration file: it
// logs in to Vault, takes the product's secret and a certificate, connects to
// Kafka and opens the source. The connector command and the demo hub share it.
//
//	connector.yaml  →  Load  →  *File  →  File.Open  →  *Connector  →  Connector.Run
//
// The kinds of sources are the fields of [Sources]: a new kind is one package,
// one field and one line in Sources.named.
package instance
