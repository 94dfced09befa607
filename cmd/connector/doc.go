// Command connector is the system's side of the exchange: it carries rows from
// files that a system drops into the province's Kafka.
//
//	connector check       is everything in place?
//	connector preview     what would become of this file? (nothing is published)
//	connector run         carry until it is told to stop
//	connector status      how far it got
//	connector quarantine  the rows that could not be carried, for their provider
package main
