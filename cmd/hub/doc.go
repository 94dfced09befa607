// Command hub is the exchange hub of a province.
//
//	hub dev          both provinces in one process, embedded: the demo
//	hub dev --once   the whole road once: publish, pull, verify, compare
package main
