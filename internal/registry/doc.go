// Package registry takes the ids of schemas from a schema registry of
// somebody else's, where a province runs one, instead of the lock file.
//
//	Open        SCHEMA_REGISTRY_URL → Client
//	Reconcile   a set of schemas → the same set with that registry's ids
//
// An id is believed only when the registry gives back, under it, the schema
// that we hold: a record with a wrong id is read as something else, and nobody
// notices. What the registry does not have is registered; what it refuses is
// an error, and the process does not start.
package registry
