// Command hubctl is the hand tool of operators and participants.
//
//	hubctl pull             pull records, verify every receipt, print them
//	hubctl products         what a gateway lets this participant know of
//	hubctl receipt get      fetch a receipt again
//	hubctl receipt verify   verify a receipt offline, with its body if it is at hand
//	hubctl policy test      run the cases beside rules, agreements and emergencies; what they do not cover
//	hubctl policy explain   decide one request and show the derivation
//	hubctl policy who       who can read a field; what a participant can read
//	hubctl policy diff      where two sets of policies differ over a file of requests
//	hubctl policy emergencies  emergency access, in force and due for review
//	hubctl sample           fictional rows of a product: CSV, JSON, XLSX or XML
//	hubctl schema check     check schema files, or a directory of them with its lock file
//	hubctl schema diff      show what changed between two schemas
//	hubctl schema compat    hold a new schema against the published ones
//	hubctl schema fingerprint   canonical form and fingerprints of a schema
//	hubctl participant admit|enrol|renew|suspend|remove   participants, from the package to the end
//	hubctl vault bootstrap  set a province's Vault up: only what is missing or differs
//	hubctl vault rotate     a new version of the key that seals cursors
//	hubctl vault secret     a wrapped secret id for a connector
//	hubctl credentials      what ends when
//	hubctl bench            compare speed with references, in one run
package main
