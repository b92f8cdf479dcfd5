// Package faults holds the tests that break things: processes killed in the
// middle of sign-ups, mail servers that are down, databases that are stolen.
package faults
