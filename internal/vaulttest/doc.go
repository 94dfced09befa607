// Package vaulttest runs devvaults that a test may seal, kill and pause, alone
// or as the nodes of a raft cluster. Only tests import it.
package vaulttest
