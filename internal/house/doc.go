// Package house has no code, only tests that hold the repository to its own
// rules: which package imports which, how long files are, that every package says
// what it is for, that documents name tests and files that exist.
//
//	go test ./internal/house
//
// The rules are explained in CONTRIBUTING.md. What a compiler, go vet or
// golangci-lint can check is left to them.
package house
