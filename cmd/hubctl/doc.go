// Command hubctl is the hand tool of operators and participants.
//
//	hubctl pull             pull records, verify every receipt, print them
//	hubctl products         what a gateway lets this participant know of
//	hubctl receipt get      fetch a receipt again
//	hubctl receipt verify   verify a receipt offline, with its body if it is at hand
//	hubctl policy test      run the cases beside rules and agreements
//	hubctl sample           fictional rows of a product: CSV, JSON, XLSX or XML
//	hubctl schema check     check schema files, or a directory of them with its lock file
//	hubctl schema diff      show what changed between two schemas
//	hubctl schema compat    hold a new schema against the published ones
//	hubctl schema fingerprint   canonical form and fingerprints of a schema
//	hubctl bench            compare speed with references, in one run
package main
