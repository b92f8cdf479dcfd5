// Package attacks holds the tests that play the attackers of the threat model
// against a whole engine: each test is named after the row that it attacks.
package attacks
