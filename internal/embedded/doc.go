// Package embedded starts what a hub needs beside itself, on the machine
// alone: for the demo, and for tests that want the real protocols.
//
//	kafka.go         StartKafka: kfake in this process, one broker, kept on disk
//	transactions.go  what a kill leaves of transactions, completed or undone
//	indexes.go       what a kill leaves of a write, cut off
//	vault.go         StartVault: devvault as a child process, initialised and unsealed
//	child.go         that process: how it starts, and what ends it
//	serverapi.go     the calls to it that come before any login
//	build.go         BuildDevvault: the child's binary, built once and cached
//	private.go       directories and files for the owner alone, and the lock on them
//	logs.go          log output that stays within bounds
//
// Everything listens on loopback only, keeps its state below the directory it
// is given, and may be killed at any instant: a restart on the same directory
// goes on from there. Only one process uses a directory at a time; a second
// one waits a little for the first to end, and then says so.
//
// None of this is for production.
package embedded
